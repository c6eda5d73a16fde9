"""Window network: predicts, from a window of a trajectory, an ODE whose solution extends over the next window."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.engine.tangent import Rows
from workbench.discovery.solving import solve_states
from workbench.solver import LinearODE

UNIT_STEP = 0.1
"""Step of the ODE in its internal time: the published initial value of the learned steps."""
DRIFT = 0.01
"""Shift of training windows, over the standard deviation of the data: a roll-out leaves the orbit slightly, and the
network must return to it."""
RIDGE = 1e-8
"""Ridge penalty of the output layer, per window."""


@dataclass(frozen=True)
class WindowNetworkConfig:
    """Window length, hidden units and epochs (`passes`) of a `Continuation`; `seed` of its weights and shifts."""

    window: int = 50
    hidden: int = 200
    passes: int = 10
    seed: int = 0


class Continuation:
    """u'' = b(t; x) for every coordinate, with b from a network of one hidden layer and a least-squares output layer.

    The input of the network is the vector between the two bodies over a window, so that predictions are invariant to
    translation. The positions of the window are initial rows; the solution covers the window and as many points after
    it. The solution is linear in b and in the window w, u = S_b b + S_v w, and b = W phi(x) is linear in the output
    layer W: the W that minimizes sum |u - positions|^2 is S_b^+ R Phi^+, R = positions - S_v w, with a small ridge
    penalty. The hidden layer is random and fixed. A step is an epoch over all windows, each with a random offset and
    drift, which accumulates the normal equations. The published model trains all layers by Adam instead.

    record: positions (N, 4) in the order x1, y1, x2, y2, evenly spaced. Raises ValueError for fewer than 2 T points.
    Source: the two-body example of "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024; Golub &
    Pereyra (1973), for variable projection.
    """

    monitored_metric = None
    stage = 0

    def __init__(self, record: Tensor, config: WindowNetworkConfig, rows: Rows) -> None:
        T = config.window
        if len(record) < 2 * T:
            raise ValueError(f"record: expected at least two windows of {T} grid points, found {len(record)}")
        self.config, self.total_steps = config, config.passes
        self._rows, self._scale = rows, record.std()
        self._positions = record / self._scale
        self._generator = torch.Generator().manual_seed(config.seed)
        self._hidden = self._normal(2 * T, config.hidden) / sqrt(2 * T)
        self._bias = self._normal(config.hidden)
        zeros, eye = torch.zeros(1, 2 * T, dtype=torch.float64), torch.eye(2 * T, dtype=torch.float64)
        self._forcing_response = self._solve(eye, zeros[:, :T]).T
        self._window_response = self._solve(zeros, eye[:T, :T]).T
        self._inverse = torch.from_numpy(np.linalg.pinv(self._forcing_response.numpy(), rcond=RIDGE))
        size = config.hidden + 1
        self._gram = torch.zeros(size, size, dtype=torch.float64)
        self._right = torch.zeros(size, 2 * T * record.shape[1], dtype=torch.float64)
        self._output = torch.zeros_like(self._right)
        self._count = 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Run one epoch; loss: root mean square error of the predicted windows, over the standard deviation."""
        T = self.config.window
        starts = torch.arange(len(self._positions) - 2 * T + 1)[:, None]
        segments = self._positions[starts + torch.arange(2 * T)]
        shifted = self._shift(segments[:, :T])
        features = self._features(shifted)
        forcing = _apply(self._inverse, segments - _apply(self._window_response, shifted))
        self._gram += features.T @ features
        self._right += features.T @ forcing.flatten(1)
        self._count += 1
        ridge = RIDGE * self._count * len(starts) * np.eye(len(self._gram))
        self._output = torch.from_numpy(np.linalg.solve(self._gram.numpy() + ridge, self._right.numpy()))
        error = self._predict(segments[:, :T]) - segments
        return {"loss": float(error[:, T:].square().mean().sqrt())}

    def _shift(self, windows: Tensor) -> Tensor:
        """Add a random offset and drift to each coordinate of windows (W, T, D)."""
        W, T, D = windows.shape
        offset, drift = DRIFT * self._normal(2, W, 1, D)
        return windows + offset + drift * torch.linspace(-1, 0, T, dtype=windows.dtype)[:, None]

    def _features(self, windows: Tensor) -> Tensor:
        """phi (W, hidden + 1) of windows (W, T, 4)."""
        difference = (windows[..., 2:] - windows[..., :2]).flatten(1)
        hidden = torch.tanh(difference @ self._hidden + self._bias)
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)

    def _predict(self, windows: Tensor) -> Tensor:
        """Positions (W, 2 T, 4) over windows (W, T, 4) and the next T points."""
        forcing = (self._features(windows) @ self._output).unflatten(1, (-1, windows.shape[2]))
        return _apply(self._forcing_response, forcing) + _apply(self._window_response, windows)

    def _solve(self, forcing: Tensor, window: Tensor) -> Tensor:
        """u (B, 2 T) of u'' = b for b (B, 2 T) and initial rows (B, T)."""
        c = torch.zeros(1, 1, 1, self._rows.derivatives, dtype=torch.float64)
        c[..., 2] = 1.0
        steps = torch.full((1,), UNIT_STEP, dtype=torch.float64)
        problem = LinearODE(c, forcing[..., None], window[..., None, None], steps)
        return solve_states(problem, self._rows.backend, self._rows.method)[..., 0, 0]

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64)

    def roll_out(self, start: Tensor, points: int) -> Tensor:
        """Predict the positions (points, 4) after the window `start` (T, 4), window by window; NaN after divergence."""
        T = self.config.window
        segments = [(start / self._scale)[None]]
        while len(segments) * T < points + T:
            following = self._predict(segments[-1])[:, T:]
            segments.append(torch.where((following.abs() < 100).all(), following, torch.nan))
        return torch.cat(segments[1:], dim=1)[0, :points] * self._scale

    def coefficients(self) -> None:
        """None: the forcing depends on the window."""

    def state(self) -> dict[str, np.ndarray]:
        tensors = {"gram": self._gram, "right": self._right, "output": self._output}
        counters = {"count": np.array(self._count), "generator": self._generator.get_state().numpy().copy()}
        return {name: tensor.numpy().copy() for name, tensor in tensors.items()} | counters

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._gram, self._right, self._output = (
            torch.from_numpy(np.array(state[name])) for name in ("gram", "right", "output")
        )
        self._count = int(state["count"])
        self._generator.set_state(torch.from_numpy(np.array(state["generator"])))


def _apply(matrix: Tensor, series: Tensor) -> Tensor:
    """Product (W, M, D) of a matrix (M, N) and series (W, N, D). A broadcast product would copy the matrix W times."""
    return torch.einsum("mn,wnd->wmd", matrix, series)
