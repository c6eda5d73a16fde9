"""The sweep in C++ (`workbench/solver/kernels`): SIMD across systems, threads across groups of them. CPU only.

The mathematics is that of `banded`, with the structure of the rows exploited and the unknowns eliminated in an order
that keeps more digits (kernels/sweep.hpp). Three arrangements, chosen by shape alone, so that results never depend on
the number of threads:

    systems side by side     a lane each. Bit for bit the same however the batch is split.
    columns                  systems that share coefficients, steps and weights are factored once; their right-hand
                             sides are the lanes, and take the reflections that are kept with the factor: the accuracy
                             of `qr` without a refinement.
    pieces                   fewer than 8 systems of 64 grid points and more: each record is cut into pieces, the
                             lanes. They agree with the first arrangement to rounding.

Problems with central rows (kernels/central.hpp) know the first arrangement only.

What is kept is the whole factor while it is small, and for more the carries at the starts of segments, from which the
factor is computed again segment by segment in the cache: the same numbers bit for bit, in a hundredth of the memory.
"""

import logging
from collections.abc import Sequence
from math import prod
from types import ModuleType

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT, Shape, Sizes, remembered, sizes_of

try:
    from workbench.solver import _native
except ImportError:
    _native = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

INTERFACE = 1
"""The version of cpu/binding.cpp that this file calls."""


def _check(module: ModuleType | None) -> str:
    """Why the compiled extension cannot be used: a sentence without its full stop; "" where it can."""
    if module is None:
        return "the compiled extension is missing"
    if getattr(module, "interface", 0) != INTERFACE:
        return "the compiled extension is that of another version of this package"
    if not module.instruction_sets():
        return f"the compiled extension is for {', '.join(module.compiled_sets())}, which this machine cannot run"
    return ""


_MISSING = _check(_native)

METHODS = ("qr", "cholesky")
GRADIENTS = ("coefficients", "forcing", "initial", "steps")
SCREENS = True
"""Bad values are found on the way: `deficient` is -1 there."""
MOST_DERIVATIVES = 12
MOST_BATCH_DIMS = 16
ALIGNMENT = 64
WHOLE_LIMIT = 72 * 2**20
"""Bytes of factor beyond which only carries are kept: writing and reading it takes as long as computing it again."""
ADVICE = (
    "install a C++ compiler and the headers of Python (Debian: apt-get install g++ python3-dev), then install this "
    "package again (in a checkout: make native); until then 'banded' serves, many times slower"
)
_told = False

