"""A motion continued: from a window of it a network makes an ODE whose solution is the window and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.engine.tangent import Rows
from workbench.discovery.solving import solved
from workbench.solver import LinearODE

UNIT_STEP = 0.1
"""The step of the ODE, in a time of its own: the published start of the learned steps."""
DRIFT = 0.01
"""How far windows are moved while learning, over the standard deviation of the record: a roll-out is never quite on
the orbit, and has to find back."""
RIDGE = 1e-8
"""Weight of the size of the output layer, per window."""


@dataclass(frozen=True)
class WindowNetworkConfig:
    """`window` points in and as many out, `hidden` units, `passes` over all windows, each moved anew by `seed`."""

    window: int = 50
    hidden: int = 200
    passes: int = 10
    seed: int = 0


class Continuation:
    """u'' = b(t; x) for every coordinate; b from a network of one hidden layer, whose output layer is solved for.

    The network sees the vector between the two bodies over a window, so that it does not matter where they are. The
    positions of the window are initial rows; the solution covers the window and as many points after it. The solver is
    linear in b and in the window, u = S_b b + S_v w, and b = W phi(x) is linear in the output layer W: the W of least
    sum |u - positions|^2 is S_b^+ R Phi^+, R = positions - S_v w, with a small ridge. The hidden layer is drawn once.
    A step is a pass over all windows, each moved by an offset and a drift of its own; what it adds to the normal
    equations is kept. The published model learns all layers by Adam instead.

    record: positions (N, 4) in the order x1, y1, x2, y2, evenly spaced.
    Source: the two-body example of "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024; Golub &
    Pereyra (1973), for variable projection.
    """

    monitor = None
    era = 0

    def __init__(self, record: Tensor, course: WindowNetworkConfig, rows: Rows) -> None:
        T = course.window
        if len(record) < 2 * T:
            raise ValueError(f"the record: expected two windows of {T} grid points or more, found {len(record)}")
        self.course, self.total_steps = course, course.passes
        self._rows, self._scale = rows, record.std()
        self._positions = record / self._scale
        self._generator = torch.Generator().manual_seed(course.seed)
        self._hidden = self._normal(2 * T, course.hidden) / sqrt(2 * T)
        self._bias = self._normal(course.hidden)
        zeros, eye = torch.zeros(1, 2 * T, dtype=torch.float64), torch.eye(2 * T, dtype=torch.float64)
        self._by_forcing = self._solve(eye, zeros[:, :T]).T
        self._by_window = self._solve(zeros, eye[:T, :T]).T
        self._inverse = torch.from_numpy(np.linalg.pinv(self._by_forcing.numpy(), rcond=RIDGE))
        size = course.hidden + 1
        self._gram = torch.zeros(size, size, dtype=torch.float64)
        self._right = torch.zeros(size, 2 * T * record.shape[1], dtype=torch.float64)
        self._output = torch.zeros_like(self._right)
        self._count = 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """One pass over all windows; the root mean square error of where they lead to, over the deviation."""
        T = self.course.window
        starts = torch.arange(len(self._positions) - 2 * T + 1)[:, None]
        pieces = self._positions[starts + torch.arange(2 * T)]
        moved = self._moved(pieces[:, :T])
        features = self._features(moved)
        forcing = _applied(self._inverse, pieces - _applied(self._by_window, moved))
        self._gram += features.T @ features
        self._right += features.T @ forcing.flatten(1)
        self._count += 1
        ridge = RIDGE * self._count * len(starts) * np.eye(len(self._gram))
        self._output = torch.from_numpy(np.linalg.solve(self._gram.numpy() + ridge, self._right.numpy()))
        error = self._continued(pieces[:, :T]) - pieces
        return {"loss": float(error[:, T:].square().mean().sqrt())}

    def _moved(self, windows: Tensor) -> Tensor:
        """Windows (W, T, D), each coordinate with an offset and a drift."""
        W, T, D = windows.shape
        offset, drift = DRIFT * self._normal(2, W, 1, D)
        return windows + offset + drift * torch.linspace(-1, 0, T, dtype=windows.dtype)[:, None]

    def _features(self, windows: Tensor) -> Tensor:
        """phi (W, hidden + 1) of windows (W, T, 4)."""
        apart = (windows[..., 2:] - windows[..., :2]).flatten(1)
        hidden = torch.tanh(apart @ self._hidden + self._bias)
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=1)

    def _continued(self, windows: Tensor) -> Tensor:
        """Positions (W, 2 T, 4): the windows (W, T, 4) and what comes next."""
        forcing = (self._features(windows) @ self._output).unflatten(1, (-1, windows.shape[2]))
        return _applied(self._by_forcing, forcing) + _applied(self._by_window, windows)

    def _solve(self, forcing: Tensor, window: Tensor) -> Tensor:
        """u (B, 2 T) of u'' = b for b (B, 2 T) and initial rows (B, T)."""
        c = torch.zeros(1, 1, 1, self._rows.derivatives, dtype=torch.float64)
        c[..., 2] = 1.0
        steps = torch.full((1,), UNIT_STEP, dtype=torch.float64)
        problem = LinearODE(c, forcing[..., None], window[..., None, None], steps)
        return solved(problem, self._rows.backend, self._rows.method)[..., 0, 0]

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64)

    def roll_out(self, start: Tensor, points: int) -> Tensor:
        """Positions (points, 4) after the window `start` (T, 4), each window of them from the one before.

        NaN from where they are far away.
        """
        T = self.course.window
        pieces = [(start / self._scale)[None]]
        while len(pieces) * T < points + T:
            after = self._continued(pieces[-1])[:, T:]
            pieces.append(torch.where((after.abs() < 100).all(), after, torch.nan))
        return torch.cat(pieces[1:], dim=1)[0, :points] * self._scale

    def coefficients(self) -> None:
        """None: the forcing belongs to a window, not to an equation."""

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


def _applied(matrix: Tensor, series: Tensor) -> Tensor:
    """A matrix (M, N) along the time of series (W, N, D): (W, M, D). A broadcast product would copy it W times."""
    return torch.einsum("mn,wnd->wmd", matrix, series)
