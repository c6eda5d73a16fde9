"""The sweep in C++ (`workbench/solver/kernels`): SIMD across systems, threads across groups of systems. CPU only.

The mathematics is that of `banded`, with the structure of the rows exploited and an elimination order that loses
fewer digits (kernels/sweep.hpp). One of three arrangements is chosen by shape alone, so that results do not depend on
the number of threads:

    systems     one lane per system. Results are bitwise independent of how the batch is split.
    columns     systems that share coefficients, steps and weights are factored once; each lane is a right-hand side, to
                which the reflections stored with the factor are applied: the accuracy of `qr` without refinement.
    pieces      fewer than 8 systems with at least 64 grid points and T0 <= 1: each record is cut into pieces, one per
                lane. Agrees with the first arrangement to rounding.

Problems with central rows (kernels/central.hpp) use the first arrangement only.

A small factor is kept whole. Of a larger one, the carries at the starts of segments are kept, from which the factor is
recomputed segment by segment in the cache: bitwise the same numbers in a hundredth of the memory.
"""

import logging
from collections.abc import Sequence
from math import prod
from types import ModuleType

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT, Shape, Sizes, cached, sizes_of

try:
    from workbench.solver import _native
except ImportError:
    _native = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

INTERFACE = 1
"""The version of the interface of cpu/binding.cpp."""


def _check(module: ModuleType | None) -> str:
    """Reason why the compiled extension cannot be used, without a full stop; "" if it can."""
    if module is None:
        return "the compiled extension is missing"
    if getattr(module, "interface", 0) != INTERFACE:
        return "the compiled extension belongs to another version of this package"
    if not module.instruction_sets():
        required = " or ".join(module.compiled_sets())
        return f"the compiled extension requires {required}, which this machine does not support"
    return ""


_MISSING = _check(_native)

METHODS = ("qr", "cholesky")
GRADIENTS = ("coefficients", "forcing", "initial", "steps")
CHECKS_INPUTS = True
"""The kernel detects invalid values: `deficient` is -1 there."""
MOST_DERIVATIVES = 12
MOST_BATCH_DIMS = 16
ALIGNMENT = 64
WHOLE_LIMIT = 72 * 2**20
"""Largest size of a factor that is kept whole, in bytes; beyond it, memory traffic takes as long as recomputing."""
ADVICE = (
    "install a C++ compiler and the Python headers (Debian: apt-get install g++ python3-dev), then reinstall this "
    "package (in a checkout: make native); until then 'banded' is used, which is many times slower"
)
_warned = False

Layout = tuple[tuple[Shape, Shape], ...]
"""Shape and strides of every argument, in the order of LAYOUT."""


def unavailable_reason(device: torch.device) -> str:
    """Reason why this backend cannot run on `device`; a missing extension is logged once."""
    if device.type != "cpu":
        return "the native kernel runs on CPUs only"
    if _MISSING and not torch.compiler.is_compiling():
        _warn_once()
    return f"{_MISSING}: {ADVICE}" if _MISSING else ""


def _warn_once() -> None:
    global _warned
    if not _warned:
        _warned = True
        logger.warning("%s: %s", _MISSING, ADVICE)


def unsupported_reason(problem: LinearODE, method: str) -> str:
    """Reason why this backend cannot solve `problem`."""
    if problem.K > MOST_DERIVATIVES:
        return f"the native kernel supports at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the native kernel supports at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


def instruction_sets() -> list[str]:
    """The instruction sets that the kernel was compiled for and this machine supports, fastest first."""
    return [] if _MISSING else list(_native.instruction_sets())


