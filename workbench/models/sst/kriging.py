"""Universal kriging with a library of seasonal ODEs: marginal likelihood, posterior probabilities, forecasts.

    y = mean + seasonal cycle + x + m,   x, m as in `ode_library`

The mean and the seasonal harmonics, the steady response of a constant-coefficient ODE to periodic forcing, enter
linearly: for every ODE they are estimated by generalized least squares (variable projection) and integrated out of the
likelihood (REML). The variance of each cell is profiled out. The prior of the ODEs is estimated from all cells
(empirical Bayes by EM, cells weighted by area) and gives their posterior probabilities per cell.
Sources: Patterson and Thompson, Biometrika 58 (1971); Robbins, Proc. 3rd Berkeley Symp. (1956); Cressie, Statistics for
Spatial Data (1993), universal kriging. The combination with a library of ODEs is original to this project.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from workbench.models.sst.ode_library import DAY, ODELibrary

BATCH = 12
"""Library members per batch, which bounds the memory at (BATCH, n, n)."""
CELLS = 4096
"""Cells per batch."""
EM_ITERATIONS = 40


def basis(days: Tensor, harmonics: int) -> Tensor:
    """1 and the annual harmonics (n, 1 + 2 harmonics) at integer days (n)."""
    angle = 2 * pi * DAY * days.double()[:, None] * torch.arange(1, harmonics + 1, dtype=torch.float64)
    return torch.cat([torch.ones(len(days), 1, dtype=torch.float64), angle.cos(), angle.sin()], dim=1)


@dataclass(frozen=True, eq=False)
class Kriging:
    """Generalized least squares of m library members for values y at days (n), with p = 1 + 2 harmonics.

    K covariance, H basis: `inverse` (m, n, n) = K^-1; `solver` G (m, p, n) = (H^T K^-1 H)^-1 H^T K^-1 estimates mean
    and harmonics with covariance `spread` (m, p, p); `projector` P (m, n, n) = K^-1 - K^-1 H G gives the weighted sum
    of squared residuals y^T P y; `log_volume` (m) = log det K + log det H^T K^-1 H.
    """

    projector: Tensor
    solver: Tensor
    inverse: Tensor
    spread: Tensor
    log_volume: Tensor

    @classmethod
    def of(cls, library: ODELibrary, chosen: Tensor, days: Tensor, harmonics: int) -> "Kriging":
        factor = torch.linalg.cholesky(library.covariance(chosen, days, days))
        H = basis(days, harmonics)
        inverse = torch.cholesky_inverse(factor)
        right = inverse @ H
        normal = H.mT @ right
        spread = torch.linalg.inv(normal)
        solver = spread @ right.mT
        log_volume = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + torch.logdet(normal)
        return cls(inverse - right @ solver, solver, inverse, spread, log_volume)


@dataclass(frozen=True)
class Segments:
    """Slices of `length` grid points, from the end of the data; the first contains the remaining points.

    A first segment shorter than half of `length` is omitted.
    """

    points: int
    length: int

    def __iter__(self) -> Iterator[slice]:
        starts = list(range(self.points, 0, -self.length))
        for stop in reversed(starts):
            start = max(stop - self.length, 0)
            if start > 0 or stop - start >= min(self.length, self.points) / 2:
                yield slice(start, stop)


def log_marginal_likelihood(
    library: ODELibrary, chosen: Tensor, days: Tensor, values: Tensor, *, harmonics: int, segment: int
) -> tuple[Tensor, Tensor]:
    """Log marginal likelihood (m, D) of members for values (N, D) at days (N), and the variance (m, D) of each cell.

    Segments of `segment` grid points are treated as independent, so the cost is linear in N.
    """
    squares = torch.zeros(len(chosen), values.shape[1], dtype=torch.float64)
    volume, freedom = torch.zeros(len(chosen), dtype=torch.float64), 0
    kriging, spacing = None, None
    for part in Segments(len(days), segment):
        # segments with the same spacing share the operators: harmonics of a shifted calendar span the same space
        if spacing is None or not torch.equal(days[part].diff(), spacing):
            kriging, spacing = Kriging.of(library, chosen, days[part], harmonics), days[part].diff()
        for first in range(0, values.shape[1], CELLS):
            y = values[part, first : first + CELLS]
            y = y - y.mean(dim=0)  # P removes a constant; subtracting it first reduces rounding errors
            squares[:, first : first + CELLS] += ((kriging.projector @ y) * y).sum(1)
        volume += kriging.log_volume
        freedom += part.stop - part.start - (1 + 2 * harmonics)
    variance = (squares / freedom).clamp(min=torch.finfo(torch.float64).tiny)
    return -0.5 * (volume[:, None] + freedom * variance.log()), variance


def probabilities(log_likelihood: Tensor, area: Tensor) -> Tensor:
    """Posterior probabilities (M, D) of the members per cell, with the maximum-likelihood prior of all cells."""
    likelihood = (log_likelihood - log_likelihood.amax(dim=0)).exp()
    weight = area / area.sum()
    prior = torch.full((len(likelihood),), 1 / len(likelihood), dtype=torch.float64)
    for _ in range(EM_ITERATIONS):
        joint = likelihood * prior[:, None]
        posterior = joint / joint.sum(0)
        prior = posterior @ weight
    return posterior


def leading(posterior: Tensor, area: Tensor, mass: float = 0.99) -> tuple[Tensor, Tensor]:
    """The members with `mass` of the mean probability over all cells, and their renormalized probabilities (m, D)."""
    mean, order = (posterior @ (area / area.sum())).sort(descending=True)
    count = int((mean.cumsum(0) < mass).sum()) + 1
    chosen = order[:count].sort().values
    weights = posterior[chosen] + 1e-12
    return chosen, weights / weights.sum(0)


@dataclass(frozen=True, eq=False)
class KrigingForecaster:
    """Forecasts of the members `chosen`, averaged with `weights` (m, D), their probabilities.

    variance (m, D): of each cell under each member.
    """

    library: ODELibrary
    chosen: Tensor
    weights: Tensor
    variance: Tensor
    harmonics: int

    def operators(self, days: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Per member, the map (m, L, n) from values at days (n) to targets (L), and relative variances (m, L)."""
        maps, variances = [], []
        H = basis(targets, self.harmonics)
        for batch in self.chosen.split(BATCH):
            kriging = Kriging.of(self.library, batch, days, self.harmonics)
            cross = self.library.covariance(batch, targets, days)
            maps.append(H @ kriging.solver + cross @ kriging.projector)
            difference = H - cross @ kriging.inverse @ basis(days, self.harmonics)
            prior = self.library.table[batch, :1]
            explained = ((cross @ kriging.inverse) * cross).sum(-1)
            variances.append(prior - explained + ((difference @ kriging.spread) * difference).sum(-1))
        return torch.cat(maps), torch.cat(variances)

    def __call__(self, operators: tuple[Tensor, Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (L, D) from values (n, D)."""
        maps, relative = operators
        m, L, n = maps.shape
        means, variances = [], []
        for y, weights, variance in zip(
            *(x.split(CELLS // 4, dim=1) for x in (values, self.weights, self.variance)), strict=True
        ):
            level = y.mean(dim=0)
            forecasts = (maps.reshape(m * L, n) @ (y - level)).reshape(m, L, -1)
            mean = torch.einsum("md,mld->ld", weights, forecasts)
            within = torch.einsum("md,ml->ld", weights * variance, relative)
            means.append(mean + level)
            variances.append(within + torch.einsum("md,mld->ld", weights, (forecasts - mean).square()))
        return torch.cat(means, dim=1), torch.cat(variances, dim=1)

    def seasonal(self, days: Tensor, values: Tensor) -> Tensor:
        """Mean and harmonics (m, 1 + 2 harmonics, D) under each member."""
        parts = [Kriging.of(self.library, batch, days, self.harmonics).solver for batch in self.chosen.split(BATCH)]
        return torch.cat(parts) @ values
