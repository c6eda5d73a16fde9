"""Joint estimate of states and coefficients on the whole record, by Gauss-Newton over the solver."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor

from workbench.discovery.grid import RecordGrid
from workbench.solver import LinearODE, Weights, solve
from workbench.solver.rows import taylor_rows
from workbench.symbolic.library import Library

SOFT = 0.02
"""Standard deviation of the Taylor rows, in noise levels, of the first search."""
REGULARISATION = 1e-7
"""Weight of all derivatives, in units of that of a measurement: it determines those of grid points without data."""
HALVINGS = 5
"""Maximum number of times that a Gauss-Newton step is halved."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Units of the standardised problem: variables (D), unit of time, candidates (C), rates (D).

    Standardised: x / variable, t / time, Theta / candidate, and Xi such that a coefficient of 1 contributes as much as
    the root mean square of the derivative of its variable.
    """

    variable: Tensor
    time: float
    candidate: Tensor
    rate: Tensor

    def units(self, order: int) -> Tensor:
        """Physical value (C, D) of a standardised coefficient of 1, for equations of u^(order)."""
        return self.rate * self.variable / self.time**order / self.candidate[:, None]


@dataclass(frozen=True, eq=False)
class JointEstimate:
    """States and their derivatives (T, D, K), coefficients (C, D), both standardised, and the cost of the fit."""

    states: Tensor
    coefficients: Tensor
    cost: float


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Quadratic model of the cost over the P free coefficients, with the states minimised over.

    matrix (P, P), right (P): the normal equations matrix xi = right. offset (T, D, K), responses (P, T, D, K): the
    states of coefficients xi are offset + sum xi_p responses_p.
    """

    matrix: Tensor
    right: Tensor
    offset: Tensor
    responses: Tensor


