"""Selection of the polynomial degree: discovery with increasing degrees."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb, sqrt
from typing import Any

import numpy as np

from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.result import Discovery
from workbench.discovery.evidence_search import EvidenceSearch
from workbench.discovery.modes import by_evidence
from workbench.symbolic.library import Polynomials

MAX_DEGREE = 3
MAX_COEFFICIENTS = 400
"""Largest number of coefficients of a degree tried by default; the cost grows with its square."""
MAX_RESIDUAL_RATIO = 1.1
"""Largest residual over noise level without a higher degree; three standard errors of the noise level are added."""
CLEAN = 3e-3
"""Lower bound of the noise level, in standard deviations of the variable; below it, truncation errors dominate."""
TOLERATED_INCREASE = 1.1
"""Largest ratio of the residual of a degree to that of a higher one for which the lower degree is selected."""


class DegreeSearch:
    """Discovery with polynomials of the lowest degree that explains the data.

    Noisy, uneven or incomplete records: `EvidenceSearch` with the library of the highest degree. Others, see
    `modes.by_evidence`: `Projection` with degree 1, 2, ... until the residuals do not exceed the noise level; the
    lowest degree whose residuals are within TOLERATED_INCREASE of the smallest is selected. The coefficients (C, D) are
    those of the library of the highest degree, which starts with the lower libraries.
    Raises ValueError as `Projection` and `EvidenceSearch` do.
    """

    monitored_metric = None
    stage = 0

    def __init__(
        self,
        trajectories: Sequence[Trajectory],
        variables: Sequence[str],
        degrees: Sequence[int],
        settings: Settings,
    ) -> None:
        self._trajectories, self._settings = trajectories, settings
        self.degrees = tuple(degrees)
        self.libraries = tuple(Polynomials(variables, degree) for degree in self.degrees)
        self._selected = -1
        self._evidence: EvidenceSearch | None = None
        if by_evidence(trajectories, settings):
            self._evidence = EvidenceSearch(trajectories, self.library, settings)
        else:
            self._begin()

    def _begin(self) -> None:
        """Start with the lowest degree, by projection."""
        self._evidence = None
        self._models = [self._model(0)]
        steps_after = self._models[0].total_steps - len(self.libraries[0])
        self._most_steps = sum(len(library) + steps_after for library in self.libraries)

    def _model(self, index: int) -> Projection:
        return Projection(self._trajectories, self.libraries[index], self._settings)

    @property
    def library(self) -> Polynomials:
        """The library of the highest degree."""
        return self.libraries[-1]

    @property
    def degree(self) -> int:
        """The selected degree, or else the one in progress."""
        if self._evidence is not None:
            present = self._evidence.coefficients().any(axis=1)
            return max([1, *np.array(self.library.complexities)[present].tolist()])
        return self.degrees[self._selected] if self._selected >= 0 else self.degrees[len(self._models) - 1]

    @property
    def total_steps(self) -> int:
        """Upper bound of the number of steps."""
        return self._most_steps if self._evidence is None else self._evidence.total_steps

    @property
    def done(self) -> bool:
        return self._selected >= 0 if self._evidence is None else self._evidence.done

    def step(self) -> dict[str, float]:
        """One step with the present degree; its last step also selects a degree or starts the next one."""
        if self._evidence is not None:
            return self._evidence.step() | {"degree": float(self.degree)}
        model = self._models[-1]
        metrics = model.step() | {"degree": float(self.degrees[len(self._models) - 1])}
        if model.done:
            limit = MAX_RESIDUAL_RATIO + 3 / sqrt(self._points())
            explained = (_residual_ratio(model.result(), self._scale()) <= limit).all()
            if explained or len(self._models) == len(self.degrees):
                self._selected = self._best()
            else:
                self._models.append(self._model(len(self._models)))
        return metrics

    def _best(self) -> int:
        """Index of the lowest degree whose residuals are close to the smallest for every variable."""
        ratios = np.stack([_residual_ratio(model.result(), self._scale()) for model in self._models])
        close = (ratios <= TOLERATED_INCREASE * ratios.min(axis=0)).all(axis=1)
        return int(np.argmax(close)) if close.any() else int(ratios.max(axis=1).argmin())

    def _points(self) -> int:
        return sum(len(trajectory.times) for trajectory in self._trajectories)

    def _scale(self) -> np.ndarray:
        """The standard deviation of each variable (D), over all trajectories."""
        return np.nanstd(np.concatenate([trajectory.values.numpy() for trajectory in self._trajectories]), axis=0)

    # results

    def _now(self) -> Projection | EvidenceSearch:
        if self._evidence is not None:
            return self._evidence
        return self._models[self._selected if self._selected >= 0 else -1]

    def coefficients(self) -> np.ndarray:
        """Xi (C, D) in physical units, 0 for candidates above the present degree."""
        return self._padded(self._now().coefficients(), 0.0)

    def result(self) -> Discovery:
        """The result with the present degree, over the library of the highest one."""
        result = self._now().result()
        fields = ("coefficients", "lower", "upper", "standard_error", "bootstrap_lower", "bootstrap_upper", "inclusion")
        padded: dict[str, Any] = {name: self._padded(getattr(result, name), 0.0) for name in fields}
        return replace(result, **padded)

    def residual_ratio(self) -> np.ndarray:
        """Residual over noise level (D); the noise level is at least CLEAN standard deviations."""
        return _residual_ratio(self._now().result(), self._scale())

    def _padded(self, values: np.ndarray, fill: float) -> np.ndarray:
        missing = len(self.library) - len(values)
        return np.concatenate([values, np.full((missing, values.shape[1]), fill)])

    # state

    def state(self) -> dict[str, np.ndarray]:
        """The selected degree, and the state of the discovery with each degree."""
        if self._evidence is not None:
            return self._evidence.state()
        arrays = {"chosen": np.array(self._selected)}
        for degree, model in zip(self.degrees, self._models, strict=False):
            arrays |= {f"degree{degree}_{name}": value for name, value in model.state().items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        if self._evidence is not None and "chosen" not in state:
            self._evidence.restore(state)
            return
        self._begin()
        self._selected = int(np.asarray(state["chosen"]).item())
        models = []
        for index, degree in enumerate(self.degrees):
            arrays = {
                name.partition("_")[2]: value for name, value in state.items() if name.startswith(f"degree{degree}_")
            }
            if arrays:
                models.append(self._models[index] if index < len(self._models) else self._model(index))
                models[-1].restore(arrays)
        self._models = models


def _residual_ratio(result: Discovery, scale: np.ndarray) -> np.ndarray:
    """Residual (D) over the noise level, which is at least CLEAN times `scale`."""
    return result.residual / np.maximum(result.noise, CLEAN * scale)


def default_degrees(variables: int, points: int) -> tuple[int, ...]:
    """Default degrees for numbers of variables and grid points.

    Degree 1, and higher degrees with at most MAX_COEFFICIENTS coefficients and at least five grid points per candidate.
    """
    sizes = {degree: comb(variables + degree, degree) for degree in range(1, MAX_DEGREE + 1)}
    allowed = {d for d, size in sizes.items() if size * variables <= MAX_COEFFICIENTS and 5 * size <= points}
    return tuple(d for d in sizes if d == 1 or d in allowed)
