"""Joint fit of the parameters of many logistic curves, with one solver call per step."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.engine.tangent import Rows, Tangent

TOLERANCE = 1e-6
"""Convergence: relative decrease of the sum of squares in a step."""
SHOWN = 3
"""Curves whose coefficients are recorded at every step."""


class LogisticFit:
    """Fit N' = a N + b N^2 to each of W curves by Gauss-Newton; r = a, K = -a / b.

    The equation linearized about the present curve n, N' = J N + a n + b n^2 - J n with J = a + 2 b n of the previous
    step, is linear in a, b and N(0). One solver call gives the responses to the three and the offset, for all curves;
    the parameters minimize sum |N - data|^2 of each curve. The first step has J = 0 and n = data. A step that does not
    reduce the error of a curve is rejected for this curve.

    record: data (T, W), evenly spaced by `step`.
    Source: Bellman & Kalaba, "Quasilinearization and Nonlinear Boundary-Value Problems" (1965).
    """

    monitored_metric = "loss"
    stage = 0
    total_steps = 20

    def __init__(self, record: Tensor, rows: Rows, *, step: float) -> None:
        self._data = record.T.contiguous()
        self._rows, self._steps = rows, torch.full((1, 1), step, dtype=torch.float64)
        W = len(self._data)
        self._parameters = torch.zeros(W, 2, dtype=torch.float64)  # a, b
        self._curves, self._squares = self._data.clone(), torch.full((W,), torch.inf, dtype=torch.float64)
        self._count, self._converged = 0, False

    @property
    def done(self) -> bool:
        return self._converged or self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Run one Gauss-Newton step for every curve; loss: root mean square residual after it."""
        parameters, curves = self._solve_linearized()
        squares = (curves - self._data).square().sum(dim=1)
        better = (squares < self._squares) & curves.isfinite().all(dim=1)
        before = float(self._squares.sum())
        for current, new in ((self._parameters, parameters), (self._curves, curves), (self._squares, squares)):
            current[better] = new[better]
        self._converged = before - float(self._squares.sum()) <= TOLERANCE * before < np.inf
        self._count += 1
        return {"loss": float((self._squares.sum() / self._data.numel()).sqrt())}

    def _solve_linearized(self) -> tuple[Tensor, Tensor]:
        """Parameters a, b (W, 2) and curves (W, T) of the linearized problem."""
        n, (a, b) = self._curves, self._parameters.T[..., None]
        jacobian = a + 2 * b * n if self._count else None
        constant = torch.zeros_like(n) if jacobian is None else -jacobian * n
        forcing = torch.stack([torch.zeros_like(n), n, n.square(), constant])[..., None]
        initial = torch.zeros(4, len(n), 1, dtype=n.dtype)
        initial[0] = 1.0
        tangent = Tangent(self._rows, self._steps, None if jacobian is None else jacobian[..., None, None])
        responses = tangent(forcing, initial)[..., 0]  # (4, W, T)
        columns, offset = responses[:3].permute(1, 2, 0), responses[3]
        values = _least_squares(columns, self._data - offset)
        return values[:, 1:], (columns @ values[..., None])[..., 0] + offset

    @property
    def rate(self) -> np.ndarray:
        """r (W)."""
        return self._parameters[:, 0].numpy()

    @property
    def capacity(self) -> np.ndarray:
        """K (W)."""
        return (-self._parameters[:, 0] / self._parameters[:, 1]).numpy()

    def curves(self) -> Tensor:
        """N (T, W)."""
        return self._curves.T

    def coefficients(self) -> np.ndarray:
        """a and b of the first SHOWN curves (candidate, variable)."""
        return self._parameters[:SHOWN].T.numpy().copy()

    def state(self) -> dict[str, np.ndarray]:
        tensors = {"numbers": self._parameters, "curves": self._curves, "squares": self._squares}
        counters = {"count": np.array(self._count), "settled": np.array(self._converged)}
        return {name: tensor.numpy().copy() for name, tensor in tensors.items()} | counters

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._parameters, self._curves, self._squares = (
            torch.from_numpy(np.array(state[name])) for name in ("numbers", "curves", "squares")
        )
        self._count, self._converged = int(state["count"]), bool(state["settled"])


def _least_squares(columns: Tensor, right: Tensor) -> Tensor:
    """Minimizer x (W, P) of |columns x - right|^2 for columns (W, T, P); NaN where it does not exist."""
    lengths = columns.norm(dim=1, keepdim=True).clamp(min=1e-300)
    scaled = columns / lengths
    gram = (scaled.mT @ scaled).numpy()
    # a curve that does not depend on a parameter would make the system singular
    gram += 1e-14 * np.eye(gram.shape[-1])
    x = np.linalg.solve(gram, (scaled.mT @ right[..., None]).numpy())
    return torch.from_numpy(x)[..., 0] / lengths[:, 0]
