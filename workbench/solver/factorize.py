"""`factorize`: one left-hand side, factored once, for any number of right-hand sides that come one after the other."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from workbench.solver import autograd, checks
from workbench.solver.backends import load, select
from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT, RIGHT
from workbench.solver.solution import Solution
from workbench.solver.solve import run


def factorize(problem: LinearODE, *, backend: str = "auto", method: str = "qr", check: bool = True) -> "Factorization":
    """The factor of the left-hand side of `problem`: its coefficients, steps and weights.

    Of forcing and initial values only the sizes E, T0, D and K0 matter here. Arguments are those of `solve`.

    Raises as `solve` does, where the left-hand side is at fault.
    """
    left = _left(problem)
    name = select(left, backend, method)
    if check:
        checks.require_good_values(left)
    tensors = list(left.to(torch.float64).tensors.values())
    with torch.no_grad():
        _, deficient, factor = autograd.solve("resolve", tensors, (left.T, left.T0, left.central, name, method))
    if check:
        checks.require_full_rank(left, deficient, method, load(name).METHODS)
    return Factorization(left, name, method, factor)


@dataclass(frozen=True, eq=False)
class Factorization:
    """A left-hand side and its factor, which lives as long as this object; made by `factorize`.

    problem: the left-hand side, forcing and initial values zero. backend, method: which ones made the factor.
    """

    problem: LinearODE
    backend: str
    method: str
    factor: list[Tensor] = field(repr=False)
    _versions: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_versions", _versions(self.problem))

    def solve(self, forcing: Tensor, initial: Tensor, *, check: bool = True) -> Solution:
        """u (B, T, D, K) minimising |A u - b| for this A and the b of another right-hand side; as accurate as `solve`.

        forcing: (B, T or 1, E). initial: (B, T0 or 1, D, K0). Their batch dimensions broadcast with each other and with
        those of the left-hand side. Differentiable as `solve` is, in coefficients, steps and weights too.

        Raises ValueError for shapes that do not fit the left-hand side, and where that was changed in place since then
        (torch.compile does not see it); TypeError for another dtype or device. Values are checked as by `solve`.
        """
        if not torch.compiler.is_compiling() and _versions(self.problem) != self._versions:
            raise ValueError(
                "factorize: the left-hand side was changed in place after it was factored; factorize it again"
            )
        problem = replace(self.problem, forcing=forcing, initial=initial)
        if problem.K0 != self.problem.K0:
            raise ValueError(
                f"initial: expected K0 = {self.problem.K0} (its last dimension) as the factor is for, "
                f"found {tuple(initial.shape)}: K0 is {problem.K0}"
            )
        if problem.dtype != self.problem.dtype:  # autocast changes what comes in
            raise TypeError(f"forcing: expected dtype {self.problem.dtype} as the factor is for, found {problem.dtype}")
        return run(problem, self.backend, self.method, check=check, factor=self.factor)


def _left(problem: LinearODE) -> LinearODE:
    """The same left-hand side with zeros for forcing and initial values, and no batch but its own."""
    forcing = problem.forcing.new_zeros(1, problem.E)
    initial = problem.initial.new_zeros(min(1, problem.T0), problem.D, problem.K0)
    return replace(problem, forcing=forcing, initial=initial, n_steps=problem.T, n_initial=problem.T0)


def _versions(problem: LinearODE) -> list[int]:
    """How often each tensor of the left-hand side was changed in place."""
    return [x._version for name, x in problem.tensors.items() if name not in RIGHT and not x.is_inference()]


def difference(problem: LinearODE, other: LinearODE) -> str:
    """What tells the left-hand sides of two problems apart, in words; "" if they are equal in shape and value."""
    for name in ("T", "T0", "E", "D", "K", "K0", "central", "dtype", "device"):
        mine, theirs = getattr(problem, name), getattr(other, name)
        if mine != theirs:
            return f"{name} is {theirs}, was {mine}"
    for name in LAYOUT:
        mine, theirs = problem.tensors[name], other.tensors[name]
        if name in RIGHT:
            continue
        if mine.shape != theirs.shape:
            return f"{name} has shape {tuple(theirs.shape)}, had {tuple(mine.shape)}"
        if not torch.allclose(mine, theirs, rtol=0.0, atol=0.0, equal_nan=True):
            return f"{name} has other values"
    return ""
