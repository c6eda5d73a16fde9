"""Baseline forecasts: climatology, persistence and damped persistence."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

NAMES = ("climatology", "persistence", "damped persistence", "damped to half of last year")


@dataclass(frozen=True, eq=False)
class Baselines:
    """Baseline forecasts from the training period and the values up to the forecast origin.

    values (T, D), season (T) integers from 0 (calendar month or week), `training` grid points, `year` grid points per
    year. Anomalies a are values minus `climatology` (T, D), the training mean of each season; r (D) is their lag-1
    regression coefficient in the training period. Forecasts of the anomaly at o + L: 0; a(o); r^L a(o);
    h + r^L (a(o) - h) with h half of the mean of a over the last year.
    Raises ValueError for a season without training data.
    """

    values: Tensor
    season: Tensor
    training: int
    year: int
    climatology: Tensor = field(init=False, repr=False)
    anomaly: Tensor = field(init=False, repr=False)
    memory: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        seasons = self.season[: self.training]
        missing = sorted(set(self.season.tolist()) - set(seasons.tolist()))
        if missing:
            raise ValueError(f"the training period is too short for a climatology: it lacks {len(missing)} seasons")
        means = torch.zeros(int(self.season.max()) + 1, self.values.shape[1], dtype=self.values.dtype)
        for season in seasons.unique():
            means[season] = self.values[: self.training][seasons == season].mean(0)
        object.__setattr__(self, "climatology", means[self.season])
        object.__setattr__(self, "anomaly", self.values - self.climatology)
        a = self.anomaly[: self.training]
        power = a[:-1].square().sum(0).clamp(min=torch.finfo(a.dtype).tiny)
        object.__setattr__(self, "memory", (a[1:] * a[:-1]).sum(0) / power)

    def anomalies(self, origin: int, leads: Tensor) -> dict[str, Tensor]:
        """Forecasts of the anomaly (L, D) by name."""
        now = self.anomaly[origin]
        half = 0.5 * self.anomaly[max(origin + 1 - self.year, 0) : origin + 1].mean(0)
        decay = self.memory ** leads[:, None]
        forecasts = (torch.zeros_like(decay), now.expand_as(decay), decay * now, half + decay * (now - half))
        return dict(zip(NAMES, forecasts, strict=True))

    def squared_errors(self, leads: tuple[int, ...], origins: range) -> dict[str, Tensor]:
        """Squared errors (L, D) by name, summed over the origins whose target is within the data."""
        T, D = self.values.shape
        errors = {name: torch.zeros(len(leads), D, dtype=self.values.dtype) for name in NAMES}
        for origin in origins:
            inside = torch.tensor([lead for lead in leads if origin + lead < T], dtype=torch.long)
            for name, forecast in self.anomalies(origin, inside).items():
                errors[name][: len(inside)] += (self.anomaly[origin + inside] - forecast).square()
        return errors
