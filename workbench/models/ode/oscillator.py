"""One curve as the solution of one linear ODE: coefficients that vary along the record, or two numbers to read off."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.solving import solved
from workbench.solver import LinearODE


@dataclass(frozen=True)
class Solver:
    """How the ODE is solved: K derivatives per grid point, and by whom."""

    derivatives: int
    backend: str
    method: str

    def __call__(self, coefficients: Tensor, forcing: Tensor, initial: Tensor, steps: Tensor) -> Tensor:
        """u (B, T, K) of sum_k c[t,k] u_k = r, for c (T or 1, K), r (B, T or 1), initial (B, T0, K0), steps (T-1)."""
        problem = LinearODE(coefficients[..., None, None, :], forcing[..., None], initial[..., None, :], steps)
        return solved(problem, self.backend, self.method)[..., 0, :]


class TimeVaryingODEFit:
    """sum_k c_k(t) u_k = 1 with c (T, K) and the T - 1 steps learned by Adam; no initial rows. The published example.

    Loss: sum over t of (u - y)^2. c starts uniform on [0, 1), the steps, sigmoids of what is learned, at `step`.
    record: y (T). With so many numbers the fit goes below the noise: it does not say what the curve is.
    Source: the sine example of "Scalable Mechanistic Neural Networks", ICLR 2025.
    """

    monitor = "loss"
    era = 0

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
        """One step of Adam; the loss before it."""
        self._optimiser.zero_grad()
        loss = (self.curve() - self._record).square().sum()
        loss.backward()
        self._optimiser.step()
        self._count += 1
        return {"loss": loss.item()}

    def curve(self) -> Tensor:
        """u (T)."""
        forcing, nothing = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 0, 1, dtype=torch.float64)
        return self._solver(self._c, forcing, nothing, self._h.sigmoid())[0, :, 0]

    def coefficients(self) -> None:
        """None: what is learned belongs to the grid points, not to an equation."""

    def state(self) -> dict[str, np.ndarray]:
        state = {"count": np.array(self._count), "c": self._c.detach().numpy(), "h": self._h.detach().numpy()}
        for name, x in (("c", self._c), ("h", self._h)):
            for moment in ("exp_avg", "exp_avg_sq") if self._count else ():
                state[f"{name}_{moment}"] = self._optimiser.state[x][moment].numpy()
        return {name: array.copy() for name, array in state.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        self._optimiser.state.clear()
        for name, x in (("c", self._c), ("h", self._h)):
            with torch.no_grad():
                x.copy_(torch.from_numpy(np.array(state[name])))
            if self._count:
                remembered = self._optimiser.state.setdefault(x, {"step": torch.tensor(float(self._count))})
                for moment in ("exp_avg", "exp_avg_sq"):
                    remembered[moment] = torch.from_numpy(np.array(state[f"{name}_{moment}"]))


class ConstantODEFit:
    """u'' + a_1 u' + a_0 u = 0 with a_0, a_1, u(0) and u'(0) fitted by Gauss-Newton, sum over t of (u - y)^2.

    The derivatives of u to the four numbers solve the same ODE with other right-hand sides, -u, -u', and initial values
    (1, 0) and (0, 1): one more call, which shares the factor. The start is the best of a grid of frequencies around the
    largest peak of the spectrum and of dampings. A step that does not lower the sum is taken back and shortened
    (Levenberg and Marquardt). record: y (T), every `step` of time.

    `frequency` = sqrt(a_0 - a_1^2 / 4), 0 if the motion is overdamped, and `damping` = a_1 / 2, per unit of time.
    """

    monitor = "loss"
    era = 0
    total_steps = 30

    def __init__(self, record: Tensor, solver: Solver, *, step: float) -> None:
        self._record, self._solver, self._step = record, solver, step
        self._steps = torch.full((len(record) - 1,), step, dtype=torch.float64)
        self._numbers = self._start()  # a_0, a_1, u(0), u'(0)
        self._caution, self._count, self._settled = 1e-3, 0, False

    @property
    def done(self) -> bool:
        return self._settled or self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """One step of Gauss-Newton; the loss after it."""
        u = self._solve(self._numbers, torch.zeros(1, 1, dtype=torch.float64), self._numbers[None, 2:])[0]
        loss, gradient = self._loss(u), self._sensitivities(u)
        normal = gradient.T @ gradient
        right = gradient.T @ (self._record - u[:, 0])
        while self._caution < 1e12:
            change = torch.linalg.solve(normal + self._caution * normal.diag().diag(), right)
            tried = self._numbers + change
            new = self._loss(self._solve(tried, torch.zeros(1, 1, dtype=torch.float64), tried[None, 2:])[0])
            if new <= loss:
                self._settled = bool(loss - new <= 1e-12 * loss)
                self._numbers, loss = tried, new
                self._caution = max(self._caution / 10, 1e-12)
                break
            self._caution *= 10
        else:
            self._settled = True
        self._count += 1
        return {"loss": loss, "frequency": self.frequency, "damping": self.damping}

    @property
    def frequency(self) -> float:
        a_0, a_1 = self._numbers[:2].tolist()
        return float(max(a_0 - a_1**2 / 4, 0.0) ** 0.5)

    @property
    def damping(self) -> float:
        return float(self._numbers[1]) / 2

    def curve(self) -> Tensor:
        """u (T)."""
        return self._solve(self._numbers, torch.zeros(1, 1, dtype=torch.float64), self._numbers[None, 2:])[0, :, 0]

    def coefficients(self) -> np.ndarray:
        """Of u and u' in u'' = Xi_0 u + Xi_1 u', (candidate, variable)."""
        return -self._numbers[:2, None].numpy()

    def state(self) -> dict[str, np.ndarray]:
        numbers = {"count": self._count, "caution": self._caution, "settled": self._settled}
        return {"numbers": self._numbers.numpy().copy(), **{name: np.array(x) for name, x in numbers.items()}}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._numbers = torch.from_numpy(np.array(state["numbers"]))
        self._count, self._caution, self._settled = int(state["count"]), float(state["caution"]), bool(state["settled"])

    def _solve(self, numbers: Tensor, forcing: Tensor, start: Tensor) -> Tensor:
        """u (..., B, T, K) for a_0, a_1 in numbers (..., 2 and more), forcing (B, T or 1), start (B, 2)."""
        zeros = torch.zeros(*numbers.shape[:-1], self._solver.derivatives - 3, dtype=torch.float64)
        c = torch.cat([numbers[..., :2], torch.ones_like(numbers[..., :1]), zeros], dim=-1)
        return self._solver(c[..., None, None, :], forcing, start[:, None], self._steps)

    def _sensitivities(self, u: Tensor) -> Tensor:
        """(T, 4): derivatives of u (T, K) to a_0, a_1, u(0), u'(0)."""
        nothing = torch.zeros_like(u[:, 0])
        forcing = torch.stack([-u[:, 0], -u[:, 1], nothing, nothing])
        start = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        return self._solve(self._numbers, forcing, start)[..., 0].T

    def _loss(self, u: Tensor) -> float:
        return float((u[:, 0] - self._record).square().sum())

    def _start(self) -> Tensor:
        """The best of a grid; of every point of it u(0) and u'(0) by linear least squares."""
        T = len(self._record)
        spectrum = torch.fft.rfft(self._record - self._record.mean()).abs()
        unit = 2 * torch.pi / (T * self._step)
        peak = max(int(spectrum[1:].argmax()) + 1, 1) * unit
        frequencies = peak + unit * torch.linspace(-1, 1, 21, dtype=torch.float64)
        dampings = torch.tensor([0.1, 0.3, 1.0, 3.0], dtype=torch.float64) * unit
        w, c = torch.meshgrid(frequencies.clamp(min=0.1 * unit), dampings, indexing="ij")
        tried = torch.stack([w.square() + c.square(), 2 * c], dim=-1).reshape(-1, 2)
        basis = self._solve(tried, torch.zeros(2, 1, dtype=torch.float64), torch.eye(2, dtype=torch.float64))
        basis = basis[..., 0].mT  # (points of the grid, T, 2)
        starts = torch.linalg.lstsq(basis, self._record[:, None].expand(len(tried), T, 1)).solution
        misfit = (basis @ starts - self._record[:, None]).square().sum((1, 2))
        best = int(misfit.argmin())
        return torch.cat([tried[best], starts[best, :, 0]])
