"""Validation of the solver: error against a closed form for increasing numbers of derivatives."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.solving import solve_states
from workbench.solver import LinearODE

DERIVATIVES = (2, 3, 4, 5)


class Validation:
    """Solve y' = A y + b from y(0) with K = 2, 3, 4, 5 derivatives per grid point, one K per step; no training.

    Error: max over t and variables of |u - exact|, over max |exact|. Only y(0) is given; all weights are 1.
    exact: (T, D), evenly spaced by `step`. A (D, D), b (D).
    """

    monitored_metric = None
    stage = 0
    total_steps = len(DERIVATIVES)

    def __init__(self, exact: Tensor, A: Tensor, b: Tensor, *, step: float, backend: str, method: str) -> None:
        self._exact, self._A, self._b, self._step = exact, A, b, step
        self._backend, self._method = backend, method
        self._count = 0
        self._curve = torch.full_like(exact, torch.nan)
        self.errors: dict[int, float] = {}

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Solve with the next K; loss: its error."""
        K = DERIVATIVES[self._count]
        self._curve = self._solve(K)
        self.errors[K] = float((self._curve - self._exact).abs().max() / self._exact.abs().max())
        self._count += 1
        return {"loss": self.errors[K], "derivatives": float(K)}

    def _solve(self, K: int) -> Tensor:
        """u (T, D)."""
        T, D = self._exact.shape
        c = torch.zeros(1, D, D, K, dtype=torch.float64)
        c[0, :, :, 0], c[0, :, :, 1] = -self._A, torch.eye(D, dtype=torch.float64)
        steps = torch.full((T - 1,), self._step, dtype=torch.float64)
        problem = LinearODE(c, self._b[None], self._exact[:1, :, None], steps)
        return solve_states(problem, self._backend, self._method)[..., 0]

    def curve(self) -> Tensor:
        """u (T, D) of the last K; NaN before the first step."""
        return self._curve

    def coefficients(self) -> None:
        """None: the coefficients are given."""

    def state(self) -> dict[str, np.ndarray]:
        errors = np.array([self.errors[K] for K in DERIVATIVES[: self._count]])
        return {"count": np.array(self._count), "curve": self._curve.numpy().copy(), "errors": errors}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count, self._curve = int(state["count"]), torch.from_numpy(np.array(state["curve"]))
        self.errors = dict(zip(DERIVATIVES, np.array(state["errors"]).tolist(), strict=False))
