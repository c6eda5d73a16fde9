"""The sweep on an NVIDIA GPU: the headers of `native`, compiled at run time for the shape and the GPU at hand.

The mathematics is that of `native` (kernels/sweep.hpp); the arrangement (`Plan`) is chosen by shape alone:

    systems side by side     a thread each.
    columns                  systems that share coefficients, steps and weights are factored once; their right-hand
                             sides are the threads, and take the reflections that are kept with the factor.
    pieces                   few systems of many grid points: each record is cut into pieces, a thread each; so is the
                             chain of their ends; a thread per system solves what is left of that.

Gradients are a pass of their own, over all grid points at once. Matrices of up to 9 unknowns per grid point live in the
registers of a thread. Larger ones live in shared memory, and a warp works on a system, or on a left-hand side that is
shared (kernels/gpu/warp.hpp); where that is too small, and with central rows, in memory, one thread per system. These
and central rows know no pieces. The switches follow the registers that kernels take (benchmarks/gpu_registers.py) and
the sizes of shared memory; none of them has been measured yet (`plan`).

Nothing waits for the device (`nvrtc`). What is kept for a backward pass is the whole factor, or
with `checkpoint` nothing: it is computed again. float32 problems are computed in float64.

It needs the extra `cuda` (cuda-core, cuda-bindings, nvidia-cuda-nvrtc: no compiler, no toolkit), a driver for CUDA 13
and compute capability 8.0. A kernel is compiled when first used, and kept (`nvrtc.cache_folder`). It has never yet
run on a GPU: tests compile it for three architectures and run the same source on the CPU (tests/solver/gpu);
`pytest -m gpu` and benchmarks/gpu.py are for one. `banded` is the path of other accelerators.

The method "qr32" is `qr` in float32 arithmetic, for those who ask for it: half the memory, and faster above all on GPUs
with few float64 units, all but those of data centres (by how much is not measured yet). Arguments and results stay what
they are, and the gradients are put together in float64 from u and lambda.
"""

from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from workbench.solver.backends.cuda.call import GRADIENTS, CudaCall
from workbench.solver.backends.cuda.nvrtc import INSTALL
from workbench.solver.backends.cuda.plan import MOST_BATCH_DIMS
from workbench.solver.problem import LinearODE

METHODS = ("qr", "cholesky", "qr32")
"""`qr32` is for large steps. Of u'' + 0.1 u' + u = 0, K = 3, 4, 5, T = 100 and 1000, the largest errors, relative to
the largest value, beside `qr`:

    h               1       0.3     0.1     0.03    0.01    0.001
    u               5e-7    9e-7    8e-6    4e-5    6e-4    2e-5, or refused as rank-deficient at T = 1000
    to initial u    4e-6    5e-6    7e-5    2e-4    3e-3    5e-3
    to steps        3e-6    2e-5    2e-4    4e-2    3e-1    -
    to forcing      2e-6    1e-4    7e-3    9e-1    -       -
    to coefficients 3e-6    2e-4    4e-2    -       -       -

The rows "to .." are of gradients; their error grows with the squared condition of A, a dash is 1 and more. So it is
good for solutions down to a thirtieth, and for learning down to a third, of the time in which a system changes; `qr`
is for the rest. Measured with the CPU build of the kernels."""
FACTORS = {"qr32": torch.float32}
SCREENS = True
"""Bad values are found on the way: `deficient` is -1 there."""
OLDEST = (8, 0)
"""Compute capability: the oldest that the tests compile for."""
MOST_DERIVATIVES = 12
OTHERS = "on other accelerators 'banded' serves"


def _missing() -> bool:
    try:
        return find_spec("cuda.core") is None or find_spec("cuda.bindings") is None
    except ModuleNotFoundError:
        return True


_MISSING = _missing()


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`."""
    if device.type != "cuda" or torch.version.hip:
        return f"the GPU kernel runs on NVIDIA GPUs only; {OTHERS}"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if _MISSING:
        return f"the packages that compile the GPU kernel are missing: {INSTALL}"
    found = torch.cuda.get_device_capability(device)
    return "" if found >= OLDEST else f"the GPU kernel needs compute capability {OLDEST}, found {found}"


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`."""
    if problem.K > MOST_DERIVATIVES:
        return f"the GPU kernel knows at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the GPU kernel knows at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """Those of `Plan.own`, or of `Plan.shared` where left-hand sides are shared or to be used again."""
    return CudaCall(problem, method).plan.kept(keep)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    call = CudaCall(problem, method)
    kept = call.plan.kept(keep)
    if call.plan.columns > 1 or (keep == "resolve" and kept):
        factor = call.factor()
        u, deficient = call.resolve(factor)
    else:
        u, deficient, factor = call.eliminate()
    return call.plan.restored(u), call.plan.restored(deficient), factor if kept else []


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`solve` with a factor that is kept; where it is not one for other right-hand sides, a new one is made."""
    call = CudaCall(problem, method)
    if len(factor) != len(call.plan.shared()) or not call.take(factor):
        return solve(problem, method, "nothing")[:2]
    u, deficient = call.resolve(factor)
    return call.plan.restored(u), call.plan.restored(deficient)


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    call = CudaCall(problem, method)
    return call.plan.restored(call.adjoint(factor, g))


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, wanted: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, all in one pass over the grid points; lam = (A^T A)^-1 g where others need it too."""
    call = CudaCall(problem, method)
    mine = [name for name in GRADIENTS if name in wanted]
    lam = call.adjoint(factor, g)
    found = call.gradients(u, lam, mine) if mine else {}
    shapes = {name: problem.tensors[name].shape for name in mine}
    gradients = {name: x if x.shape == shapes[name] else x.sum_to_size(shapes[name]) for name, x in found.items()}
    return None if len(mine) == len(wanted) else call.plan.restored(lam), gradients
