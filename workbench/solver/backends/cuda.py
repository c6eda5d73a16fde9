"""The sweep on an NVIDIA GPU (kernels/gpu.hpp, the headers of `native`): one thread per system, systems side by side.

Compiled at run time for the shape and the GPU at hand (workbench/solver/launcher.py). Tensors are read where they lie,
whatever their strides; the factor has the systems innermost. Nothing waits for the device. Results of a system do not
depend on the others in its batch.

What is kept is the whole factor, or nothing, and then it is computed again. Systems that share a left-hand side are
factored each on its own.
"""

from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from math import prod

import torch
from torch import Tensor

from workbench.solver import launcher
from workbench.solver.launcher import INSTALL, Instance
from workbench.solver.problem import LinearODE
from workbench.solver.sizes import LAYOUT, Shape, Sizes, remembered, sizes_of

METHODS = ("qr", "cholesky")
GRADIENTS = ("coefficients", "forcing", "initial", "steps")
SCREENS = True
"""Bad values are found on the way: `deficient` is -1 there."""
MOST_DERIVATIVES = 12
MOST_BATCH_DIMS = 16
MOST_THREADS = 8192
"""Threads that work from scratch memory, so that it stays in the second-level cache; each takes several systems."""
OTHERS = "on other accelerators 'banded' serves"
HINT = "solve a smaller batch at a time, or keep no factor between forward and backward pass (checkpoint=True)"

Layout = tuple[tuple[Shape, Shape], ...]
"""Shape and strides of every argument, in the order of LAYOUT."""


def _missing() -> bool:
    try:
        return find_spec("cuda.core") is None
    except ModuleNotFoundError:
        return True