class NativePlan:
    """The arguments of the extension that follow from the shapes and strides of a problem.

    The batch is permuted so that the dimensions of left-hand sides come first and systems that share a left-hand side
    are contiguous. With central rows such systems do not share a factor, and no factor is kept.
    """

    def __init__(self, layout: Layout, sizes: Sizes, central: bool, method: str, isa: str) -> None:
        rank = len(sizes.batch)
        left = (1,) * (rank - len(sizes.left_batch)) + tuple(sizes.left_batch)
        shared = [left[i] == 1 and sizes.batch[i] != 1 for i in range(rank)]
        self.order = sorted(range(rank), key=shared.__getitem__)
        self.in_order = self.order == list(range(rank))
        self.sizes, self.left_batch = sizes, sizes.left_batch
        self.batch = tuple(sizes.batch[i] for i in self.order)
        columns = prod(sizes.batch[i] for i in range(rank) if shared[i]) or 1
        self.columns = 1 if central else columns
        self.central, self.keeps_factor = central, self.columns == columns
        self.systems, self.tail = prod(self.batch), (sizes.T, sizes.D, sizes.K)
        inner = {"weights.equation": (sizes.E,), "weights.initial": (sizes.D, sizes.K0), "weights.taylor": (sizes.D,)}
        self.copies: list[tuple[int, int, tuple[int, ...] | None]] = []
        descriptors = []
        for i, (name, (shape, stride)) in enumerate(zip(LAYOUT, layout, strict=True)):
            x = torch.empty_strided(shape, stride, device="meta")
            dims = len(LAYOUT[name])
            y = _contiguous_inner(x, dims, inner.get(name))
            if y.stride() != x.stride() or y.shape != x.shape:
                self.copies.append((i, dims, inner.get(name)))
            descriptors.append(self.descriptor(y, dims))
        numbers = (sizes.T, sizes.T0, sizes.E, sizes.D, sizes.K, sizes.K0)
        self.handle = _native.Problem(
            *numbers, method == "cholesky", central, self.columns, self.batch, descriptors, isa
        )
        self.factor_size, self.carry_size = _native.kept_size(self.handle, True), _native.kept_size(self.handle, False)
        self.shared_size, self.n_left = _native.shared_size(self.handle), prod(self.left_batch)
        self.tails = {
            name: tuple(shape[len(shape) - len(LAYOUT[name]) :])
            for name, (shape, _) in zip(LAYOUT, layout, strict=True)
        }
        self.grouped = {name for name in GRADIENTS if self._is_grouped(name)}
        self.groups = _native.groups(self.handle)

    def _is_grouped(self, name: str) -> bool:
        """Whether the kernel returns one sum of this gradient per group of lanes."""
        if self.columns > 1:
            return name in ("coefficients", "steps")
        return self.tails[name][0] == 1 and name != "initial" and _native.in_pieces(self.handle)

    def descriptor(self, x: Tensor, n: int) -> list[int]:
        """Width, stride along the grid points, and strides along the batch, of x with n row dimensions."""
        split = x.ndim - n
        shape, strides = x.shape, x.stride()
        missing = len(self.batch) - split
        batch = [0] * missing + [strides[i] if shape[i] > 1 else 0 for i in range(split)]
        time = strides[split] if shape[split] > 1 else 0
        return [prod(shape[split + 1 :]), time, *(batch[i] for i in self.order)]

    def factor_shapes(self, keep: str) -> list[tuple[int, ...]]:
        """The shapes of the kept factor; [] if it would depend on the number of right-hand sides."""
        if keep == "nothing" or not self.keeps_factor:
            return []
        if not self.central and (keep == "resolve" or self.columns > 1):
            return [(self.shared_size,), (self.n_left,)]
        fits = keep != "carry" and 8 * self.factor_size <= WHOLE_LIMIT
        return [(self.factor_size if fits else self.carry_size,)]

    def unpermute(self, x: Tensor) -> Tensor:
        """A result in the batch order of the problem."""
        if self.in_order:
            return x
        n = len(self.order)
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def reduce(self, name: str, x: Tensor) -> Tensor:
        """A gradient in the batch order of the problem, summed over the groups of each left-hand side."""
        if name not in self.grouped:
            return self.unpermute(x)
        n_left = self.systems // self.columns
        left = self.left_batch if self.columns > 1 else self.batch
        return x.reshape(n_left, len(x) // max(n_left, 1), *x.shape[1:]).sum(1).reshape(*left, *x.shape[1:])


@cached
def _plan(layout: Layout, T: int, T0: int, central: bool, method: str, isa: str) -> NativePlan:
    return NativePlan(layout, sizes_of(tuple([shape for shape, _ in layout]), T, T0, central), central, method, isa)


class NativeCall:
    """A problem as arguments of the extension; owns the memory that the addresses point to.

    isa: the instruction set; "" selects the fastest of this machine.
    """

    isa = ""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = plan = _plan(layout, problem.T, problem.T0, problem.central, method, self.isa)
        for i, dims, inner in plan.copies:
            self.tensors[i] = _contiguous_inner(self.tensors[i], dims, inner)

    @property
    def arguments(self) -> list[int]:
        return [x.data_ptr() for x in self.tensors]

    def usable_factor(self, factor: list[Tensor]) -> list[Tensor]:
        """The factor if it has the sizes of these left-hand sides in this arrangement, else [].

        The kernel loads vector registers from it, so a factor that is not aligned to 64 bytes (memory of torch is, that
        of a file may not be) is copied.
        """
        if any(x.data_ptr() % ALIGNMENT for x in factor[:1]):
            factor = [factor[0].clone(), *factor[1:]]
        if not self.plan.keeps_factor:
            return []
        if self.plan.columns > 1:
            usable = len(factor) == 2 and factor[0].numel() == self.plan.shared_size
        else:
            usable = len(factor) == 1 and factor[0].numel() in (self.plan.factor_size, self.plan.carry_size)
        return factor if usable else []

    def factor(self) -> list[Tensor]:
        """The factor of every left-hand side, for any number of columns, and the rank indicator (as float64)."""
        plan = self.plan
        factor, deficient = _buffer(plan.shared_size), torch.empty(plan.n_left, dtype=torch.int64)
        _native.factor(plan.handle, self.arguments, factor.data_ptr(), deficient.data_ptr(), torch.get_num_threads())
        return [factor, deficient.to(torch.float64)]

    def solve(self, keep: str, factor: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """u, the rank indicator and the factor to keep; uses `factor` if it is usable."""
        plan = self.plan
        u = torch.empty(*plan.batch, *plan.tail, dtype=torch.float64)
        deficient = torch.empty(plan.batch, dtype=torch.int64)
        if plan.columns > 1:
            factor = self.usable_factor(factor) or self.factor()
            deficient.view(-1, plan.columns)[:] = factor[1][:, None]
            location = (factor[0].data_ptr(), True)
        else:
            stored = keep != "resolve" or plan.central
            factor = [_buffer(n) for (n,) in plan.factor_shapes(keep)] if stored else []
            location = _location(factor, plan)
        outputs = (*location, u.data_ptr(), deficient.data_ptr(), torch.get_num_threads())
        _native.solve(plan.handle, self.arguments, *outputs)
        if keep == "resolve" and plan.columns == 1 and not plan.central:
            factor = self.factor()
        return plan.unpermute(u), plan.unpermute(deficient), [] if keep == "nothing" else factor

    def adjoint(self, factor: list[Tensor], g: Tensor, u: Tensor | None, names: Sequence[str]) -> dict[str, Tensor]:
        """lam ("lam") and gradients by name, in the batch order of the problem, not yet summed over broadcast dims."""
        plan = self.plan
        factor = self.usable_factor(factor) or (self.factor() if plan.columns > 1 else [])
        g = _contiguous_inner(g, 3, None)
        if u is not None:
            u = u if plan.in_order else u.permute(*plan.order, *range(len(plan.order), u.ndim))
            u = u.contiguous()
        out = {}
        for name in names:
            tail = plan.tails.get(name, plan.tail)
            batch = (plan.groups,) if name in plan.grouped else plan.batch
            out[name] = torch.empty(*batch, *tail, dtype=torch.float64)
        addresses = [out[name].data_ptr() if name in out else 0 for name in ("lam", *GRADIENTS)]
        inputs = (*_location(factor, plan), 0 if u is None else u.data_ptr())
        upstream = [g.data_ptr(), *plan.descriptor(g, 3)]
        _native.adjoint(plan.handle, self.arguments, *inputs, upstream, addresses, torch.get_num_threads())
        return {name: plan.reduce(name, x) for name, x in out.items()}


def _location(factor: list[Tensor], plan: NativePlan) -> tuple[int, bool]:
    """The address of the factor, and whether it is whole (not only the carries)."""
    return (factor[0].data_ptr(), len(factor) == 2 or factor[0].numel() == plan.factor_size) if factor else (0, False)


def _buffer(numbers: int) -> Tensor:
    """Memory for a factor, reused from factors that were freed: new memory costs as much as the arithmetic."""
    if not numbers:
        return torch.empty(0, dtype=torch.float64)
    return torch.frombuffer(_native.Buffer(numbers), dtype=torch.float64)


def _contiguous_inner(x: Tensor, dims: int, inner: tuple[int, ...] | None) -> Tensor:
    """x with contiguous dimensions, expanded to `inner`, after the grid points (dimension -dims).

    The kernel takes a stride of 0 along the grid points for size 1; if it comes from `expand`, x is copied.
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
    """[factor], flat, and the rank indicator of each left-hand side if systems share one; or []."""
    return NativeCall(problem, method).plan.factor_shapes(keep)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1 for invalid values) and the kept factor."""
    return NativeCall(problem, method).solve(keep, [])


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`solve` with a kept factor, if systems share it; otherwise recomputing is as fast as reading it."""
    u, deficient, _ = NativeCall(problem, method).solve("nothing", factor)
    return u, deficient


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    return NativeCall(problem, method).adjoint(factor, g, None, ["lam"])["lam"]


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, names: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, in one pass over the record, and lam = (A^T A)^-1 g if other gradients need it."""
    covered = [name for name in GRADIENTS if name in names]
    lam = [] if len(covered) == len(names) else ["lam"]
    out = NativeCall(problem, method).adjoint(factor, g, u, [*covered, *lam])
    shapes = {name: problem.tensors[name].shape for name in covered}
    return out.get("lam"), {
        name: out[name] if out[name].shape == shape else out[name].sum_to_size(shape) for name, shape in shapes.items()
    }
