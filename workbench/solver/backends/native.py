"""The sweep in C++ (`workbench/solver/kernels`): SIMD across systems, threads across groups of them. CPU only.

The mathematics is that of `banded`, with the structure of the rows exploited. What is kept is the whole factor while it
is small, and for long records the carries at the starts of segments, from which the factor is computed again segment by
segment in the cache: the same numbers bit for bit, in a hundredth of the memory and, for records beyond the caches, in
less time. Results do not depend on the number of threads, nor on how a batch is split.
"""

from functools import cache
from math import prod
from types import ModuleType

import torch
from torch import Tensor

from workbench.solver.problem import LAYOUT, LinearODE

METHODS = ("qr", "cholesky")
GRADIENTS = ("coefficients", "forcing", "initial", "steps")
WHOLE_LIMIT = 72 * 2**20
"""Bytes of factor beyond which only carries are kept: writing and reading it takes longer than computing it again."""


@cache
def extension() -> tuple[ModuleType | None, str]:
    """The compiled module, and why there is none."""
    try:
        from workbench.solver import _native
    except ImportError as error:
        return None, f"the compiled extension is missing ({error}): install the package where a C++ compiler is"
    return _native, ""


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`."""
    return extension()[1] if device.type == "cpu" else "the native kernel runs on CPUs only"


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`."""
    if problem.central:
        return "central rows are not part of the native kernel; 'banded' has them"
    if problem.K > 12:
        return f"the native kernel knows at most 12 derivatives, found K = {problem.K}"
    return ""


def address(x: Tensor) -> int:
    return x.data_ptr() if x.numel() else 0


class Call:
    """A problem as the extension takes it; keeps alive what it points to.

    Systems that share coefficients, steps and weights are neighbours there: the batch is permuted so that its dimensions
    of left-hand sides come first. `isa` names the instruction set; "" is the best of this machine.
    """

    isa = ""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.problem = problem
        left = (1,) * (len(problem.batch) - len(problem.left_batch)) + tuple(problem.left_batch)
        dims = range(len(problem.batch))
        self.order = sorted(dims, key=lambda i: left[i] == 1 and problem.batch[i] != 1)
        self.batch = [problem.batch[i] for i in self.order]
        self.columns = prod(problem.batch[i] for i in dims if left[i] == 1)
        inner = {"weights.equation": (problem.E,), "weights.initial": (problem.D, problem.K0)}
        inner |= {"weights.taylor": (problem.D,)}
        self.tensors = {name: _inner(x, LAYOUT[name], inner.get(name)) for name, x in problem.tensors.items()}
        described = [self._described(x, len(LAYOUT[name])) for name, x in self.tensors.items()]
        sizes = (problem.T, problem.T0, problem.E, problem.D, problem.K, problem.K0)
        cholesky = method == "cholesky"
        self.handle = extension()[0].Problem(*sizes, cholesky, self.columns, self.batch, described)

    def _described(self, x: Tensor, n: int) -> list[int]:
        """Address, width, stride along the grid points, strides along the batch."""
        split = x.ndim - n
        shape, strides = x.shape, x.stride()
        missing = len(self.batch) - split
        own = [0] * missing + [strides[i] if shape[i] > 1 else 0 for i in range(split)]
        return [address(x), prod(shape[split + 1 :]), strides[split] if shape[split] > 1 else 0, *(own[i] for i in self.order)]

    def kept_size(self, whole: bool) -> int:
        return extension()[0].kept_size(self.handle, whole, self.isa)

    def empty(self, *tail: int) -> Tensor:
        """A result in the order of the extension."""
        return self.problem.coefficients.new_empty(*self.batch, *tail)

    def restored(self, x: Tensor) -> Tensor:
        """A result in the order of the batch."""
        if self.order == sorted(self.order):
            return x
        n = len(self.order)
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def factor(self) -> list[Tensor]:
        """Several columns: the factor, and where it is deficient (as float64), one number per left-hand side."""
        L = prod(self.batch) // self.columns
        kept = self.problem.coefficients.new_empty(self.kept_size(True))
        deficient = torch.empty(L, dtype=torch.int64)
        extension()[0].factor(self.handle, address(kept), address(deficient), torch.get_num_threads(), self.isa)
        return [kept, deficient.to(kept.dtype)]

    def solve(self, keep: str, factor: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        p, u = self.problem, self.empty(self.problem.T, self.problem.D, self.problem.K)
        suspect = torch.empty(self.batch, dtype=torch.int64)
        if self.columns > 1:
            factor = factor or self.factor()
            kept, deficient, whole = factor[0], factor[1].to(torch.int64), True
        else:
            deficient = torch.empty(self.batch, dtype=torch.int64)
            whole = keep == "factor" and 8 * self.kept_size(True) <= WHOLE_LIMIT
            kept = None if keep == "nothing" else u.new_empty(self.kept_size(whole))
            factor = [] if kept is None else [kept]
        where = (0 if kept is None else address(kept), whole, address(u), address(deficient), address(suspect))
        extension()[0].solve(self.handle, *where, torch.get_num_threads(), self.isa)
        if self.columns > 1:
            deficient = deficient[:, None].expand(-1, self.columns).reshape(self.batch)
        deficient = torch.where(suspect != 0, -1, deficient)
        return self.restored(u), self.restored(deficient), factor if keep != "nothing" else []

    def adjoint(self, factor: list[Tensor], g: Tensor, u: Tensor | None, wanted: tuple[str, ...]) -> dict[str, Tensor]:
        """lam, and the gradients of the wanted arguments, in the order of the batch, not yet summed over it."""
        p = self.problem
        if self.columns > 1:
            factor = factor or self.factor()
        g = _inner(g, ("T", "D", "K"), None)
        if u is not None and self.order != sorted(self.order):
            u = u.permute(*self.order, *range(len(self.order), u.ndim))
        out = {"lam": self.empty(p.T, p.D, p.K)}
        groups = extension()[0].groups(self.handle, self.isa) if self.columns > 1 else 0
        for name in wanted:
            x = p.tensors[name]
            tail = x.shape[x.ndim - len(LAYOUT[name]) :]
            common = groups and name in ("coefficients", "steps")
            out[name] = g.new_empty(groups, *tail) if common else self.empty(*tail)
        whole = bool(factor) and factor[0].numel() == self.kept_size(True)
        where = [address(out[name]) if name in out else 0 for name in ("lam", *GRADIENTS)]
        kept = address(factor[0]) if factor else 0
        values = None if u is None else u.contiguous()
        given = (kept, whole, 0 if values is None else address(values), self._described(g, 3), where)
        extension()[0].adjoint(self.handle, *given, torch.get_num_threads(), self.isa)
        return {name: self._summed(name, x, groups) for name, x in out.items()}

    def _summed(self, name: str, x: Tensor, groups: int) -> Tensor:
        """A gradient over groups of the columns of each left-hand side, summed over those; others in their order."""
        if not groups or name not in ("coefficients", "steps"):
            return self.restored(x)
        L = prod(self.batch) // self.columns
        left = [n if self.problem.left_batch else 1 for n in self.problem.left_batch]
        return x.unflatten(0, (L, groups // L)).sum(1).reshape(*left, *x.shape[1:])


def _inner(x: Tensor, dims: tuple[str, ...], inner: tuple[int, ...] | None) -> Tensor:
    """x with everything after the grid points contiguous, and of size `inner` if given."""
    n = len(dims) - 1
    if inner is not None:
        x = x.expand(*x.shape[: x.ndim - n], *inner)
    expected = 1
    for i in range(1, n + 1):
        if x.shape[-i] != 1 and x.stride(-i) != expected:
            return x.contiguous()
        expected *= x.shape[-i]
    return x


def factor_shapes(problem: LinearODE, keep: str) -> list[tuple[int, ...]]:
    """[the kept numbers], flat; with several right-hand sides per left-hand side also where those are deficient."""
    if keep == "nothing":
        return []
    raise NotImplementedError


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    return Call(problem, method).solve(keep, [])


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
