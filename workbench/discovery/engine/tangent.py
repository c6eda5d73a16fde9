"""Linearised equations: responses of the states to candidates and initial values, by the solver."""

from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.discovery.solving import solve_states
from workbench.solver import LinearODE, Weights

EQUATION_WEIGHT = 100.0
"""Weight of the equation rows relative to the Taylor rows: the equation holds at the grid points, and the truncation
error of K derivatives is in the Taylor rows. Results agree to four digits from 10 to 10,000."""


@dataclass(frozen=True)
class Rows:
    """Discretisation of an equation: K = `derivatives`, the order of the equation, backend and method."""

    derivatives: int
    order: int = 1
    backend: str = "auto"
    method: str = "qr"


@dataclass(frozen=True, eq=False)
class Tangent:
    """u^(order) = J u + f on windows, linear in f and in the initial values of u (and u' for order 2).

    steps: (1, 1) or (W, T - 1). slopes: the Jacobian J (W, T, D, S) with S = D * order in the order of the inputs of a
    library; None: J = 0, so that variables are uncoupled and share one factorisation.
    """

    rows: Rows
    steps: Tensor
    slopes: Tensor | None = None

    def __call__(self, forcing: Tensor, initial: Tensor) -> Tensor:
        """States (M, W, T, S) for f (M, W, T, D) and u(0) (M, W, S); non-finite where the solver fails."""
        _, W, T, D = forcing.shape
        order = self.rows.order
        initial = initial.unflatten(-1, (order, D)).mT  # (M, W, D, order)
        if self.slopes is None:
            steps = self.steps if len(self.steps) == 1 else self.steps[:, None]
            one = self._leading(1, forcing)[None]
            u = self._solve(one, forcing.movedim(-1, 2)[..., None], initial[:, :, :, None, None], steps)
            return u[..., 0, :].permute(0, 1, 3, 4, 2).flatten(-2)
        coefficients = self._leading(D, forcing).repeat(W, T, 1, 1, 1)
        coefficients[..., :order] -= self.slopes.unflatten(-1, (order, D)).mT
        u = self._solve(coefficients[None], forcing, initial[:, :, None], self.steps)
        return u.mT.flatten(-2)

    def _leading(self, size: int, like: Tensor) -> Tensor:
        """Coefficients (D, D, K) of u^(order)."""
        coefficients = like.new_zeros(size, size, self.rows.derivatives)
        coefficients[..., self.rows.order] = torch.eye(size, dtype=like.dtype)
        return coefficients

    def _solve(self, coefficients: Tensor, forcing: Tensor, initial: Tensor, steps: Tensor) -> Tensor:
        """The derivatives below `order` of the solution (..., T, D, order)."""
        order, unit = self.rows.order, steps.mean()
        # the factor h^k of the k-th derivative gives all rows the unit of the variable
        powers = unit ** torch.arange(order, dtype=steps.dtype)
        problem = LinearODE(
            coefficients,
            forcing,
            initial,
            steps,
            weights=Weights(EQUATION_WEIGHT * float(unit) ** order, powers.expand(1, 1, order)),
            n_steps=forcing.shape[-2],
        )
        return solve_states(problem, self.rows.backend, self.rows.method, check=False)[..., :order]
