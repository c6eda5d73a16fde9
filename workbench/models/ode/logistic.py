"""Parameters of many curves at once: one logistic equation per curve, all of them in one call of the solver."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.engine.tangent import Rows, Tangent

SETTLED = 1e-6
"""Relative gain of a step in the sum of squares below which there is nothing left to learn."""
REMEMBERED = 3
"""Curves whose coefficients are shown step by step."""


class LogisticFit:
    """N' = a N + b N^2 on each of W curves, by Gauss-Newton: r = a, K = -a / b.

    The equation linearised about the present curve n, N' = J N + a n + b n^2 - J n with J = a + 2 b n of the step
    before, is linear in a, b and N(0); the solver answers to each of the three and to what is known, for all curves at
    once, and they minimise sum |N - data|^2 curve by curve. The first step has J = 0 and n = data. A step in which a
    curve does not come closer to its data is not taken there.

    record: data (T, W), evenly spaced by `step`. Source: Bellman & Kalaba, "Quasilinearization and Nonlinear
    Boundary-Value Problems" (1965).
    """

    monitor = "loss"
    era = 0
    total_steps = 20

    def __init__(self, record: Tensor, rows: Rows, *, step: float) -> None:
        self._data = record.T.contiguous()
        self._rows, self._steps = rows, torch.full((1, 1), step, dtype=torch.float64)
        W = len(self._data)
        self._numbers = torch.zeros(W, 2, dtype=torch.float64)  # a, b
        self._curves, self._squares = self._data.clone(), torch.full((W,), torch.inf, dtype=torch.float64)
        self._count, self._settled = 0, False

    @property
    def done(self) -> bool:
        return self._settled or self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """One step of Gauss-Newton on every curve; the root mean square of what is left over after it."""
        numbers, curves = self._improved()
        squares = (curves - self._data).square().sum(dim=1)
        better = (squares < self._squares) & curves.isfinite().all(dim=1)
        before = float(self._squares.sum())
        for kept, new in ((self._numbers, numbers), (self._curves, curves), (self._squares, squares)):
            kept[better] = new[better]
        self._settled = before - float(self._squares.sum()) <= SETTLED * before < np.inf
        self._count += 1
        return {"loss": float((self._squares.sum() / self._data.numel()).sqrt())}

    def _improved(self) -> tuple[Tensor, Tensor]:
        """(a, b) (W, 2) and curves (W, T), the solution of the linearised problem."""
        n, (a, b) = self._curves, self._numbers.T[..., None]
        slopes = a + 2 * b * n if self._count else None
        known = torch.zeros_like(n) if slopes is None else -slopes * n
        forcing = torch.stack([torch.zeros_like(n), n, n.square(), known])[..., None]
        initial = torch.zeros(4, len(n), 1, dtype=n.dtype)
        initial[0] = 1.0
        tangent = Tangent(self._rows, self._steps, None if slopes is None else slopes[..., None, None])
        answers = tangent(forcing, initial)[..., 0]  # (4, W, T)
        columns, offset = answers[:3].permute(1, 2, 0), answers[3]
        values = _least_squares(columns, self._data - offset)
        return values[:, 1:], (columns @ values[..., None])[..., 0] + offset

    @property
    def rate(self) -> np.ndarray:
        """r (W)."""
        return self._numbers[:, 0].numpy()

    @property
    def capacity(self) -> np.ndarray:
        """K (W)."""
        return (-self._numbers[:, 0] / self._numbers[:, 1]).numpy()

    def curves(self) -> Tensor:
        """N (T, W)."""
        return self._curves.T

    def coefficients(self) -> np.ndarray:
        """a and b of the first REMEMBERED curves (candidate, variable)."""
        return self._numbers[:REMEMBERED].T.numpy().copy()

    def state(self) -> dict[str, np.ndarray]:
        tensors = {"numbers": self._numbers, "curves": self._curves, "squares": self._squares}
        counters = {"count": np.array(self._count), "settled": np.array(self._settled)}
        return {name: tensor.numpy().copy() for name, tensor in tensors.items()} | counters

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._numbers, self._curves, self._squares = (
            torch.from_numpy(np.array(state[name])) for name in ("numbers", "curves", "squares")
        )
        self._count, self._settled = int(state["count"]), bool(state["settled"])


def _least_squares(columns: Tensor, right: Tensor) -> Tensor:
    """x (W, P) that minimises |columns x - right|^2 for columns (W, T, P); NaN where there is no such x."""
    lengths = columns.norm(dim=1, keepdim=True).clamp(min=1e-300)
    scaled = columns / lengths
    gram = (scaled.mT @ scaled).numpy()
    # a curve that tells nothing of a parameter would make the system singular
    gram += 1e-14 * np.eye(gram.shape[-1])
    x = np.linalg.solve(gram, (scaled.mT @ right[..., None]).numpy())
    return torch.from_numpy(x)[..., 0] / lengths[:, 0]
