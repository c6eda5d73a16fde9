"""A linear ODE with seasonal forcing for every cell, found without a network, then tried on what came later."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.models.sst import correction as coupling
from workbench.models.sst.kriging import BATCH, KrigingForecaster, evidence, leading, probabilities
from workbench.models.sst.ode_library import ODELibrary, members

KEPT = 4
"""Operators of forecasts that are remembered."""
SURE = 1.96
"""Standard deviations of a 95 % interval."""


@dataclass(frozen=True)
class ForecastSettings:
    """How to learn and to forecast: training times, harmonics, leads in grid points, points of a piece and of memory.

    given: how many true points of the target the published protocol hands over.
    """

    training: int
    harmonics: int
    leads: tuple[int, ...]
    piece: int
    memory: int
    given: int = 10
    backend: str = "auto"
    method: str = "qr"


class SeasonalForecaster:
    """Probabilities of a library of ODEs for every cell from the training times; then forecasts from later origins.

    days (T) whole numbers that increase, values (T, D), area (D). Steps: the evidence of BATCH members each, then one
    origin each: all points of the test period. Nothing of the test period is read before the forecasts begin, and none
    reads what comes after its origin. A few evenly sampled series with a long record are also coupled (`coupling`).
    loss: e to the power of minus the log evidence per value of the likeliest member so far, averaged over cells: about
    the size, in degC, of what cannot be foretold one point ahead.
    """

    monitor = None
    era = 0

    def __init__(self, days: Tensor, values: Tensor, area: Tensor, plan: ForecastSettings) -> None:
        self.plan, self._days, self._values, self._area = plan, days, values, area
        T, D = values.shape
        self.odes = members()
        reach = int((days[plan.piece :] - days[: -plan.piece]).max()) if plan.piece < T else int(days[-1] - days[0])
        memory = int((days[plan.memory :] - days[: -plan.memory]).max()) if plan.memory < T else int(days[-1] - days[0])
        ahead = int(days[-1] - days[plan.training - 1])
        self.library = ODELibrary(self.odes, max(reach, memory + ahead), plan.backend, plan.method)
        self._batches = torch.arange(len(self.odes)).split(BATCH)
        self.origins = range(plan.training, T - 1)
        self.total_steps = len(self._batches) + len(self.origins)
        self._count = 0
        self._log_evidence = torch.full((len(self.odes), D), -torch.inf, dtype=torch.float64)
        self._variance = torch.ones(len(self.odes), D, dtype=torch.float64)
        self.squared_errors = torch.zeros(len(plan.leads), D, dtype=torch.float64)
        self.inside = torch.zeros(len(plan.leads), dtype=torch.float64)
        self._forecaster = None
        self._known = {}
        self._corrections = {}
        self._pace = int(days[1] - days[0])
        even = bool((days.diff() == self._pace).all())
        self.coupled = even and 1 < D <= coupling.MOST_SERIES and plan.training - plan.memory > 4 * (T - plan.training)
        self._features = None

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    @property
    def fitted(self) -> bool:
        """Whether every member has been judged."""
        return self._count >= len(self._batches)

    def step(self) -> dict[str, float]:
        """Judge the next members, or forecast from the next origin."""
        metrics = {}
        if not self.fitted:
            self._judge(self._batches[self._count])
        else:
            metrics["origin"] = float(self._try(self.origins[self._count - len(self._batches)]))
        self._count += 1
        surprise = -self._log_evidence.amax(0) / self.plan.training
        return {"loss": float(surprise.mean().exp()), **metrics}

    def _judge(self, chosen: Tensor) -> None:
        N, plan = self.plan.training, self.plan
        found = evidence(
            self.library, chosen, self._days[:N], self._values[:N], harmonics=plan.harmonics, piece=plan.piece
        )
        self._log_evidence[chosen], self._variance[chosen] = found
        self._forecaster, self._known, self._corrections = None, {}, {}

    @property
    def forecaster(self) -> KrigingForecaster:
        """Made of what the training times say, once; before all members are judged, of those that are."""
        if self._forecaster is None:
            posterior = probabilities(self._log_evidence, self._area)
            chosen, weights = leading(posterior, self._area)
            self._forecaster = KrigingForecaster(
                self.library, chosen, weights, self._variance[chosen], self.plan.harmonics
            )
        return self._forecaster

    def _try(self, origin: int) -> int:
        leads = torch.tensor([lead for lead in self.plan.leads if origin + lead < len(self._days)])
        if len(leads):
            mean, variance = self.forecast(origin, leads)
            error = mean - self._values[origin + leads]
            self.squared_errors[: len(leads)] += error.square()
            inside = (error.abs() <= SURE * variance.sqrt()).double()
            self.inside[: len(leads)] += inside @ (self._area / self._area.sum())
        return origin

    def forecast(self, origin: int, leads: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (L, D) so many grid points after `origin`, from values up to it."""
        mean, variance = self._alone(origin, leads)
        if self.coupled:
            self._correct(leads)
            features = self._memories()[origin]
            corrections = [self._corrections[int(lead)] for lead in leads]
            mean = mean + torch.stack([features @ correction.coefficients for correction in corrections])
            variance = variance * torch.stack([correction.left for correction in corrections])
        return mean, variance

    def _memories(self) -> Tensor:
        if self._features is None:
            plan = self.plan
            self._features = coupling.memories(self._days, self._values, plan.training, plan.harmonics)
        return self._features

    def _correct(self, leads: Tensor) -> None:
        """Fit the corrections so far ahead that are not known, from all origins whose targets are training times."""
        new = [int(lead) for lead in leads if int(lead) not in self._corrections]
        if not new:
            return
        memory, N, D = self.plan.memory, self.plan.training, self._values.shape[1]
        known = self._values[:N].unfold(0, memory, 1)  # (origins, D, memory)
        origins = len(known)
        operators = self.forecaster.operators(
            self._days[:memory], self._days[memory - 1] + self._pace * torch.tensor(new)
        )
        one = self.forecaster
        all_origins = KrigingForecaster(
            self.library, one.chosen, one.weights.repeat(1, origins), one.variance.repeat(1, origins), one.harmonics
        )
        told = all_origins(operators, known.permute(2, 0, 1).reshape(memory, -1))[0].unflatten(1, (origins, D))
        for lead, forecasts in zip(new, told, strict=True):
            count = origins - lead
            rest = self._values[memory - 1 + lead : N] - forecasts[:count]
            self._corrections[lead] = coupling.fit(self._memories()[memory - 1 : N - lead], rest, lead)

    def _alone(self, origin: int, leads: Tensor) -> tuple[Tensor, Tensor]:
        """The forecast of every series from its own past."""
        first = max(origin + 1 - self.plan.memory, 0)
        days = self._days[first : origin + 1]
        targets = self._days[origin + leads]
        # evenly spaced records need the operators once: harmonics of a shifted calendar span the same space
        key = ((days - days[-1]).numpy().tobytes(), (targets - days[-1]).numpy().tobytes())
        if key not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[key] = self.forecaster.operators(days, targets)
        return self.forecaster(self._known[key], self._values[first : origin + 1])

    def seasonal(self) -> Tensor:
        """Rest level and harmonics (m, 1 + 2 harmonics, D) under each leading member, from the last training times."""
        known = slice(max(self.plan.training - self.plan.memory, 0), self.plan.training)
        return self.forecaster.seasonal(self._days[known], self._values[known])

    def path(self, *, given: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and variance (T - training, D) of the whole test period from its first `given` values; 0: from none."""
        origin = self.plan.training - 1 + given
        ahead = len(self._days) - 1 - origin
        mean, variance = self.forecast(origin, torch.arange(1, ahead + 1))
        known = self._values[self.plan.training : origin + 1]
        return torch.cat([known, mean]), torch.cat([torch.zeros_like(known), variance])

    def skill(self, reference: Tensor) -> Tensor:
        """1 - squared error over that of a reference (L, D), both area-weighted sums: (L)."""
        return 1 - (self.squared_errors @ self._area) / (reference @ self._area)

    def trials(self) -> Tensor:
        """How many origins each lead was tried from (L)."""
        tried = max(self._count - len(self._batches), 0)
        last = len(self._days) - 1
        counts = [sum(o + lead <= last for o in self.origins[:tried]) for lead in self.plan.leads]
        return torch.tensor(counts, dtype=torch.float64)

    def coefficients(self) -> None:
        """None: every cell has its own."""

    def state(self) -> dict[str, np.ndarray]:
        kept = {"log_evidence": self._log_evidence, "variance": self._variance, "inside": self.inside}
        kept["squared_errors"] = self.squared_errors
        return {"count": np.array(self._count), **{name: x.numpy().copy() for name, x in kept.items()}}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        self._log_evidence, self._variance, self.inside, self.squared_errors = (
            torch.from_numpy(np.array(state[name])) for name in ("log_evidence", "variance", "inside", "squared_errors")
        )
        self._forecaster, self._known, self._corrections = None, {}, {}