Layout = tuple[tuple[Shape, Shape], ...]
"""Shape and strides of every argument, in the order of LAYOUT."""


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`."""
    if device.type != "cpu":
        return "the native kernel runs on CPUs only"
    if _MISSING and not torch.compiler.is_compiling():
        _tell_once()
    return f"{_MISSING}: {ADVICE}" if _MISSING else ""


def _tell_once() -> None:
    global _told
    if not _told:
        _told = True
        logger.warning("%s: %s", _MISSING, ADVICE)


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`."""
    if problem.K > MOST_DERIVATIVES:
        return f"the native kernel knows at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the native kernel knows at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


def instruction_sets() -> list[str]:
    """Those that this machine can run and the kernel was compiled for, best first."""
    return [] if _MISSING else list(_native.instruction_sets())


class NativePlan:
    """How problems of one layout are handed to the extension: all that follows from shapes and strides alone.

    Systems that share coefficients, steps and weights are neighbours there: the batch is permuted so that its
    dimensions of left-hand sides come first. With central rows they share no factor, and what each has is not kept: a
    factor is one of left-hand sides.
    """

    def __init__(self, layout: Layout, sizes: Sizes, central: bool, method: str, isa: str) -> None:
        rank = len(sizes.batch)
        left = (1,) * (rank - len(sizes.left_batch)) + tuple(sizes.left_batch)
        shared = [left[i] == 1 and sizes.batch[i] != 1 for i in range(rank)]
        self.order = sorted(range(rank), key=shared.__getitem__)
        self.plain = self.order == list(range(rank))
        self.sizes, self.left_batch = sizes, sizes.left_batch
        self.batch = tuple(sizes.batch[i] for i in self.order)
        columns = prod(sizes.batch[i] for i in range(rank) if shared[i]) or 1
        self.columns = 1 if central else columns
        self.central, self.keeps = central, self.columns == columns
        self.systems, self.tail = prod(self.batch), (sizes.T, sizes.D, sizes.K)
        inner = {"weights.equation": (sizes.E,), "weights.initial": (sizes.D, sizes.K0), "weights.taylor": (sizes.D,)}
        self.copied: list[tuple[int, int, tuple[int, ...] | None]] = []
        described = []
        for i, (name, (shape, stride)) in enumerate(zip(LAYOUT, layout, strict=True)):
            x = torch.empty_strided(shape, stride, device="meta")
            how = (len(LAYOUT[name]), inner.get(name))
            ready = _inner(x, *how)
            if ready.stride() != x.stride() or ready.shape != x.shape:
                self.copied.append((i, *how))
            described.append(self.described(ready, how[0]))
        own = (sizes.T, sizes.T0, sizes.E, sizes.D, sizes.K, sizes.K0)
        self.handle = _native.Problem(*own, method == "cholesky", central, self.columns, self.batch, described, isa)
        self.whole, self.carry = _native.kept_size(self.handle, True), _native.kept_size(self.handle, False)
        self.shared, self.lefts = _native.shared_size(self.handle), prod(self.left_batch)
        self.tails = {
            name: tuple(shape[len(shape) - len(LAYOUT[name]) :])
            for name, (shape, _) in zip(LAYOUT, layout, strict=True)
        }
        self.by_groups = {name for name in GRADIENTS if self._by_groups(name)}
        self.groups = _native.groups(self.handle)

    def _by_groups(self, name: str) -> bool:
        """Whether each group of lanes gives its own sum of this gradient."""
        if self.columns > 1:
            return name in ("coefficients", "steps")
        return self.tails[name][0] == 1 and name != "initial" and _native.in_pieces(self.handle)

    def described(self, x: Tensor, n: int) -> list[int]:
        """Width, stride along the grid points, strides along the batch."""
        split = x.ndim - n
        shape, strides = x.shape, x.stride()
        missing = len(self.batch) - split
        own = [0] * missing + [strides[i] if shape[i] > 1 else 0 for i in range(split)]
        along = strides[split] if shape[split] > 1 else 0
        return [prod(shape[split + 1 :]), along, *(own[i] for i in self.order)]

    def kept(self, keep: str) -> list[tuple[int, ...]]:
        """The shapes of what is kept; nothing where the factor would depend on how many right-hand sides there are."""
        if keep == "nothing" or not self.keeps:
            return []
        if not self.central and (keep == "resolve" or self.columns > 1):
            return [(self.shared,), (self.lefts,)]
        fits = keep != "carry" and 8 * self.whole <= WHOLE_LIMIT
        return [(self.whole if fits else self.carry,)]

    def restored(self, x: Tensor) -> Tensor:
        """A result in the order of the batch."""
        if self.plain:
            return x
        n = len(self.order)
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def summed(self, name: str, x: Tensor) -> Tensor:
        """A gradient summed over groups, one per left-hand side; others in the order of the batch."""
        if name not in self.by_groups:
            return self.restored(x)
        lefts = self.systems // self.columns
        left = self.left_batch if self.columns > 1 else self.batch
        return x.reshape(lefts, len(x) // max(lefts, 1), *x.shape[1:]).sum(1).reshape(*left, *x.shape[1:])


@remembered
def _plan(layout: Layout, T: int, T0: int, central: bool, method: str, isa: str) -> NativePlan:
    return NativePlan(layout, sizes_of(tuple([shape for shape, _ in layout]), T, T0, central), central, method, isa)


class NativeCall:
    """A problem as the extension takes it; keeps alive what it points to.

    `isa` names the instruction set; "" is the best of this machine.
    """

    isa = ""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = plan = _plan(layout, problem.T, problem.T0, problem.central, method, self.isa)
        for i, dims, inner in plan.copied:
            self.tensors[i] = _inner(self.tensors[i], dims, inner)

    @property
    def arguments(self) -> list[int]:
        return [x.data_ptr() for x in self.tensors]

    def usable(self, factor: list[Tensor]) -> list[Tensor]:
        """The factor, if it is one of these left-hand sides in this arrangement; else nothing.

        Vector registers are loaded from it, so it has to lie where memory of torch begins, at a multiple of 64 bytes:
        one from a file, say, may not.
        """
        if any(x.data_ptr() % ALIGNMENT for x in factor[:1]):
            factor = [factor[0].clone(), *factor[1:]]
        if not self.plan.keeps:
            return []
        if self.plan.columns > 1:
            good = len(factor) == 2 and factor[0].numel() == self.plan.shared
        else:
            good = len(factor) == 1 and factor[0].numel() in (self.plan.whole, self.plan.carry)
        return factor if good else []

    def factor(self) -> list[Tensor]:
        """Of every left-hand side, for any number of columns: the factor, and the rank indicator (as float64)."""
        plan = self.plan
        kept, deficient = _buffer(plan.shared), torch.empty(plan.lefts, dtype=torch.int64)
        _native.factor(plan.handle, self.arguments, kept.data_ptr(), deficient.data_ptr(), torch.get_num_threads())
        return [kept, deficient.to(torch.float64)]

    def solve(self, keep: str, factor: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """With `factor`, if it is usable, else with one made here; what is to be kept of that."""
        plan = self.plan
        u = torch.empty(*plan.batch, *plan.tail, dtype=torch.float64)
        deficient = torch.empty(plan.batch, dtype=torch.int64)
        if plan.columns > 1:
            factor = self.usable(factor) or self.factor()
            deficient.view(-1, plan.columns)[:] = factor[1][:, None]
            where = (factor[0].data_ptr(), True)
        else:
            made = keep != "resolve" or plan.central
            factor = [_buffer(n) for (n,) in plan.kept(keep)] if made else []
            where = _kept(factor, plan)
        given = (*where, u.data_ptr(), deficient.data_ptr(), torch.get_num_threads())
        _native.solve(plan.handle, self.arguments, *given)
        if keep == "resolve" and plan.columns == 1 and not plan.central:
            factor = self.factor()
        return plan.restored(u), plan.restored(deficient), [] if keep == "nothing" else factor

    def adjoint(self, factor: list[Tensor], g: Tensor, u: Tensor | None, wanted: Sequence[str]) -> dict[str, Tensor]:
        """What is wanted of lam ("lam") and of the gradients, in the order of the batch, not yet summed over it."""
        plan = self.plan
        factor = self.usable(factor) or (self.factor() if plan.columns > 1 else [])
        g = _inner(g, 3, None)
        if u is not None:
            u = u if plan.plain else u.permute(*plan.order, *range(len(plan.order), u.ndim))
            u = u.contiguous()
        out = {}
        for name in wanted:
            tail = plan.tails.get(name, plan.tail)
            batch = (plan.groups,) if name in plan.by_groups else plan.batch
            out[name] = torch.empty(*batch, *tail, dtype=torch.float64)
        where = [out[name].data_ptr() if name in out else 0 for name in ("lam", *GRADIENTS)]
        given = (*_kept(factor, plan), 0 if u is None else u.data_ptr())
        upstream = [g.data_ptr(), *plan.described(g, 3)]
        _native.adjoint(plan.handle, self.arguments, *given, upstream, where, torch.get_num_threads())
        return {name: plan.summed(name, x) for name, x in out.items()}


def _kept(factor: list[Tensor], plan: NativePlan) -> tuple[int, bool]:
    """Address, and whether it is the whole factor."""
    return (factor[0].data_ptr(), len(factor) == 2 or factor[0].numel() == plan.whole) if factor else (0, False)


def _buffer(numbers: int) -> Tensor:
    """Memory for a factor, in place of that of one that is gone: fresh memory costs as much as the arithmetic."""
    if not numbers:
        return torch.empty(0, dtype=torch.float64)
    return torch.frombuffer(_native.Buffer(numbers), dtype=torch.float64)


def _inner(x: Tensor, dims: int, inner: tuple[int, ...] | None) -> Tensor:
    """x with everything after the grid points, the first of its last `dims` dimensions, contiguous, of size `inner`.

    A stride of 0 along the grid points means broadcast to the kernel; where it comes from `expand`, x is copied.
    """
    n = dims - 1
    if x.shape[-dims] > 1 and x.stride(-dims) == 0:
        x = x.contiguous()
    if inner is not None:
        x = x.expand(*x.shape[: x.ndim - n], *inner)
    expected = 1
    for i in range(1, n + 1):
        if x.shape[-i] != 1 and x.stride(-i) != expected:
            return x.contiguous()
        expected *= x.shape[-i]
    return x


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """[the kept numbers], flat; of columns also the rank indicator of each left-hand side."""
    return NativeCall(problem, method).plan.kept(keep)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    return NativeCall(problem, method).solve(keep, [])


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`solve` with a factor that is kept: for systems that share it. Where none do, a new one takes no longer to make
    than the old one to read, so that it is made."""
    u, deficient, _ = NativeCall(problem, method).solve("nothing", factor)
    return u, deficient


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    return NativeCall(problem, method).adjoint(factor, g, None, ["lam"])["lam"]


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, wanted: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, all in one pass over the record; lam = (A^T A)^-1 g where others need it too."""
    mine = [name for name in GRADIENTS if name in wanted]
    rest = [] if len(mine) == len(wanted) else ["lam"]
    found = NativeCall(problem, method).adjoint(factor, g, u, [*mine, *rest])
    shapes = {name: problem.tensors[name].shape for name in mine}
    return found.get("lam"), {
        name: found[name] if found[name].shape == shape else found[name].sum_to_size(shape)
        for name, shape in shapes.items()
    }
