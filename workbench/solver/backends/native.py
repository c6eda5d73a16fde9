"""The sweep in C++ (`workbench/solver/kernels`): SIMD across systems, threads across groups of them. CPU only.

The mathematics is that of `banded`, with the structure of the rows exploited and the unknowns eliminated in an order
that keeps more digits (kernels/sweep.hpp). Three arrangements, chosen by shape alone, so that results never depend on
the number of threads:

    systems side by side     a lane each. Bit for bit the same however the batch is split.
    columns                  systems that share coefficients, steps and weights are factored once; their right-hand
                             sides are the lanes, and one refinement on the residual keeps the accuracy of `qr`.
    pieces                   fewer than 8 systems of 64 grid points and more (`qr`): each record is cut into pieces, the
                             lanes. They agree with the first arrangement to rounding.

What is kept is the whole factor while it is small, and for more the carries at the starts of segments, from which the
factor is computed again segment by segment in the cache: the same numbers bit for bit, in a hundredth of the memory.
"""

import logging
from math import prod

import torch
from torch import Tensor

from workbench.solver.problem import LAYOUT, LinearODE

try:
    from workbench.solver import _native
except ImportError:
    _native = None  # type: ignore[assignment]
    _MISSING = "the compiled extension is missing"
else:
    _MISSING = ""

logger = logging.getLogger(__name__)

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
    if problem.central:
        return "central rows are not part of the native kernel; 'banded' has them"
    if problem.K > MOST_DERIVATIVES:
        return f"the native kernel knows at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the native kernel knows at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


def instruction_sets() -> list[str]:
    """Those that this machine can run and the kernel was compiled for, best first."""
    return list(_native.instruction_sets()) if _native else []