_MISSING = _missing()


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`."""
    if device.type != "cuda" or torch.version.hip:
        return f"the GPU kernel runs on NVIDIA GPUs only; {OTHERS}"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    return f"the packages that compile the GPU kernel are missing: {INSTALL}" if _MISSING else ""


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`."""
    if problem.central:
        return "the GPU kernel knows no central rows; 'banded' does"
    if problem.K > MOST_DERIVATIVES:
        return f"the GPU kernel knows at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the GPU kernel knows at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


class Plan:
    """How problems of one layout are handed to the kernel: all that follows from shapes and strides alone."""

    def __init__(self, layout: Layout, sizes: Sizes, method: str) -> None:
        self.batch, self.tail = tuple(sizes.batch), (sizes.T, sizes.D, sizes.K)
        self.systems = prod(self.batch)
        self.instance = Instance(method, sizes.D, sizes.K, sizes.E)
        self.threads = min(self.systems, MOST_THREADS) if self.instance.general else self.systems
        blocks = -(-self.threads // launcher.BLOCK)
        self.scratch = blocks * launcher.BLOCK * self.instance.workspace if self.instance.general else 0
        self.head = [sizes.T, sizes.T0, sizes.K0, self.systems, len(self.batch), *_padded(self.batch, MOST_BATCH_DIMS)]
        self.fields = [self.field(*x, len(dims)) for x, dims in zip(layout, LAYOUT.values(), strict=True)]
        self.tails = {name: tuple(x[0][-len(LAYOUT[name]) :]) for name, x in zip(LAYOUT, layout, strict=True)}

    def field(self, shape: Shape, strides: Shape, dims: int) -> list[int]:
        """Strides along the grid points, after them and along the batch, as `Field` of gpu.hpp has them."""
        used = [stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
        batch, along, inner = used[:-dims], used[-dims], used[len(used) - dims + 1 :]
        return [along, *_padded(inner, 3), *_padded([0] * (len(self.batch) - len(batch)) + batch, MOST_BATCH_DIMS)]

    def result(self, name: str) -> list[int]:
        """Numbers to the next grid point and to the next system in a gradient."""
        size, inner = self.tails[name][0], prod(self.tails[name][1:])
        return [inner if size > 1 else 0, size * inner]


def _padded(numbers: Sequence[int], n: int) -> list[int]:
    return [*numbers, *[0] * (n - len(numbers))]


@remembered
def _plan(layout: Layout, T: int, T0: int, method: str) -> Plan:
    return Plan(layout, sizes_of(tuple([shape for shape, _ in layout]), T, T0, False), method)


class Call:
    """A problem as the kernel takes it."""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.problem, self.device = problem, problem.device
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = _plan(layout, problem.T, problem.T0, method)
        (self.kept,) = _whole(problem, method, self.plan.systems)

    def empty(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Memory of the device. Raises torch.OutOfMemoryError with what helps."""
        try:
            return torch.empty(shape, dtype=dtype, device=self.device)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(f"{error}\n{HINT}") from error

    def run(self, kernel: str, records: Tensor, z: Tensor, g: Tensor | None = None, **results: Tensor | None) -> None:
        """Launch `kernel`. The words are those of `Call` in gpu.hpp, in its order."""
        plan = self.plan
        if not plan.systems:
            return
        scratch = self.empty(plan.scratch) if plan.scratch else None
        words = array("q", plan.head)
        for x, field in zip(self.tensors, plan.fields, strict=True):
            words.extend((x.data_ptr(), *field))
        words.extend((_at(g), *(plan.fields[0] if g is None else plan.field(g.shape, g.stride(), 3))))
        words.extend((_at(records), _at(z), _at(scratch)))
        words.extend(_at(results.get(name)) for name in ("u", "deficient", "lam"))
        for name in GRADIENTS:
            words.extend((_at(results.get(name)), *plan.result(name)))
        launcher.launch(self.device, plan.instance, kernel, words, plan.threads)

    def solve(self, **results: Tensor | None) -> tuple[Tensor, Tensor]:
        """The factor, and memory of the size of the solution that it leaves behind."""
        records, z = self.empty(*self.kept), self.empty(self.plan.systems * prod(self.plan.tail))
        self.run("solve", records, z, **results)
        return records, z

    def adjoint(self, factor: list[Tensor], g: Tensor, u: Tensor | None, wanted: Sequence[str]) -> dict[str, Tensor]:
        """What is wanted of lam ("lam") and of the gradients, one per system."""
        plan = self.plan
        if len(factor) == 1 and tuple(factor[0].shape) == self.kept:
            records, z = factor[0], self.empty(plan.systems * prod(plan.tail))
        else:
            records, z = self.solve()
        out = {name: self.empty(*plan.batch, *plan.tails.get(name, plan.tail)) for name in wanted}
        self.run("adjoint", records, z, g, u=None if u is None else u.contiguous(), **out)
        return out


def _at(x: Tensor | None) -> int:
    return 0 if x is None else x.data_ptr()


def _whole(problem: LinearODE, method: str, systems: int) -> list[tuple[int, ...]]:
    """The shape of the factor of so many systems."""
    R = problem.R
    record = R * (R + 1) // 2 + (R * R if method == "qr" else 0)
    return [(problem.T * record * systems,)]


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """The numbers of the factor, flat; nothing where left-hand sides are shared: a factor is one of those."""
    lefts = prod(problem.left_batch)
    return _whole(problem, method, lefts) if keep in ("factor", "resolve") and lefts == prod(problem.batch) else []


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    call = Call(problem, method)
    u = call.empty(*problem.batch, *call.plan.tail)
    deficient = call.empty(*problem.batch, dtype=torch.int64)
    records, _ = call.solve(u=u, deficient=deficient)
    return u, deficient, [records] if factor_shapes(problem, method, keep) else []


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    return Call(problem, method).adjoint(factor, g, None, ["lam"])["lam"]


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, wanted: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, all in one pass over the record; lam = (A^T A)^-1 g where others need it too."""
    mine = [name for name in GRADIENTS if name in wanted]
    rest = [] if len(mine) == len(wanted) else ["lam"]
    found = Call(problem, method).adjoint(factor, g, u, [*mine, *rest])
    gradients = {name: found[name].sum_to_size(problem.tensors[name].shape) for name in mine}
    return found.get("lam"), gradients
