"""Library of noise-driven linear ODEs for anomalies about a mean and a seasonal cycle.

    x'' + c1 x' + c0 x = white noise      fast component: two rates or a damped oscillation; first order: x' + c0 x
    m' + m / tau       = white noise      slow component, with `share` times the variance of the fast one

The autocovariance of the solution solves the ODE itself, from (1, 0) for second order and (1, -c0) for first order
(Onsager's regression; Yule and Walker). One solver call, with one system per ODE on a grid of days, thus gives the
covariances of data at any times that are whole days apart.
"""

from dataclasses import dataclass, field
from itertools import product
from math import inf, pi

import torch
from torch import Tensor

from workbench.solver import LinearODE, solve

DAY = 1 / 365.2425
DERIVATIVES = 6
JITTER = 1e-6
"""Relative variance of white measurement noise, which keeps covariances invertible."""


@dataclass(frozen=True)
class Ode:
    """A library member. Rates are per year, `slow` is tau in years; c1 is None for first order."""

    c0: float
    c1: float | None
    slow: float
    share: float

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Coefficients of x, x', x''."""
        return (self.c0, 1.0, 0.0) if self.c1 is None else (self.c0, self.c1, 1.0)

    @property
    def damping(self) -> float:
        """Decay rate of the slowest mode of x, per year."""
        if self.c1 is None:
            return self.c0
        root = self.c1**2 / 4 - self.c0
        return self.c1 / 2 - max(root, 0.0) ** 0.5

    @property
    def frequency(self) -> float:
        """Angular frequency in radians per year; 0 if x does not oscillate."""
        return 0.0 if self.c1 is None else max(self.c0 - self.c1**2 / 4, 0.0) ** 0.5


def members(
    fast: tuple[float, ...] = (1.5, 2.5, 4.0, 6.0, 9.0),
    inertia: tuple[float, ...] = (0.0, 0.5, 1.0),
    shares: tuple[float, ...] = (0.03, 0.1, 0.3, 0.8),
    slow: tuple[float, ...] = (3.0, 10.0),
) -> tuple[Ode, ...]:
    """Members that decay over `fast` months after `inertia` months (0: first order), or oscillate in 1.5 to 4 years."""
    odes = []
    for decay, lag, share, years in product(fast, inertia, shares, slow):
        a, b = 12 / decay, 12 / lag if lag else inf
        if b > 1.2 * a:
            odes.append(Ode(a, None, years, share) if lag == 0 else Ode(a * b, a + b, years, share))
    for decay, period, share in product((6.0, 12.0), (18.0, 30.0, 48.0), (0.03, 0.2)):
        a, w = 12 / decay, 24 * pi / period
        odes.append(Ode(a**2 + w**2, 2 * a, 10.0, share))
    return tuple(odes)


@dataclass(frozen=True, eq=False)
class ODELibrary:
    """Members and `table` (M, days + 1), their autocovariances at lags 0 to `days`; 1 + share at lag 0."""

    odes: tuple[Ode, ...]
    days: int
    backend: str = "auto"
    method: str = "qr"
    table: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        fast = self._responses([ode.coefficients for ode in self.odes], [0.0 if o.c1 else -o.c0 for o in self.odes])
        times = sorted({ode.slow for ode in self.odes})
        slow = self._responses([(1 / time, 1.0, 0.0) for time in times], [-1 / time for time in times])
        chosen = torch.tensor([times.index(ode.slow) for ode in self.odes])
        shares = torch.tensor([ode.share for ode in self.odes], dtype=torch.float64)
        object.__setattr__(self, "table", fast + shares[:, None] * slow[chosen])

    def __len__(self) -> int:
        return len(self.odes)

    def _responses(self, coefficients: list[tuple[float, float, float]], derivatives: list[float]) -> Tensor:
        """Homogeneous solutions (M, days + 1) with initial value 1 and the given initial derivatives."""
        c = torch.zeros(len(derivatives), 1, 1, 1, DERIVATIVES, dtype=torch.float64)
        c[:, 0, 0, 0, :3] = torch.tensor(coefficients, dtype=torch.float64)
        start = torch.stack([torch.ones(len(derivatives)), torch.tensor(derivatives)], dim=-1).double()
        problem = LinearODE(
            c,
            c.new_zeros(1, 1),
            start[:, None, None],
            c.new_full((1,), DAY),
            n_steps=max(self.days, 1) + 1,
        )
        return solve(problem, backend=self.backend, method=self.method).u[..., 0, 0]

    def covariance(self, chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Covariance (len(chosen), n, k) of x + m between days `one` (n) and `other` (k).

        Raises ValueError for a lag beyond the table.
        """
        lags = (one[:, None] - other).abs()
        if lags.numel() and int(lags.max()) > self.days:
            raise ValueError(f"lags: expected at most {self.days} days, found {int(lags.max())}")
        return self.table[chosen][:, lags] + JITTER * (lags == 0)