class Call:
    """A problem as the extension takes it; keeps alive what it points to.

    Systems that share coefficients, steps and weights are neighbours there: the batch is permuted so that its
    dimensions of left-hand sides come first. `isa` names the instruction set; "" is the best of this machine.
    `shapes_only`: no memory is read, only sizes are asked for.
    """

    isa = ""

    def __init__(self, problem: LinearODE, method: str, *, shapes_only: bool = False) -> None:
        self.problem, self.shapes_only = problem, shapes_only
        rank = len(problem.batch)
        left = (1,) * (rank - len(problem.left_batch)) + tuple(problem.left_batch)
        shared = [left[i] == 1 and problem.batch[i] != 1 for i in range(rank)]
        self.order = sorted(range(rank), key=shared.__getitem__)
        self.plain = self.order == list(range(rank))
        self.batch = [problem.batch[i] for i in self.order]
        self.columns = prod(problem.batch[i] for i in range(rank) if shared[i])
        inner = {"weights.equation": (problem.E,), "weights.initial": (problem.D, problem.K0)}
        inner |= {"weights.taylor": (problem.D,)}
        self.tensors = {name: _inner(x, len(LAYOUT[name]), inner.get(name)) for name, x in problem.tensors.items()}
        described = [self._described(x, len(LAYOUT[name])) for name, x in self.tensors.items()]
        sizes = (problem.T, problem.T0, problem.E, problem.D, problem.K, problem.K0)
        self.handle = _native.Problem(*sizes, method == "cholesky", self.columns, self.batch, described)

    def _described(self, x: Tensor, n: int) -> list[int]:
        """Address, width, stride along the grid points, strides along the batch."""
        split = x.ndim - n
        shape, strides = x.shape, x.stride()
        missing = len(self.batch) - split
        own = [0] * missing + [strides[i] if shape[i] > 1 else 0 for i in range(split)]
        along = strides[split] if shape[split] > 1 else 0
        return [self._address(x), prod(shape[split + 1 :]), along, *(own[i] for i in self.order)]

    def _address(self, x: Tensor | None) -> int:
        return 0 if x is None or self.shapes_only or not x.numel() else x.data_ptr()

    def kept_size(self, whole: bool) -> int:
        return _native.kept_size(self.handle, whole, self.isa)

    def wanted_size(self, keep: str) -> int:
        """Numbers to keep."""
        whole = self.kept_size(True)
        fits = self.columns > 1 or 8 * whole <= WHOLE_LIMIT
        return whole if keep == "factor" and fits else self.kept_size(False)

    def usable(self, factor: list[Tensor]) -> list[Tensor]:
        """The factor, if it is one of these left-hand sides in this arrangement; else nothing.

        Vector registers are loaded from it, so it has to lie where memory of torch begins, at a multiple of 64 bytes:
        one from a file, say, may not.
        """
        if any(x.data_ptr() % ALIGNMENT for x in factor[:1]):
            factor = [factor[0].clone(), *factor[1:]]
        if self.columns > 1:
            good = len(factor) == 2 and factor[0].numel() == self.kept_size(True)
        else:
            good = len(factor) == 1 and factor[0].numel() in (self.kept_size(True), self.kept_size(False))
        return factor if good else []

    def empty(self, *tail: int) -> Tensor:
        """A result in the order of the extension."""
        return self.problem.coefficients.new_empty(*self.batch, *tail)

    def restored(self, x: Tensor) -> Tensor:
        """A result in the order of the batch."""
        if self.plain:
            return x
        n = len(self.order)
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def factor(self) -> list[Tensor]:
        """Columns: the factor, and the rank indicator of each left-hand side (as float64)."""
        kept = self.problem.coefficients.new_empty(self.kept_size(True))
        deficient = torch.empty(prod(self.batch) // self.columns, dtype=torch.int64)
        _native.factor(self.handle, kept.data_ptr(), deficient.data_ptr(), torch.get_num_threads(), self.isa)
        return [kept, deficient.to(kept.dtype)]

    def solve(self, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
        p, u = self.problem, self.empty(self.problem.T, self.problem.D, self.problem.K)
        suspect = torch.empty(self.batch, dtype=torch.int64)
        if self.columns > 1:
            factor = self.factor()
            deficient = factor[1].to(torch.int64)
        else:
            factor = [] if keep == "nothing" else [p.coefficients.new_empty(self.wanted_size(keep))]
            deficient = torch.empty(self.batch, dtype=torch.int64)
        kept = factor[0] if factor else None
        whole = kept is not None and kept.numel() == self.kept_size(True)
        where = (self._address(kept), whole, u.data_ptr(), deficient.data_ptr(), suspect.data_ptr())
        _native.solve(self.handle, *where, torch.get_num_threads(), self.isa)
        if self.columns > 1:
            deficient = deficient[:, None].expand(-1, self.columns).reshape(self.batch)
        deficient = torch.where(suspect != 0, -1, deficient)
        return self.restored(u), self.restored(deficient), [] if keep == "nothing" else factor

    def adjoint(self, factor: list[Tensor], g: Tensor, u: Tensor | None, wanted: tuple[str, ...]) -> dict[str, Tensor]:
        """lam, and the gradients of the wanted arguments, in the order of the batch, not yet summed over it."""
        p = self.problem
        factor = self.usable(factor) or (self.factor() if self.columns > 1 else [])
        g = _inner(g, 3, None)
        if u is not None:
            u = u if self.plain else u.permute(*self.order, *range(len(self.order), u.ndim))
            u = u.contiguous()
        out = {"lam": self.empty(p.T, p.D, p.K)}
        for name in wanted:
            x = p.tensors[name]
            tail = x.shape[x.ndim - len(LAYOUT[name]) :]
            out[name] = g.new_empty(self._groups(), *tail) if self._by_groups(name) else self.empty(*tail)
        kept = factor[0] if factor else None
        whole = kept is not None and kept.numel() == self.kept_size(True)
        where = [self._address(out.get(name)) for name in ("lam", *GRADIENTS)]
        given = (self._address(kept), whole, self._address(u), self._described(g, 3), where)
        _native.adjoint(self.handle, *given, torch.get_num_threads(), self.isa)
        return {name: self._summed(name, x) for name, x in out.items()}

    def _groups(self) -> int:
        """Groups of lanes: each gives its own sum of a gradient that is `_by_groups`."""
        return _native.groups(self.handle, self.isa)

    def _by_groups(self, name: str) -> bool:
        if self.columns > 1:
            return name in ("coefficients", "steps")
        x = self.tensors.get(name)
        over_time = x is not None and x.shape[x.ndim - len(LAYOUT[name])] == 1
        return over_time and name != "initial" and _native.in_pieces(self.handle, self.isa)

    def _summed(self, name: str, x: Tensor) -> Tensor:
        """A gradient summed over groups, one per left-hand side; others in the order of the batch."""
        if name == "lam" or not self._by_groups(name):
            return self.restored(x)
        L = prod(self.batch) // self.columns
        left = self.problem.left_batch if self.columns > 1 else self.batch
        return x.reshape(L, len(x) // max(L, 1), *x.shape[1:]).sum(1).reshape(*left, *x.shape[1:])


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
    if keep == "nothing":
        return []
    call = Call(problem, method, shapes_only=True)
    shapes: list[tuple[int, ...]] = [(call.wanted_size(keep),)]
    if call.columns > 1:
        shapes.append((prod(call.batch) // call.columns,))
    return shapes


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    return Call(problem, method).solve(keep)


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    return Call(problem, method).adjoint(factor, g, None, ())["lam"]


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """lam = (A^T A)^-1 g, and the gradients of <g, u>, all in one pass over the record."""
    wanted = tuple(name for name in GRADIENTS if problem.tensors[name].requires_grad)
    found = Call(problem, method).adjoint(factor, g, u, wanted)
    lam = found.pop("lam")
    return lam, {name: x.sum_to_size(problem.tensors[name].shape) for name, x in found.items()}
