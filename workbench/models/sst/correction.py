"""What one place remembers and another foretells: a linear correction of forecasts from leaky memories of all series.

    z' = (a - z) / tau        for every series a (its anomaly) and every tau of MEMORIES: z is a low-pass of the past
    correction at lead L      = sum over series and memories of (b0 + b1 cos 2 pi t + b2 sin 2 pi t) z,  t the origin

With the states z the whole is one coupled linear ODE whose coefficients follow the season. The numbers b are solved for
by ridge regression of what the uncoupled forecasts left over in the training times, one set per lead; the strength of
the ridge, infinity included, is chosen by cross-validation on blocks of the training times with gaps of one lead.
Everything runs forward in time: a correction depends on nothing after its origin.
Source: the low-pass memories follow linear inverse modelling with delays (Penland and Sardeshmukh, J. Climate 8 (1995),
1999-2024); seasonal coefficients follow OrtizBevia, J. Geophys. Res. 102 (1997).
"""

from dataclasses import dataclass
from math import inf, pi

import torch
from torch import Tensor

from workbench.models.sst.kriging import basis
from workbench.models.sst.ode_library import DAY

MEMORIES = (0.0, 1 / 12, 0.25, 0.5, 1.0)
"""Years; 0: the present value."""
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, inf)
BLOCKS = 5
MOST_SERIES = 16
"""More series than this are not coupled: there would be more numbers than a record can tell."""


def memories(days: Tensor, values: Tensor, training: int, harmonics: int) -> Tensor:
    """The features (T, F): memories of all anomalies, times 1, cosine and sine of the season.

    Anomalies are to rest and harmonics of the training times, in their standard deviations there.
    """
    H = basis(days, harmonics)
    a = values - H @ torch.linalg.lstsq(H[:training], values[:training]).solution
    a = a / a[:training].std(0).clamp(min=1e-9)
    steps = days.diff().double() * DAY
    columns = []
    for tau in MEMORIES:
        z = a.clone()
        for t in range(1, len(a)) if tau else ():
            keep = torch.exp(-steps[t - 1] / tau)
            z[t] = keep * z[t - 1] + (1 - keep) * a[t]
        columns.append(z)
    z = torch.cat(columns, dim=1)
    angle = 2 * pi * DAY * days.double()[:, None]
    return torch.cat([z, z * angle.cos(), z * angle.sin()], dim=1)


@dataclass(frozen=True, eq=False)
class Correction:
    """At one lead: coefficients b (F, D), and the share (D) of the squared error that is left in cross-validation."""

    coefficients: Tensor
    left: Tensor


def fit(features: Tensor, rest: Tensor, lead: int) -> Correction:
    """The correction of `rest` (n, D), the errors at consecutive origins, from the features (n, F) at these origins."""
    n = len(features)
    fold = torch.arange(n) * BLOCKS // n
    before = rest.square().sum(0).clamp(min=1e-300)
    scale = features.square().mean()
    errors = torch.zeros(len(STRENGTHS), rest.shape[1], dtype=rest.dtype)
    for block in range(BLOCKS):
        told = fold == block
        first, last = int(told.nonzero()[0]), int(told.nonzero()[-1])
        place = torch.arange(n)
        learned = (place < first - lead) | (place > last + lead)
        tried = _ridge(features[learned], rest[learned], scale)
        errors += (rest[told] - features[told] @ tried).square().sum(1)
    best = errors.argmin(dim=0)
    coefficients = _ridge(features, rest, scale)[best, :, torch.arange(len(best))].mT
    return Correction(coefficients, (errors.amin(0) / before).clamp(max=1.0))


def _ridge(X: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """The minimisers (STRENGTHS, F, D) of |X b - y|^2 + strength scale n |b|^2."""
    F = X.shape[1]
    found = X.new_zeros(len(STRENGTHS), F, y.shape[1])
    finite = torch.tensor([strength for strength in STRENGTHS if strength < inf], dtype=X.dtype)
    if len(X) > 1:
        penalty = (finite * scale * len(X))[:, None, None] * torch.eye(F, dtype=X.dtype)
        found[: len(finite)] = torch.linalg.solve(X.mT @ X + penalty, X.mT @ y)
    return found