@dataclass(frozen=True, eq=False)
class JointEstimator:
    """Least-squares problem of the states u and the coefficients Xi of u^(order) = Theta(u) Xi on a grid.

    The cost is sum |y - u|^2 / noise^2 over the measurements, plus w^2 |u^(order) - Theta(u) Xi|^2 over the grid
    points, plus the Taylor rows of the solver with a standard deviation of `tolerance`. All quantities are
    standardised. noise (T, D): standard deviation of each measurement. tolerance (D). known (C, D): fixed
    coefficients, 0 where free.

    A Gauss-Newton step linearises the equation rows about the present states, u^(order) - J u = Theta(u^) Xi - J u^,
    with one right-hand side per free coefficient, which share one factorisation.
    Source: Bock, "Recent advances in parameter identification techniques for ODE" (1983), for the simultaneous fit.
    """

    grid: RecordGrid
    library: Library
    scales: Scales
    noise: Tensor
    tolerance: Tensor
    known: Tensor
    derivatives: int = 4
    backend: str = "auto"
    method: str = "cholesky"

    @property
    def order(self) -> int:
        return self.library.order

    @property
    def sigma(self) -> Tensor:
        """Root mean square noise level (D) of the measurements."""
        present = self.grid.present
        return (self.noise.where(present, 0.0).square().sum(dim=0) / present.sum(dim=0)).sqrt()

    @property
    def weight(self) -> Tensor:
        """Weight (D) of the equation rows, for which an equation error counts as much as one of the Taylor rows."""
        return self.grid.steps.median() / self.tolerance

    def parameters(self, terms: int) -> float:
        """Number of coefficients and initial values per variable."""
        D = len(self.scales.variable)
        return (terms + D * self.order) / D

    def misfit(self, states: Tensor) -> Tensor:
        """Measurements minus states (T, D), NaN where not measured."""
        return self.grid.values - states[..., 0]

    def residual(self, states: Tensor, terms: int) -> Tensor:
        """Root mean square misfit (D), corrected for the number of coefficients."""
        freedom = (self.grid.present.sum(dim=0) - self.parameters(terms)).clamp(min=1.0)
        return (self.misfit(states).square().nansum(dim=0) / freedom).sqrt()

    def truncation(self, states: Tensor) -> Tensor:
        """Truncation error (T - 1, D) of the Taylor row of the highest derivative, h^K u^(K); 0 where not linked."""
        K = self.derivatives
        change = states[1:, :, K - 1] - states[:-1, :, K - 1]
        return (change * self.grid.steps[:, None] ** (K - 1)).abs() * self.grid.linked[:, None]

    def refined(self, parts: Tensor, tolerance: Tensor) -> "JointEstimator":
        """The problem on the grid with each step divided into its `parts` (T - 1), with another tolerance (D)."""
        grid = self.grid.refined(parts)
        return replace(self, grid=grid, noise=self.grid.spread(self.noise, parts), tolerance=tolerance)

    # candidates

    def inputs(self, states: Tensor) -> Tensor:
        """Inputs of the library (T, S) in physical units."""
        scale = self.scales
        parts = [states[..., k] * (scale.variable / scale.time**k) for k in range(self.order)]
        return torch.cat(parts, dim=-1)

    def candidates(self, states: Tensor) -> Tensor:
        """Standardised Theta (T, C)."""
        return self.library(self.inputs(states), self._physical_times) / self.scales.candidate

    @property
    def _physical_times(self) -> Tensor:
        return self.grid.times * self.scales.time

    def jacobian(self, states: Tensor, coefficients: Tensor) -> Tensor:
        """d (Theta Xi) / d u (T, D, D, order) at the states."""
        scale = self.scales
        used = coefficients.any(dim=1)
        derivative = self.library.jacobian(self.inputs(states), self._physical_times)[:, used]
        derivative = derivative.unflatten(-1, (self.order, len(scale.variable)))
        units = torch.stack([scale.variable / scale.time**k for k in range(self.order)])
        weights = coefficients[used] * scale.rate / scale.candidate[used, None]
        return torch.einsum("tckj,cd->tdjk", derivative * units, weights)

    def rates(self, states: Tensor, coefficients: Tensor) -> Tensor:
        """Theta Xi (T, D)."""
        return self.candidates(states) @ (coefficients * self.scales.rate)

    # the least-squares problem

    def _problem(self, coefficients: Tensor, forcing: Tensor, data: Tensor, weight: Tensor) -> LinearODE:
        taylor = self.grid.linked[:, None] / self.tolerance
        return LinearODE(
            coefficients,
            forcing,
            data,
            self.grid.steps[None],
            weights=Weights(weight[None, None], self._data_weights[None], taylor[None]),
            n_steps=len(self.grid),
        )

    @property
    def _data_weights(self) -> Tensor:
        """Weights (T, D, K) of the values and slight ones of the derivatives."""
        weights = self.noise.new_zeros(*self.noise.shape, self.derivatives)
        weights[..., 0] = torch.where(self.grid.present, 1 / self.noise, 0.0)
        weights[..., 1:] = REGULARISATION / self.sigma[:, None]
        return weights

    @property
    def _data(self) -> Tensor:
        data = self.noise.new_zeros(*self.noise.shape, self.derivatives)
        data[..., 0] = self.grid.values.nan_to_num()
        return data

    def costs(self, states: Tensor, coefficients: Tensor, weight: Tensor) -> tuple[float, float, float]:
        """Sums of squares of data, equation and Taylor rows."""
        _, D, K = states.shape
        misfit = (states - self._data) * self._data_weights
        equation = (states[:, :, self.order] - self.rates(states, coefficients)) * weight
        problem = self._problem(states.new_zeros(1, 1, D, D, K), states.new_zeros(1, 1, D), self._data[None], weight)
        forward, backward = taylor_rows(problem, states[None])
        taylor = forward.square().sum() + backward.square().sum()
        return float(misfit.square().sum()), float(equation.square().sum()), float(taylor)

    def cost(self, states: Tensor, coefficients: Tensor, weight: Tensor) -> float:
        total = sum(self.costs(states, coefficients, weight))
        return total if np.isfinite(total) else float("inf")

    def linearise(self, at: JointEstimate, free: np.ndarray, weight: Tensor) -> NormalEquations:
        """The quadratic model about an estimate for the coefficients where `free` (C, D), with weights w (D).

        Raises FloatingPointError if the solution is not finite.
        """
        u, Xi = at.states, at.coefficients
        T, D, K = u.shape
        theta = self.candidates(u)
        jacobian = self.jacobian(u, Xi)
        c, d = (torch.from_numpy(index) for index in np.nonzero(free))
        P = len(c)
        coefficients = u.new_zeros(1, T, D, D, K)
        coefficients[0, ..., : self.order] = -jacobian
        diagonal = torch.arange(D)
        coefficients[0, :, diagonal, diagonal, self.order] = 1.0
        columns = theta[:, c].T * self.scales.rate[d][:, None]  # (P, T)
        forcing = u.new_zeros(P + 1, T, D)
        fixed = torch.where(torch.from_numpy(free), 0.0, Xi) * self.scales.rate
        forcing[0] = theta @ fixed - torch.einsum("tdjk,tjk->td", jacobian, u[..., : self.order])
        forcing[torch.arange(P) + 1, :, d] = columns
        data = u.new_zeros(P + 1, T, D, K)
        data[0] = self._data
        problem = self._problem(coefficients, forcing, data, weight)
        solution = self._solved(problem)
        # residuals of the equation rows of every right-hand side, in the equations of the free coefficients
        fitted = torch.einsum("tdjk,ptjk->ptd", jacobian, solution[..., : self.order])
        residual = forcing - solution[..., self.order] + fitted
        gram = theta.new_empty(P, P + 1)
        for variable in range(D):
            own = d == variable
            gram[own] = weight[variable] ** 2 * columns[own] @ residual[..., variable].T
        matrix, right = gram[:, 1:], -gram[:, 0]
        if not (matrix.isfinite().all() and right.isfinite().all()):
            raise FloatingPointError("the Gauss-Newton step is not finite")
        return NormalEquations((matrix + matrix.T) / 2, right, solution[0], solution[1:])

    def _solved(self, problem: LinearODE) -> Tensor:
        """States (P + 1, T, D, K); by QR where the normal equations are too ill-conditioned for Cholesky."""
        states = solve(problem, backend=self.backend, method=self.method, check=False).u
        if self.method == "cholesky" and not states.isfinite().all():
            states = solve(problem, backend=self.backend, method="qr", check=False).u
        return states

    def fit(
        self,
        start: JointEstimate,
        free: np.ndarray,
        weight: Tensor,
        *,
        steps: int = 20,
        tolerance: float = 1e-2,
        limit: float = np.inf,
        ridge: float = 0.0,
    ) -> tuple[JointEstimate, NormalEquations]:
        """Gauss-Newton steps with step halving from `start`, until the cost decreases by less than `tolerance`."""
        c, d = (torch.from_numpy(index) for index in np.nonzero(free))
        now = replace(start, cost=self.cost(start.states, start.coefficients, weight))
        for step in range(steps):
            normal = self.linearise(now, free, weight)
            matrix = normal.matrix + ridge * torch.eye(len(c), dtype=normal.matrix.dtype)
            xi = solve_symmetric(matrix, normal.right)
            states = normal.offset + torch.einsum("p,ptdk->tdk", xi, normal.responses)
            coefficients = now.coefficients.clone()
            coefficients[c, d] = xi
            better = self._halved(now, states, coefficients, weight)
            if better is None:
                break
            decrease, now = now.cost - better.cost, better
            if decrease < tolerance or (step >= 8 and now.cost > limit):
                break
        return now, normal

    def _halved(self, now: JointEstimate, states: Tensor, coefficients: Tensor, weight: Tensor) -> JointEstimate | None:
        """The estimate after the longest of the halved steps that does not increase the cost; None if all do."""
        step = 1.0
        for _ in range(HALVINGS):
            u = now.states + step * (states - now.states)
            Xi = now.coefficients + step * (coefficients - now.coefficients)
            cost = self.cost(u, Xi, weight)
            if cost <= now.cost:
                return JointEstimate(u, Xi, cost)
            step /= 2
        return None


def solve_symmetric(matrix: Tensor, right: Tensor) -> Tensor:
    """Solution (P) of a positive semidefinite system (P, P); of minimum norm if it is singular."""
    A, b = matrix.numpy(), right.numpy()
    scale = 1 / np.sqrt(np.maximum(np.diag(A), 1e-300))
    try:
        factor = cho_factor(A * scale[:, None] * scale)
        if np.diag(factor[0]).min(initial=1.0) > 1e-6:
            return torch.from_numpy(scale * cho_solve(factor, scale * b))
    except np.linalg.LinAlgError:
        pass
    return torch.from_numpy(scale * np.linalg.lstsq(A * scale[:, None] * scale, scale * b, rcond=1e-13)[0])
