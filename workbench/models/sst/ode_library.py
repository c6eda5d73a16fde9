"""A library of linear ODEs for a quantity that noise drives around a rest level and a seasonal cycle.

    x'' + c1 x' + c0 x = white noise      the fast part: two rates, or a damped oscillation; of first order: x' + c0 x
    m' + m / tau       = white noise      the slow part, `share` times the variance of the fast one

The autocovariance of the solution of such an ODE solves the ODE itself, from (1, 0) for the second order and (1, -c0)
for the first (Onsager's regression; Yule and Walker): so one call of the solver, with a system per ODE on a grid of
days, gives everything that is needed to judge the ODEs by data at any times that are whole days apart.
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
"""Share of white measurement noise in the variance: it keeps covariances invertible."""


@dataclass(frozen=True)
class Ode:
    """One member. Rates are per year, `slow` in years; c1 is None for the first order."""

    c0: float
    c1: float | None
    slow: float
    share: float

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """Of x, x', x''."""
        return (self.c0, 1.0, 0.0) if self.c1 is None else (self.c0, self.c1, 1.0)

    @property
    def damping(self) -> float:
        """The rate at which the slowest part of an anomaly x dies, per year."""
        if self.c1 is None:
            return self.c0
        root = self.c1**2 / 4 - self.c0
        return self.c1 / 2 - max(root, 0.0) ** 0.5

    @property
    def frequency(self) -> float:
        """Of the oscillation, in radians per year; 0 where x only decays."""
        return 0.0 if self.c1 is None else max(self.c0 - self.c1**2 / 4, 0.0) ** 0.5


def members(
    fast: tuple[float, ...] = (1.5, 2.5, 4.0, 6.0, 9.0),
    inertia: tuple[float, ...] = (0.0, 0.5, 1.0),
    shares: tuple[float, ...] = (0.03, 0.1, 0.3, 0.8),
    slow: tuple[float, ...] = (3.0, 10.0),
) -> tuple[Ode, ...]:
    """Decays over `fast` months after `inertia` months (0: first order), and oscillations of 1.5 to 4 years."""
    found = []
    for decay, lag, share, years in product(fast, inertia, shares, slow):
        a, b = 12 / decay, 12 / lag if lag else inf
        if b > 1.2 * a:
            found.append(Ode(a, None, years, share) if lag == 0 else Ode(a * b, a + b, years, share))
    for decay, period, share in product((6.0, 12.0), (18.0, 30.0, 48.0), (0.03, 0.2)):
        a, w = 12 / decay, 24 * pi / period
        found.append(Ode(a**2 + w**2, 2 * a, 10.0, share))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class ODELibrary:
    """The members and their autocovariances at lags of 0, 1, .. `days` days: `table` (M, days + 1), 1 + share at 0."""

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

    def _responses(self, coefficients: list[tuple[float, float, float]], slopes: list[float]) -> Tensor:
        """The solutions (M, days + 1) from 1 with these slopes, without forcing."""
        c = torch.zeros(len(slopes), 1, 1, 1, DERIVATIVES, dtype=torch.float64)
        c[:, 0, 0, 0, :3] = torch.tensor(coefficients, dtype=torch.float64)
        start = torch.stack([torch.ones(len(slopes)), torch.tensor(slopes)], dim=-1).double()
        problem = LinearODE(
            c,
            c.new_zeros(1, 1),
            start[:, None, None],
            c.new_full((1,), DAY),
            n_steps=max(self.days, 1) + 1,
        )
        return solve(problem, backend=self.backend, method=self.method).u[..., 0, 0]

    def covariance(self, chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Of x + m between days `one` (n) and `other` (k), for the members `chosen`: (len(chosen), n, k).

        Raises ValueError for a lag beyond the table.
        """
        lags = (one[:, None] - other).abs()
        if lags.numel() and int(lags.max()) > self.days:
            raise ValueError(f"lags: expected at most {self.days} days, found {int(lags.max())}")
        return self.table[chosen][:, lags] + JITTER * (lags == 0)
