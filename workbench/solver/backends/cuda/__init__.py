"""The sweep on NVIDIA GPUs: the headers of `native`, compiled at run time for the shape and the GPU.

The mathematics is that of `native` (kernels/sweep.hpp). The arrangement (`CudaPlan`) is chosen by shape alone:

    systems     one thread per system.
    columns     systems that share coefficients, steps and weights are factored once; each thread is a right-hand side,
                to which the reflections stored with the factor are applied.
    pieces      few systems with many grid points: each record is cut into pieces, one per thread, and so is the chain
                of their ends; one thread per system solves the remaining chain.

Gradients are computed in a separate pass, parallel over grid points. Matrices of up to 9 unknowns per grid point are in
registers. Larger ones are in shared memory, with one warp per system or shared left-hand side (kernels/gpu/warp.hpp);
if shared memory is too small, and with central rows, they are in global memory, with one thread per system. Pieces are
used with matrices in registers only. The thresholds follow the registers used by the kernels
(benchmarks/solver/gpu_registers.py) and the sizes of shared memory; they have not been measured yet
(constants of `plan`).

No call synchronises with the device. For the backward pass the whole factor is kept, or with `checkpoint` nothing: it
is recomputed. float32 problems are solved in float64.

Requirements: the extra `cuda` (cuda-core, cuda-bindings, nvidia-cuda-nvrtc; no compiler, no toolkit), a driver for CUDA
13 and compute capability 8.0. A kernel is compiled at its first use and cached on disk (`nvrtc.cache_folder`). The
backend has not run on a GPU yet: tests compile it for three architectures and run the same source on the CPU
(tests/solver/gpu); `pytest -m gpu` and benchmarks/solver/gpu.py need a GPU. Other accelerators use `banded`.

The method "qr32" is `qr` in float32 arithmetic: half the memory, and faster especially on GPUs with few float64 units,
that is all but data-centre GPUs (the speed-up has not been measured). Arguments and results keep their dtype, and
gradients are assembled in float64 from u and lambda.
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
"""`qr32` is for large steps. Largest differences from `qr`, relative to the largest value, for u'' + 0.1 u' + u = 0,
K = 3, 4, 5, T = 100 and 1000:

    h               1       0.3     0.1     0.03    0.01    0.001
    u               5e-7    9e-7    8e-6    4e-5    6e-4    2e-5, or reported as rank-deficient at T = 1000
    to initial u    4e-6    5e-6    7e-5    2e-4    3e-3    5e-3
    to steps        3e-6    2e-5    2e-4    4e-2    3e-1    -
    to forcing      2e-6    1e-4    7e-3    9e-1    -       -
    to coefficients 3e-6    2e-4    4e-2    -       -       -

The rows "to .." are gradients, whose error grows with the squared condition number of A; a dash means at least 1. Use
it for solutions at steps of at least 1/30, and for training at steps of at least 1/3, of the time scale of the system;
otherwise use `qr`. Measured with the CPU build of the kernels."""
FACTOR_DTYPES = {"qr32": torch.float32}
CHECKS_INPUTS = True
"""The kernels detect invalid values: `deficient` is -1 there."""
OLDEST = (8, 0)
"""The oldest supported compute capability, which the tests compile for."""
MOST_DERIVATIVES = 12
OTHERS = "other accelerators use 'banded'"


def _missing() -> bool:
    try:
        return find_spec("cuda.core") is None or find_spec("cuda.bindings") is None
    except ModuleNotFoundError:
        return True


_MISSING = _missing()


def unavailable_reason(device: torch.device) -> str:
    """Reason why this backend cannot run on `device`."""
    if device.type != "cuda" or torch.version.hip:
        return f"the GPU kernel runs on NVIDIA GPUs only; {OTHERS}"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if _MISSING:
        return f"the packages that compile the GPU kernel are missing: {INSTALL}"
    capability = torch.cuda.get_device_capability(device)
    return "" if capability >= OLDEST else f"the GPU kernel requires compute capability {OLDEST}, found {capability}"


def unsupported_reason(problem: LinearODE, method: str) -> str:
    """Reason why this backend cannot solve `problem`."""
    if problem.K > MOST_DERIVATIVES:
        return f"the GPU kernel supports at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the GPU kernel supports at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """`CudaPlan.system_factor_shapes`, or `shared_factor_shapes` if left-hand sides are shared or reused."""
    return CudaCall(problem, method).plan.factor_shapes(keep)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1 for invalid values) and the kept factor."""
    call = CudaCall(problem, method)
    shapes = call.plan.factor_shapes(keep)
    if call.plan.columns > 1 or (keep == "resolve" and shapes):
        factor = call.factor()
        u, deficient = call.resolve(factor)
    else:
        u, deficient, factor = call.eliminate()
    return call.plan.unpermute(u), call.plan.unpermute(deficient), factor if shapes else []


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`solve` with a kept factor; recomputed if it does not suit other right-hand sides."""
    call = CudaCall(problem, method)
    if len(factor) != len(call.plan.shared_factor_shapes()) or not call.use_factor(factor):
        return solve(problem, method, "nothing")[:2]
    u, deficient = call.resolve(factor)
    return call.plan.unpermute(u), call.plan.unpermute(deficient)


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    call = CudaCall(problem, method)
    return call.plan.unpermute(call.adjoint(factor, g))


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, names: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, in one pass over the grid points, and lam = (A^T A)^-1 g if other gradients need it."""
    call = CudaCall(problem, method)
    covered = [name for name in GRADIENTS if name in names]
    lam = call.adjoint(factor, g)
    out = call.gradients(u, lam, covered) if covered else {}
    shapes = {name: problem.tensors[name].shape for name in covered}
    gradients = {name: x if x.shape == shapes[name] else x.sum_to_size(shapes[name]) for name, x in out.items()}
    return None if len(covered) == len(names) else call.plan.unpermute(lam), gradients
