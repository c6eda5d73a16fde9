"""Factor a left-hand side once and solve for many right-hand sides."""

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
    """Factor the left-hand side of `problem`: its coefficients, steps and weights.

    Only the sizes E, T0, D and K0 of forcing and initial values matter. Arguments are those of `solve`.

    Raises as `solve` does for the left-hand side.
    """
    left = _left_side(problem)
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
    """A left-hand side and its factor, the result of `factorize`.

    problem: the left-hand side, with zero forcing and initial values.
    backend, method: those that computed the factor.
    """

    problem: LinearODE
    backend: str
    method: str
    factor: list[Tensor] = field(repr=False)
    _versions: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_versions", _versions(self.problem))

    def solve(self, forcing: Tensor, initial: Tensor, *, check: bool = True) -> Solution:
        """Minimise |A u - b| over u (B, T, D, K) for this A and a new right-hand side b, as accurately as `solve`.

        forcing: (B, T or 1, E). initial: (B, T0 or 1, D, K0). Their batch dimensions broadcast with each other and with
        those of the left-hand side. Differentiable as `solve` is, including in coefficients, steps and weights.

        Raises ValueError for shapes that do not match the left-hand side, and if the left-hand side was modified in
        place since it was factored (not detected under torch.compile); TypeError for another dtype or device. Values
        are checked as in `solve`.
        """
        if not torch.compiler.is_compiling() and _versions(self.problem) != self._versions:
            raise ValueError(
                "factorize: the left-hand side was modified in place after it was factored; factorize it again"
            )
        problem = replace(self.problem, forcing=forcing, initial=initial)
        if problem.K0 != self.problem.K0:
            raise ValueError(
                f"initial: expected K0 = {self.problem.K0} (its last dimension) as in the factor, "
                f"found {tuple(initial.shape)}: K0 is {problem.K0}"
            )
        if problem.dtype != self.problem.dtype:  # autocast changes the dtype
            raise TypeError(f"forcing: expected dtype {self.problem.dtype} as in the factor, found {problem.dtype}")
        return run(problem, self.backend, self.method, check=check, factor=self.factor)


def _left_side(problem: LinearODE) -> LinearODE:
    """The left-hand side with zero forcing and initial values, without their batch dimensions."""
    forcing = problem.forcing.new_zeros(1, problem.E)
    initial = problem.initial.new_zeros(min(1, problem.T0), problem.D, problem.K0)
    return replace(problem, forcing=forcing, initial=initial, n_steps=problem.T, n_initial=problem.T0)


def _versions(problem: LinearODE) -> list[int]:
    """The counters of in-place modifications of the tensors of the left-hand side."""
    return [x._version for name, x in problem.tensors.items() if name not in RIGHT and not x.is_inference()]


def difference(problem: LinearODE, other: LinearODE) -> str:
    """The first difference between the left-hand sides of two problems; "" if shapes and values are equal."""
    for name in ("T", "T0", "E", "D", "K", "K0", "central", "dtype", "device"):
        first, second = getattr(problem, name), getattr(other, name)
        if first != second:
            return f"{name} is {second}, was {first}"
    for name in LAYOUT:
        if name in RIGHT:
            continue
        x, y = problem.tensors[name], other.tensors[name]
        if x.shape != y.shape:
            return f"{name} has shape {tuple(y.shape)}, had {tuple(x.shape)}"
        if not torch.allclose(x, y, rtol=0.0, atol=0.0, equal_nan=True):
            return f"{name} has different values"
    return ""
