"""Discovery from the whole record at once, judged by evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace

import numpy as np
from torch import Tensor

from workbench.discovery.data import Trajectory, head
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import Alternative, Discovery
from workbench.discovery.estimator import SOFT, JointEstimate
from workbench.discovery.evidence import probabilities
from workbench.discovery.quadratic import covariance_of
from workbench.discovery.selection import HARD, TRIED, SupportFit, SupportSearch
from workbench.discovery.starting import Start, estimated_noise, prepare, restricted, sparse_supports
from workbench.discovery.uncertainty import NORMAL_95
from workbench.symbolic.library import Library

HEAD = 1100
"""Number of measurements of the search with all candidates; the rest of a longer record confirms its result."""
LONGEST = 12_000
"""Largest number of measurement times that are used: time and memory grow with them."""
REWEIGHINGS = 4
"""Maximum number of times that the noise level is estimated again."""
CONSISTENT = 0.05
"""Relative change of the noise level below which it is not estimated again."""
INCONSISTENT = 0.3
"""Relative change of the noise level from which on the first search continues with the new one."""
CONFIRMED = 2
"""Numbers of other candidates of an equation, and of supports near that of the head, for a longer record."""
SHOWN = 10
"""Number of models, the best first, whose probabilities are reported."""


class EvidenceSearch:
    """Discovery of u' = Theta(u) Xi, or u'' = Theta(u, u') Xi, from trajectories of any sampling, step by step.

    States and coefficients are estimated together, see `JointEstimator`, while the equations become nearly exact. The
    search over supports and the choice by evidence are described in `SupportSearch`; the noise level is that of the
    residuals. Of a long record, HEAD measurements find the equations, and at most LONGEST confirm them.
    Deterministic: a step depends on the data, the library and the settings alone.
    Raises ValueError for unsuitable data or settings.
    """

    monitored_metric = None
    stage = 0

    def __init__(
        self,
        trajectories: Sequence[Trajectory],
        library: Library,
        settings: Settings | None = None,
    ) -> None:
        self.library = library
        self.settings = settings or Settings()
        self._lengths = [len(trajectory.times) for trajectory in trajectories]
        self._trajectories = tuple(head(trajectories, LONGEST))
        self._start = prepare(head(self._trajectories, HEAD), library, self.settings)
        coefficients = int(self._start.free.sum())
        self._most_steps = 60 + coefficients
        self._reset()

    def _reset(self) -> None:
        self._search = self._new_search(self._start)
        self._now, self._steps = self._start.first, self._run()
        self._count, self._replayed, self._ended = 0, 0, False
        self._stored: Mapping[str, np.ndarray] = {}
        self._result: Discovery | None = None

    def _new_search(self, start: Start, tried: int = TRIED) -> SupportSearch:
        least = self.settings.min_contribution
        return SupportSearch(start.estimator, start.free, min_contribution=least, tried=tried)

    @property
    def _is_long(self) -> bool:
        return sum(len(trajectory.times) for trajectory in self._trajectories) > HEAD

    @property
    def done(self) -> bool:
        return self._ended

    @property
    def total_steps(self) -> int:
        """Number of steps of a finished search, else an upper bound of the usual number."""
        return self._count if self._ended else max(self._most_steps, self._count + 1)

    def step(self) -> dict[str, float]:
        """One fit of the search. Raises FloatingPointError for non-finite solutions of the solver."""
        self._catch_up()
        self._result, self._stored = None, {}
        self._advance()
        estimator = self._search.estimator
        misfit = estimator.residual(self._now.states, 0) / estimator.sigma
        return {"loss": float(misfit.square().mean().sqrt()), "terms": float((self._now.coefficients != 0).sum())}

    def _advance(self) -> None:
        try:
            self._now = next(self._steps)
        except StopIteration:
            self._ended, self._now = True, self._search.best.estimate
        self._count += 1
        self._replayed = self._count

    def _catch_up(self) -> None:
        """Repeat the steps of a restored search."""
        count = self._count
        self._count = self._replayed
        while self._count < count:
            self._advance()

    def _run(self) -> Iterator[JointEstimate]:
        """The fits of the search with the head of the record, and of that with all of it."""
        search = self._search
        for support in sparse_supports(self._start):
            start = restricted(self._start, support)
            yield from search.start(support, start.first, start.weight)
        yield from search.refine(SOFT)
        yield from search.improve()
        for _ in range(REWEIGHINGS):
            if search.noise_change() < INCONSISTENT:
                break
            yield from search.reweigh()
            yield from search.improve()
        yield from self._judge()
        if self._is_long:
            yield from self._confirm()

    def _confirm(self) -> Iterator[JointEstimate]:
        """The fits of the whole record, from the equations of its head and with few other candidates."""
        found, units = self._search.best, self._units
        self._search.screen(CONFIRMED)
        whole = prepare(self._trajectories, self.library, self.settings)
        coefficients = found.estimate.coefficients * units / whole.estimator.scales.units(self.library.order)
        self._search = self._new_search(replace(whole, free=self._search.free), tried=CONFIRMED)
        yield self._search.resume(found.support, replace(whole.first, coefficients=coefficients))
        yield from self._judge()

    def _judge(self) -> Iterator[JointEstimate]:
        """Continue with nearly exact dynamics and the noise level of the residuals."""
        search = self._search
        search.screen()
        yield from search.refine(HARD)
        yield from search.improve()
        for _ in range(REWEIGHINGS):
            if search.noise_change() < CONSISTENT:
                break
            yield from search.reweigh()
            yield from search.improve()

    # results

    def coefficients(self) -> np.ndarray:
        """Xi (C, D) in physical units."""
        if self._stored:
            return np.array(self._stored["coefficients"])
        return (self._now.coefficients * self._units).numpy()

    @property
    def _units(self) -> Tensor:
        return self._search.estimator.scales.units(self.library.order)

    def result(self) -> Discovery:
        """The present result."""
        if self._result is None:
            if self._ended and self._stored:
                self._result = _unpacked(self._stored)
            else:
                self._catch_up()
                self._result = self._discovery()
        return self._result

    def _discovery(self) -> Discovery:
        search, units = self._search, self._units.numpy()
        fits = sorted(search.visited.values(), key=lambda fit: fit.criterion) or [search.judged(self._now)]
        odds = probabilities(np.array([fit.criterion for fit in fits]))
        best, estimator = fits[0], search.estimator
        values = np.stack([fit.estimate.coefficients.numpy() for fit in fits])
        variances = np.stack([_spread_out(fit, np.diag(covariance_of(fit.matrix))) for fit in fits])
        present = np.stack([fit.support for fit in fits])
        shares = odds[:, None, None] * present
        inclusion = shares.sum(axis=0)
        # variance over the supports that contain the term, about its estimate
        spread = (shares * (variances + (values - values[0]) ** 2)).sum(axis=0) / np.maximum(inclusion, 1e-300)
        margin = NORMAL_95 * np.sqrt(np.where(best.support, spread, 0.0))
        fixed = ~self._start.free & (values[0] != 0)
        lower, upper = (values[0] - margin) * units, (values[0] + margin) * units
        physical = estimator.inputs(best.estimate.states).numpy()
        scale = estimator.scales.variable.numpy()
        terms, errors = self._front(best)
        shape = search.noise_shape if search.visited else None
        level = estimated_noise(self._trajectories, estimator.grid, estimator.scales.variable, shape)
        return Discovery(
            coefficients=values[0] * units,
            lower=lower,
            upper=upper,
            standard_error=np.sqrt(variances[0]) * units,
            bootstrap_lower=lower,
            bootstrap_upper=upper,
            inclusion=np.where(fixed, 1.0, inclusion),
            truncation=np.zeros_like(units),
            noise=(level * estimator.scales.variable).numpy(),
            residual=estimator.residual(best.estimate.states, int(best.support.sum())).numpy() * scale,
            states=self._sampled(physical, estimator.grid.samples),
            terms=terms,
            errors=errors,
            window=sum(map(len, estimator.grid.samples)),
            denoised=True,
            message=self._message(),
            alternatives=tuple(
                Alternative(own * units, float(odd)) for own, odd in zip(values[:SHOWN], odds[:SHOWN], strict=True)
            ),
        )

    def _sampled(self, values: np.ndarray, samples: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
        """Values (T, S) of the grid at the measurements of every trajectory, NaN where they were not used."""
        found = [np.full((length, values.shape[1]), np.nan) for length in self._lengths]
        for own, index in zip(found, samples, strict=False):
            own[: len(index)] = values[index.numpy()]
        return tuple(found)

    def _message(self) -> str:
        used, given = sum(len(trajectory.times) for trajectory in self._trajectories), sum(self._lengths)
        return f"only the first {used} of {given} times are used: expected at most {LONGEST}" if used < given else ""

    def _front(self, best: SupportFit) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of terms and predicted errors as terms are dropped one by one, and those of the best support."""
        estimator, model = self._search.estimator, self._search.model(best)
        count = int(estimator.grid.present.sum())
        terms, costs = model.path()
        own = best.support[self._search.free]
        xi = best.coefficients
        at_best = xi @ model.matrix[np.ix_(own, own)] @ xi - 2 * model.right[own] @ xi
        costs = np.append(costs - at_best, 0.0) + best.estimate.cost
        known = int((self._search.estimator.known != 0).sum())
        relative = float(estimator.sigma.square().mean().sqrt())
        return np.append(terms, own.sum()) + known, relative * np.sqrt(np.maximum(costs, 0.0) / count)

    # state

    def state(self) -> dict[str, np.ndarray]:
        """Number of steps and the coefficients; of a finished search, its result. An unfinished one repeats them."""
        arrays = {"steps": np.array(self._count), "coefficients": self.coefficients(), "done": np.array(self._ended)}
        return arrays | (_packed(self.result()) if self._ended else {})

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._reset()
        self._count, self._ended = int(np.asarray(state["steps"])), bool(np.asarray(state["done"]))
        self._stored = {name: np.array(value) for name, value in state.items()}


