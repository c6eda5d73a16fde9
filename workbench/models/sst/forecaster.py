"""Seasonal linear ODEs per cell, fitted by marginal likelihood and evaluated out of sample."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.uncertainty import NORMAL_95
from workbench.models.sst import correction
from workbench.models.sst.kriging import BATCH, KrigingForecaster, leading, log_marginal_likelihood, probabilities
from workbench.models.sst.ode_library import ODELibrary, members

CACHED = 4
"""Cached forecast operators."""


@dataclass(frozen=True)
class ForecastSettings:
    """Options of the fit and the forecasts; all lengths in grid points.

    training: length of the training period; leads: lead times; segment: length of the segments of the likelihood;
    history: values before the origin that a forecast uses.
    """

    training: int
    harmonics: int
    leads: tuple[int, ...]
    segment: int
    history: int
    backend: str = "auto"
    method: str = "qr"


class SeasonalForecaster:
    """Posterior probabilities of a library of ODEs per cell from the training period, then forecasts from test origins.

    days (T) increasing integers, values (T, D), area (D). The first steps evaluate the marginal likelihood of BATCH
    members each, the following steps forecast from one origin of the test period each. The fit does not read the test
    period, and no forecast reads values after its origin. Few, evenly sampled series with long data are also coupled
    (`correction`).
    loss: exp(-log marginal likelihood per value) of the most likely member so far, averaged over cells: approximately
    the standard deviation of one-step forecast errors, in degC.
    """

    monitored_metric = None
    stage = 0

    def __init__(self, days: Tensor, values: Tensor, area: Tensor, plan: ForecastSettings) -> None:
        self.plan, self._days, self._values, self._area = plan, days, values, area
        T, D = values.shape
        self.odes = members()
        ahead = int(days[-1] - days[plan.training - 1])
        longest = max(_longest(days, plan.segment), _longest(days, plan.history) + ahead)
        self.library = ODELibrary(self.odes, longest, plan.backend, plan.method)
        self._batches = torch.arange(len(self.odes)).split(BATCH)
        self.origins = range(plan.training, T - 1)
        self.total_steps = len(self._batches) + len(self.origins)
        self._count = 0
        self._log_likelihood = torch.full((len(self.odes), D), -torch.inf, dtype=torch.float64)
        self._variance = torch.ones(len(self.odes), D, dtype=torch.float64)
        self.squared_errors = torch.zeros(len(plan.leads), D, dtype=torch.float64)
        self.inside = torch.zeros(len(plan.leads), dtype=torch.float64)
        self._reset()
        self._spacing = int(days[1] - days[0])
        even = bool((days.diff() == self._spacing).all())
        long = plan.training - plan.history > 4 * (T - plan.training)
        self.coupled = even and 1 < D <= correction.MOST_SERIES and long
        self._features = None

    def _reset(self) -> None:
        """Discard all values derived from the likelihoods."""
        self._forecaster, self._operators, self._corrections = None, {}, {}

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    @property
    def fitted(self) -> bool:
        """Whether the likelihood of every member has been evaluated."""
        return self._count >= len(self._batches)

    def step(self) -> dict[str, float]:
        """Evaluate the likelihood of the next members, or forecast from the next origin."""
        metrics = {}
        if not self.fitted:
            self._evaluate_members(self._batches[self._count])
        else:
            origin = self.origins[self._count - len(self._batches)]
            self._evaluate_forecasts(origin)
            metrics["origin"] = float(origin)
        self._count += 1
        negative = -self._log_likelihood.amax(0) / self.plan.training
        return {"loss": float(negative.mean().exp()), **metrics}

    def _evaluate_members(self, chosen: Tensor) -> None:
        N, plan = self.plan.training, self.plan
        self._log_likelihood[chosen], self._variance[chosen] = log_marginal_likelihood(
            self.library, chosen, self._days[:N], self._values[:N], harmonics=plan.harmonics, segment=plan.segment
        )
        self._reset()

    @property
    def forecaster(self) -> KrigingForecaster:
        """Forecaster of the leading members among those evaluated, cached."""
        if self._forecaster is None:
            posterior = probabilities(self._log_likelihood, self._area)
            chosen, weights = leading(posterior, self._area)
            self._forecaster = KrigingForecaster(
                self.library, chosen, weights, self._variance[chosen], self.plan.harmonics
            )
        return self._forecaster

    def _evaluate_forecasts(self, origin: int) -> None:
        """Add the squared errors and the coverage of the forecasts from an origin."""
        leads = torch.tensor([lead for lead in self.plan.leads if origin + lead < len(self._days)])
        if len(leads):
            mean, variance = self.forecast(origin, leads)
            error = mean - self._values[origin + leads]
            self.squared_errors[: len(leads)] += error.square()
            inside = (error.abs() <= NORMAL_95 * variance.sqrt()).double()
            self.inside[: len(leads)] += inside @ (self._area / self._area.sum())

    def forecast(self, origin: int, leads: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance (L, D) at `leads` grid points after `origin`, from values up to the origin."""
        mean, variance = self._uncoupled_forecast(origin, leads)
        if self.coupled:
            self._fit_corrections(leads)
            features = self._ewma_features()[origin]
            corrections = [self._corrections[int(lead)] for lead in leads]
            mean = mean + torch.stack([features @ c.coefficients for c in corrections])
            variance = variance * torch.stack([c.error_ratio for c in corrections])
        return mean, variance

    def _ewma_features(self) -> Tensor:
        if self._features is None:
            plan = self.plan
            self._features = correction.ewma_features(self._days, self._values, plan.training, plan.harmonics)
        return self._features

    def _fit_corrections(self, leads: Tensor) -> None:
        """Fit the missing corrections at `leads`, from all origins whose targets are in the training period."""
        new = [int(lead) for lead in leads if int(lead) not in self._corrections]
        if not new:
            return
        history, N, D = self.plan.history, self.plan.training, self._values.shape[1]
        inputs = self._values[:N].unfold(0, history, 1)  # (origins, D, history)
        origins = len(inputs)
        targets = self._days[history - 1] + self._spacing * torch.tensor(new)
        one = self.forecaster
        operators = one.operators(self._days[:history], targets)
        all_origins = KrigingForecaster(
            self.library, one.chosen, one.weights.repeat(1, origins), one.variance.repeat(1, origins), one.harmonics
        )
        means = all_origins(operators, inputs.permute(2, 0, 1).reshape(history, -1))[0].unflatten(1, (origins, D))
        for lead, forecasts in zip(new, means, strict=True):
            errors = self._values[history - 1 + lead : N] - forecasts[: origins - lead]
            features = self._ewma_features()[history - 1 : N - lead]
            self._corrections[lead] = correction.fit(features, errors, lead)

    def _uncoupled_forecast(self, origin: int, leads: Tensor) -> tuple[Tensor, Tensor]:
        """Forecast of every series from its own past."""
        first = max(origin + 1 - self.plan.history, 0)
        days = self._days[first : origin + 1]
        targets = self._days[origin + leads]
        # evenly spaced data need the operators once: harmonics of a shifted calendar span the same space
        key = ((days - days[-1]).numpy().tobytes(), (targets - days[-1]).numpy().tobytes())
        if key not in self._operators:
            if len(self._operators) >= CACHED:
                self._operators.clear()
            self._operators[key] = self.forecaster.operators(days, targets)
        return self.forecaster(self._operators[key], self._values[first : origin + 1])

    def seasonal(self) -> Tensor:
        """Mean and harmonics (m, 1 + 2 harmonics, D) under each leading member, from the end of the training period."""
        last = slice(max(self.plan.training - self.plan.history, 0), self.plan.training)
        return self.forecaster.seasonal(self._days[last], self._values[last])

    def path(self, *, given: int = 0) -> tuple[Tensor, Tensor]:
        """Mean and variance (T - training, D) over the test period, from its first `given` values."""
        origin = self.plan.training - 1 + given
        ahead = len(self._days) - 1 - origin
        mean, variance = self.forecast(origin, torch.arange(1, ahead + 1))
        first = self._values[self.plan.training : origin + 1]
        return torch.cat([first, mean]), torch.cat([torch.zeros_like(first), variance])

    def skill(self, reference: Tensor) -> Tensor:
        """1 - squared error / that of a reference (L, D), both summed with area weights: (L)."""
        return 1 - (self.squared_errors @ self._area) / (reference @ self._area)

    def trials(self) -> Tensor:
        """Number of evaluated forecasts at each lead (L)."""
        evaluated = max(self._count - len(self._batches), 0)
        last = len(self._days) - 1
        counts = [sum(o + lead <= last for o in self.origins[:evaluated]) for lead in self.plan.leads]
        return torch.tensor(counts, dtype=torch.float64)

    def coefficients(self) -> None:
        """None: the coefficients vary from cell to cell."""

    def state(self) -> dict[str, np.ndarray]:
        tensors = {
            "log_evidence": self._log_likelihood,
            "variance": self._variance,
            "inside": self.inside,
            "squared_errors": self.squared_errors,
        }
        return {"count": np.array(self._count), **{name: x.numpy().copy() for name, x in tensors.items()}}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        self._log_likelihood, self._variance, self.inside, self.squared_errors = (
            torch.from_numpy(np.array(state[name])) for name in ("log_evidence", "variance", "inside", "squared_errors")
        )
        self._reset()


def _longest(days: Tensor, points: int) -> int:
    """Largest number of days over `points` consecutive steps, or over all days if there are fewer."""
    return int((days[points:] - days[:-points]).max()) if points < len(days) else int(days[-1] - days[0])
