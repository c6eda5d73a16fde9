"""Linear correction of forecasts by exponentially weighted moving averages (EWMA) of all series.

    z' = (a - z) / tau        for the anomaly a of every series and every tau of MEMORIES (low-pass filter)
    correction at lead L      = sum over series and tau of (b0 + b1 cos 2 pi t + b2 sin 2 pi t) z,  t the origin

With the states z, model and correction form one coupled linear ODE with seasonal coefficients. The coefficients b are
fitted per lead by ridge regression on the errors of the uncoupled forecasts in the training period; the penalty,
infinity included, is chosen by cross-validation on blocks of the training period with gaps of one lead. All filters are
causal: a correction depends on nothing after its origin.
Source: the low-pass filters follow linear inverse modelling with delays (Penland and Sardeshmukh, J. Climate 8 (1995),
1999-2024); seasonal coefficients follow OrtizBevia, J. Geophys. Res. 102 (1997).
"""

from dataclasses import dataclass
from math import inf, pi

import torch
from torch import Tensor

from workbench.models.sst.kriging import basis
from workbench.models.sst.ode_library import DAY

MEMORIES = (0.0, 1 / 12, 0.25, 0.5, 1.0)
"""Time constants in years; 0: the present value."""
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, inf)
BLOCKS = 5
MOST_SERIES = 16
"""Largest number of series that are coupled: more would have too many coefficients for the data."""


def ewma_features(days: Tensor, values: Tensor, training: int, harmonics: int) -> Tensor:
    """Features (T, F): moving averages of all anomalies, times 1, cosine and sine of the season.

    Anomalies are relative to the mean and harmonics of the training period, in its standard deviations.
    """
    H = basis(days, harmonics)
    a = values - H @ torch.linalg.lstsq(H[:training], values[:training]).solution
    a = a / a[:training].std(0).clamp(min=1e-9)
    steps = days.diff().double() * DAY
    columns = []
    for tau in MEMORIES:
        z = a.clone()
        for t in range(1, len(a)) if tau else ():
            decay = torch.exp(-steps[t - 1] / tau)
            z[t] = decay * z[t - 1] + (1 - decay) * a[t]
        columns.append(z)
    z = torch.cat(columns, dim=1)
    angle = 2 * pi * DAY * days.double()[:, None]
    return torch.cat([z, z * angle.cos(), z * angle.sin()], dim=1)


@dataclass(frozen=True, eq=False)
class Correction:
    """Correction at one lead: coefficients b (F, D), and `error_ratio` (D).

    error_ratio: cross-validated squared error with the correction, over that without it; at most 1.
    """

    coefficients: Tensor
    error_ratio: Tensor


def fit(features: Tensor, errors: Tensor, lead: int) -> Correction:
    """Fit the errors (n, D) of forecasts from consecutive origins to the features (n, F) at these origins."""
    n = len(features)
    index = torch.arange(n)
    fold = index * BLOCKS // n
    uncorrected = errors.square().sum(0).clamp(min=1e-300)
    scale = features.square().mean()
    scores = torch.zeros(len(PENALTIES), errors.shape[1], dtype=errors.dtype)
    for block in range(BLOCKS):
        test = fold == block
        first, last = int(test.nonzero()[0]), int(test.nonzero()[-1])
        training = (index < first - lead) | (index > last + lead)
        coefficients = _ridge(features[training], errors[training], scale)
        scores += (errors[test] - features[test] @ coefficients).square().sum(1)
    best = scores.argmin(dim=0)
    coefficients = _ridge(features, errors, scale)[best, :, torch.arange(len(best))].mT
    return Correction(coefficients, (scores.amin(0) / uncorrected).clamp(max=1.0))


def _ridge(X: Tensor, y: Tensor, scale: Tensor) -> Tensor:
    """Minimizers (PENALTIES, F, D) of |X b - y|^2 + penalty scale n |b|^2."""
    F = X.shape[1]
    coefficients = X.new_zeros(len(PENALTIES), F, y.shape[1])
    finite = torch.tensor([penalty for penalty in PENALTIES if penalty < inf], dtype=X.dtype)
    if len(X) > 1:
        ridge = (finite * scale * len(X))[:, None, None] * torch.eye(F, dtype=X.dtype)
        coefficients[: len(finite)] = torch.linalg.solve(X.mT @ X + ridge, X.mT @ y)
    return coefficients
