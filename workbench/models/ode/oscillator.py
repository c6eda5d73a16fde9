"""Fits of one curve by a linear ODE, with time-varying or constant coefficients."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.neural.adam_state import MOMENTS, adam_state, load_adam_state
from workbench.discovery.solving import solve_states
from workbench.solver import LinearODE


@dataclass(frozen=True)
class Solver:
    """Solver options: K derivatives per grid point, backend and method."""

    derivatives: int
    backend: str
    method: str

    def __call__(self, coefficients: Tensor, forcing: Tensor, initial: Tensor, steps: Tensor) -> Tensor:
        """u (B, T, K) of sum_k c[t,k] u_k = r, for c (T or 1, K), r (B, T or 1), initial (B, T0, K0), steps (T-1)."""
        problem = LinearODE(coefficients[..., None, None, :], forcing[..., None], initial[..., None, :], steps)
        return solve_states(problem, self.backend, self.method)[..., 0, :]


class TimeVaryingODEFit:
    """Fit sum_k c_k(t) u_k = 1 with c (T, K) and T - 1 steps trained by Adam, without initial rows, as published.

    Loss: sum over t of (u - y)^2. c is initialized uniformly on [0, 1), the steps, sigmoids of the parameters, at
    `step`. record: y (T). The fit has more parameters than data and overfits the noise.
    Source: the sine example of "Scalable Mechanistic Neural Networks", ICLR 2025.
    """

    monitored_metric = "loss"
    stage = 0

    def __init__(self, record: Tensor, solver: Solver, *, step: float, steps: int, rate: float, seed: int) -> None:
        T = len(record)
        generator = torch.Generator().manual_seed(seed)
        self._record, self._solver, self.total_steps = record, solver, steps
        self._c = torch.rand(T, solver.derivatives, dtype=torch.float64, generator=generator).requires_grad_()
        self._h = torch.full((T - 1,), step, dtype=torch.float64).logit().requires_grad_()
        self._optimiser = torch.optim.Adam([self._c, self._h], lr=rate)
        self._count = 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Run one step of Adam; returns the loss before it."""
        self._optimiser.zero_grad()
        loss = (self.curve() - self._record).square().sum()
        loss.backward()
        self._optimiser.step()
        self._count += 1
        return {"loss": loss.item()}

    def curve(self) -> Tensor:
        """u (T)."""
        forcing, initial = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, 1, dtype=torch.float64)
        return self._solver(self._c, forcing, initial, self._h.sigmoid())[0, :, 0]

    def coefficients(self) -> None:
        """None: the coefficients vary along the grid."""

    def state(self) -> dict[str, np.ndarray]:
        state = {"count": np.array(self._count), "c": self._c.detach().numpy(), "h": self._h.detach().numpy()}
        for name, values in zip("ch", adam_state(self._optimiser), strict=True):
            for moment in MOMENTS if self._count else ():
                state[f"{name}_{moment}"] = values[moment].numpy()
        return {name: array.copy() for name, array in state.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        with torch.no_grad():
            self._c.copy_(tensors["c"])
            self._h.copy_(tensors["h"])
        step = torch.tensor(float(self._count))
        moments = [{m: tensors[f"{name}_{m}"] for m in MOMENTS} for name in "ch"] if self._count else []
        load_adam_state(self._optimiser, [{"step": step, **values} for values in moments])


class ConstantODEFit:
    """Fit u'' + a_1 u' + a_0 u = 0 by Gauss-Newton in a_0, a_1, u(0) and u'(0), minimizing sum over t of (u - y)^2.

    The derivatives of u with respect to the four parameters solve the same ODE with right-hand sides -u, -u' and
    initial values (1, 0) and (0, 1): one more call, which reuses the factorization. The initial guess is the best of a
    grid of dampings and frequencies around the largest spectral peak. A step that does not reduce the sum is rejected
    and damped (Levenberg-Marquardt). record: y (T), evenly spaced by `step`.

    `frequency` = sqrt(a_0 - a_1^2 / 4), 0 if overdamped, and `damping` = a_1 / 2, per unit of time.
    """

    monitored_metric = "loss"
    stage = 0
    total_steps = 30

    def __init__(self, record: Tensor, solver: Solver, *, step: float) -> None:
        self._record, self._solver, self._step = record, solver, step
        self._steps = torch.full((len(record) - 1,), step, dtype=torch.float64)
        self._parameters = self._initial_guess()  # a_0, a_1, u(0), u'(0)
        self._damping, self._count, self._converged = 1e-3, 0, False

    @property
    def done(self) -> bool:
        return self._converged or self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Run one Gauss-Newton step; returns the loss after it."""
        u = self._solution(self._parameters)
        loss, jacobian = self._loss(u), self._sensitivities(u)
        normal = jacobian.T @ jacobian
        right = jacobian.T @ (self._record - u[:, 0])
        while self._damping < 1e12:
            change = torch.linalg.solve(normal + self._damping * normal.diag().diag(), right)
            candidate = self._parameters + change
            new = self._loss(self._solution(candidate))
            if new <= loss:
                self._converged = bool(loss - new <= 1e-12 * loss)
                self._parameters, loss = candidate, new
                self._damping = max(self._damping / 10, 1e-12)
                break
            self._damping *= 10
        else:
            self._converged = True
        self._count += 1
        return {"loss": loss, "frequency": self.frequency, "damping": self.damping}

    @property
    def frequency(self) -> float:
        a_0, a_1 = self._parameters[:2].tolist()
        return float(max(a_0 - a_1**2 / 4, 0.0) ** 0.5)

    @property
    def damping(self) -> float:
        return float(self._parameters[1]) / 2

    def curve(self) -> Tensor:
        """u (T)."""
        return self._solution(self._parameters)[:, 0]

    def coefficients(self) -> np.ndarray:
        """Coefficients of u and u' in u'' = Xi_0 u + Xi_1 u', (candidate, variable)."""
        return -self._parameters[:2, None].numpy()

    def state(self) -> dict[str, np.ndarray]:
        scalars = {"count": self._count, "caution": self._damping, "settled": self._converged}
        return {"numbers": self._parameters.numpy().copy(), **{name: np.array(x) for name, x in scalars.items()}}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._parameters = torch.from_numpy(np.array(state["numbers"]))
        self._count, self._damping = int(state["count"]), float(state["caution"])
        self._converged = bool(state["settled"])

    def _solution(self, parameters: Tensor) -> Tensor:
        """u (T, K) for a_0, a_1, u(0), u'(0)."""
        return self._solve(parameters, torch.zeros(1, 1, dtype=torch.float64), parameters[None, 2:])[0]

    def _solve(self, parameters: Tensor, forcing: Tensor, initial: Tensor) -> Tensor:
        """u (..., B, T, K) for a_0, a_1 in parameters (..., >= 2), forcing (B, T or 1) and initial values (B, 2)."""
        zeros = torch.zeros(*parameters.shape[:-1], self._solver.derivatives - 3, dtype=torch.float64)
        c = torch.cat([parameters[..., :2], torch.ones_like(parameters[..., :1]), zeros], dim=-1)
        return self._solver(c[..., None, None, :], forcing, initial[:, None], self._steps)

    def _sensitivities(self, u: Tensor) -> Tensor:
        """Jacobian (T, 4) of u (T, K) with respect to a_0, a_1, u(0), u'(0)."""
        zeros = torch.zeros_like(u[:, 0])
        forcing = torch.stack([-u[:, 0], -u[:, 1], zeros, zeros])
        initial = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        return self._solve(self._parameters, forcing, initial)[..., 0].T

    def _loss(self, u: Tensor) -> float:
        return float((u[:, 0] - self._record).square().sum())

    def _initial_guess(self) -> Tensor:
        """The best point of a grid in a_0 and a_1, with u(0) and u'(0) by linear least squares."""
        T = len(self._record)
        spectrum = torch.fft.rfft(self._record - self._record.mean()).abs()
        unit = 2 * torch.pi / (T * self._step)
        peak = max(int(spectrum[1:].argmax()) + 1, 1) * unit
        frequencies = peak + unit * torch.linspace(-1, 1, 21, dtype=torch.float64)
        dampings = torch.tensor([0.1, 0.3, 1.0, 3.0], dtype=torch.float64) * unit
        w, c = torch.meshgrid(frequencies.clamp(min=0.1 * unit), dampings, indexing="ij")
        grid = torch.stack([w.square() + c.square(), 2 * c], dim=-1).reshape(-1, 2)
        basis = self._solve(grid, torch.zeros(2, 1, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
        basis = basis[..., 0].mT  # (grid points, T, 2)
        initial = torch.linalg.lstsq(basis, self._record[:, None].expand(len(grid), T, 1)).solution
        errors = (basis @ initial - self._record[:, None]).square().sum((1, 2))
        best = int(errors.argmin())
        return torch.cat([grid[best], initial[best, :, 0]])