def _spread_out(fit: SupportFit, values: np.ndarray) -> np.ndarray:
    """Values (P) of the terms of a fit as an array (C, D), 0 elsewhere."""
    array = np.zeros(fit.support.shape)
    array[fit.support] = values
    return array


def _packed(result: Discovery) -> dict[str, np.ndarray]:
    """The fields of a result as arrays."""
    arrays = {field.name: getattr(result, field.name) for field in fields(Discovery)}
    states, alternatives, message = (arrays.pop(name) for name in ("states", "alternatives", "message"))
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    arrays |= {f"states{index}": value for index, value in enumerate(states)}
    arrays["alternatives"] = np.stack([own.coefficients for own in alternatives])
    arrays["odds"] = np.array([own.probability for own in alternatives])
    return arrays | {"message": np.frombuffer(message.encode(), dtype=np.uint8).copy()}


def _unpacked(arrays: Mapping[str, np.ndarray]) -> Discovery:
    names = {field.name for field in fields(Discovery)} - {"states", "alternatives", "message", "window", "denoised"}
    count = sum(name.startswith("states") for name in arrays)
    pairs = zip(arrays["alternatives"], arrays["odds"].tolist(), strict=True)
    return Discovery(
        **{name: arrays[name] for name in names},
        states=tuple(arrays[f"states{index}"] for index in range(count)),
        alternatives=tuple(Alternative(*pair) for pair in pairs),
        message=bytes(arrays["message"]).decode(),
        window=int(arrays["window"]),
        denoised=bool(arrays["denoised"]),
    )
