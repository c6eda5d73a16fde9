"""What a forecast has to beat: climatology, persistence, and persistence that dies away."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

NAMES = ("climatology", "persistence", "damped persistence", "damped to half of last year")


@dataclass(frozen=True, eq=False)
class Baselines:
    """Simple forecasts that know the training times, and values up to their origin.

    values (T, D), season (T) whole numbers from 0 (calendar month, week), `training` times, `year` grid points a year.
    Anomalies a are values minus `climatology` (T, D), the training means of each season; r (D) is their lag-1
    regression in the training times. Forecasts of the anomaly at o + L: 0; a(o); r^L a(o); h + r^L (a(o) - h) with h
    half of the mean of a over the last year. Raises ValueError for a season without training times.
    """

    values: Tensor
    season: Tensor
    training: int
    year: int
    climatology: Tensor = field(init=False, repr=False)
    anomaly: Tensor = field(init=False, repr=False)
    memory: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = self.season[: self.training]
        missing = sorted(set(self.season.tolist()) - set(known.tolist()))
        if missing:
            raise ValueError(
                f"the training period is too short for a climatology: {len(missing)} of the seasons are not in it"
            )
        means = torch.zeros(int(self.season.max()) + 1, self.values.shape[1], dtype=self.values.dtype)
        for season in known.unique():
            means[season] = self.values[: self.training][known == season].mean(0)
        object.__setattr__(self, "climatology", means[self.season])
        object.__setattr__(self, "anomaly", self.values - self.climatology)
        a = self.anomaly[: self.training]
        power = a[:-1].square().sum(0).clamp(min=torch.finfo(a.dtype).tiny)
        object.__setattr__(self, "memory", (a[1:] * a[:-1]).sum(0) / power)

    def anomalies(self, origin: int, leads: Tensor) -> dict[str, Tensor]:
        """The forecasts of the anomaly by name, (L, D) each."""
        now = self.anomaly[origin]
        half = 0.5 * self.anomaly[max(origin + 1 - self.year, 0) : origin + 1].mean(0)
        fading = self.memory ** leads[:, None]
        forecasts = (torch.zeros_like(fading), now.expand_as(fading), fading * now, half + fading * (now - half))
        return dict(zip(NAMES, forecasts, strict=True))

    def squared_errors(self, leads: tuple[int, ...], origins: range) -> dict[str, Tensor]:
        """Summed over the origins from which the lead is within the record: (L, D) by name."""
        T, D = self.values.shape
        found = {name: torch.zeros(len(leads), D, dtype=self.values.dtype) for name in NAMES}
        for origin in origins:
            inside = torch.tensor([lead for lead in leads if origin + lead < T], dtype=torch.long)
            for name, forecast in self.anomalies(origin, inside).items():
                found[name][: len(inside)] += (self.anomaly[origin + inside] - forecast).square()
        return found
