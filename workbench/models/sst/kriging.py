"""Seasonal ODEs for every cell at once: evidence, projection of the forcing, forecasts with their uncertainty.

    y = rest + seasonal cycle + x + m,   x, m as in `ode_library`

The rest level and the seasonal harmonics, the steady answer of a constant-coefficient ODE to periodic forcing, enter
linearly: for every ODE they are solved for exactly (generalised least squares, variable projection) and integrated out
of the evidence (REML). The variance of each cell is profiled out. What is left are probabilities of the library's ODEs
per cell, whose prior is learned from all cells together (empirical Bayes by EM, cells weighted by area).
Sources: Patterson and Thompson, Biometrika 58 (1971); Robbins, Proc. 3rd Berkeley Symp. (1956); Cressie, Statistics for
Spatial Data (1993), universal kriging. The combination with a library of ODEs is this project's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from workbench.models.sst.ode_library import DAY, ODELibrary

BATCH = 12
"""Members treated together: it bounds the memory at (BATCH, n, n)."""
CELLS = 4096
ROUNDS = 40


def basis(days: Tensor, harmonics: int) -> Tensor:
    """1 and the harmonics of the year at whole days (n): (n, 1 + 2 harmonics)."""
    angle = 2 * pi * DAY * days.double()[:, None] * torch.arange(1, harmonics + 1, dtype=torch.float64)
    return torch.cat([torch.ones(len(days), 1, dtype=torch.float64), angle.cos(), angle.sin()], dim=1)


@dataclass(frozen=True, eq=False)
class Kriging:
    """What members say of values at days (n): `projector` P (m, n, n), `solver` G (m, 1 + 2 harmonics, n), `spread`
    (m, p, p) of what G estimates, `log_volume` (m): log det K + log det H^T K^-1 H.

    K covariance, H basis: G = (H^T K^-1 H)^-1 H^T K^-1 gives rest and harmonics, P = K^-1 - K^-1 H G the rest of a
    value that they do not explain: y^T P y is the misfit.
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
    """A record cut for judging: `length` grid points each, from the end; the first is as long as what is left.

    A first piece shorter than half of the others is left out.
    """

    points: int
    length: int

    def __iter__(self) -> Iterator[slice]:
        starts = list(range(self.points, 0, -self.length))
        for stop in reversed(starts):
            start = max(stop - self.length, 0)
            if start > 0 or stop - start >= min(self.length, self.points) / 2:
                yield slice(start, stop)


def evidence(
    library: ODELibrary, chosen: Tensor, days: Tensor, values: Tensor, *, harmonics: int, piece: int
) -> tuple[Tensor, Tensor]:
    """The log evidence (m, D) of members for values (N, D) at days (N), and the variance of each cell under each.

    The record is judged in pieces of `piece` grid points, as if they were independent: the cost is linear in N.
    """
    misfit = torch.zeros(len(chosen), values.shape[1], dtype=torch.float64)
    volume, free = torch.zeros(len(chosen), dtype=torch.float64), 0
    kriging, spacing = None, None
    for part in Segments(len(days), piece):
        # a piece with the same spacing is the same problem: harmonics of a shifted calendar span the same space
        if spacing is None or not torch.equal(days[part].diff(), spacing):
            kriging, spacing = Kriging.of(library, chosen, days[part], harmonics), days[part].diff()
        for first in range(0, values.shape[1], CELLS):
            some = values[part, first : first + CELLS]
            some = some - some.mean(dim=0)  # P removes a constant: this keeps the digits
            misfit[:, first : first + CELLS] += ((kriging.projector @ some) * some).sum(1)
        volume += kriging.log_volume
        free += part.stop - part.start - (1 + 2 * harmonics)
    variance = (misfit / free).clamp(min=torch.finfo(torch.float64).tiny)
    return -0.5 * (volume[:, None] + free * variance.log()), variance


def probabilities(log_evidence: Tensor, area: Tensor) -> Tensor:
    """(M, D): of the members for each cell, under the prior that is most likely for all cells together."""
    likelihood = (log_evidence - log_evidence.amax(dim=0)).exp()
    weight = area / area.sum()
    prior = torch.full((len(likelihood),), 1 / len(likelihood), dtype=torch.float64)
    for _ in range(ROUNDS):
        joint = likelihood * prior[:, None]
        posterior = joint / joint.sum(0)
        prior = posterior @ weight
    return posterior


def leading(posterior: Tensor, area: Tensor, mass: float = 0.99) -> tuple[Tensor, Tensor]:
    """The members that hold `mass` of the probability over all cells, and theirs (m, D), summing to 1 again."""
    share, order = (posterior @ (area / area.sum())).sort(descending=True)
    count = int((share.cumsum(0) < mass).sum()) + 1
    chosen = order[:count].sort().values
    kept = posterior[chosen] + 1e-12
    return chosen, kept / kept.sum(0)


@dataclass(frozen=True, eq=False)
class KrigingForecaster:
    """Forecasts from any origin: those of the members `chosen`, weighted by their probabilities (m, D).

    variance: (m, D) of the cells under each member.
    """

    library: ODELibrary
    chosen: Tensor
    weights: Tensor
    variance: Tensor
    harmonics: int

    def operators(self, days: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What turns values at days (n) into those at targets (L), per member: (m, L, n); relative variances (m, L)."""
        answers, spreads = [], []
        H = basis(targets, self.harmonics)
        for some in self.chosen.split(BATCH):
            kriging = Kriging.of(self.library, some, days, self.harmonics)
            between = self.library.covariance(some, targets, days)
            answers.append(H @ kriging.solver + between @ kriging.projector)
            off = H - between @ kriging.inverse @ basis(days, self.harmonics)
            own = self.library.table[some, :1]
            known = ((between @ kriging.inverse) * between).sum(-1)
            spreads.append(own - known + ((off @ kriging.spread) * off).sum(-1))
        return torch.cat(answers), torch.cat(spreads)

    def __call__(self, operators: tuple[Tensor, Tensor], values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (L, D) from values (n, D)."""
        answers, spreads = operators
        m, L, n = answers.shape
        means, variances = [], []
        for some, weights, variance in zip(
            *(x.split(CELLS // 4, dim=1) for x in (values, self.weights, self.variance)), strict=True
        ):
            level = some.mean(dim=0)
            each = (answers.reshape(m * L, n) @ (some - level)).reshape(m, L, -1)
            mean = torch.einsum("md,mld->ld", weights, each)
            within = torch.einsum("md,ml->ld", weights * variance, spreads)
            means.append(mean + level)
            variances.append(within + torch.einsum("md,mld->ld", weights, (each - mean).square()))
        return torch.cat(means, dim=1), torch.cat(variances, dim=1)

    def seasonal(self, days: Tensor, values: Tensor) -> Tensor:
        """Rest level and harmonics (m, 1 + 2 harmonics, D) under each member."""
        parts = [Kriging.of(self.library, some, days, self.harmonics).solver for some in self.chosen.split(BATCH)]
        return torch.cat(parts) @ values
