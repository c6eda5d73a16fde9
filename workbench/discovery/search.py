"""How high the polynomials must be, told from the record: discovery with one degree after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb, sqrt

import numpy as np

from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.result import Discovery
from workbench.symbolic.library import Polynomials

HIGHEST = 3
MOST_UNKNOWN = 400
"""Coefficients among which is searched without being asked to: work grows with their square."""
EXPLAINED = 1.1
"""What the equations of a degree may leave over, in units of the noise, for no higher degree to be tried; and three
standard errors of the noise, which is told from the record, besides."""
CLEAN = 3e-3
"""The same in standard deviations of the variable, for records whose noise is smaller than what truncation leaves."""
WORSE = 1.1
"""How much more the equations of a degree may leave over than those of a higher one and still be preferred."""


class Degrees:
    """`Projection` with polynomials of degree 1, 2, ... until the equations leave over no more than the noise.

    Of the degrees tried, the lowest one is taken whose equations leave over hardly more than the best. The
    coefficients (C, D) are those of the library of the highest degree; lower libraries are its beginning.
    Raises ValueError as `Projection` does.
    """

    monitor = None
    era = 0

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
        self._models = [self._model(0)]
        self._chosen = -1
        steps_after = self._models[0].total_steps - len(self.libraries[0])
        self.total_steps = sum(len(library) + steps_after for library in self.libraries)

    def _model(self, place: int) -> Projection:
        return Projection(self._trajectories, self.libraries[place], self._settings)

    @property
    def library(self) -> Polynomials:
        """That of the highest degree."""
        return self.libraries[-1]

    @property
    def degree(self) -> int:
        """The degree that was chosen, or is being tried."""
        return self.degrees[self._chosen] if self._chosen >= 0 else self.degrees[len(self._models) - 1]

    @property
    def done(self) -> bool:
        return self._chosen >= 0

    def step(self) -> dict[str, float]:
        """A step of the discovery with one degree; after its last, the next degree begins or the choice is made."""
        now = self._models[-1]
        metrics = now.step() | {"degree": float(self.degrees[len(self._models) - 1])}
        if now.done:
            limit = EXPLAINED + 3 / sqrt(self._points())
            enough = (_left(now.result(), self._deviation()) <= limit).all()
            if enough or len(self._models) == len(self.degrees):
                self._chosen = self._best()
            else:
                self._models.append(self._model(len(self._models)))
        return metrics

    def _best(self) -> int:
        """The lowest degree whose equations leave over hardly more than those of any other, for every variable."""
        left = np.stack([_left(model.result(), self._deviation()) for model in self._models])
        good = (left <= WORSE * left.min(axis=0)).all(axis=1)
        return int(np.argmax(good)) if good.any() else int(left.max(axis=1).argmin())

    def _points(self) -> int:
        return sum(len(own.times) for own in self._trajectories)

    def _deviation(self) -> np.ndarray:
        """The standard deviation of each variable (D), over all trajectories."""
        return np.nanstd(np.concatenate([own.values.numpy() for own in self._trajectories]), axis=0)

    # what was found

    def _now(self) -> Projection:
        return self._models[self._chosen if self._chosen >= 0 else -1]

    def coefficients(self) -> np.ndarray:
        """Xi (C, D) in physical units, 0 for candidates of higher degrees than the present one."""
        return self._padded(self._now().coefficients(), 0.0)

    def result(self) -> Discovery:
        """What the discovery with the present degree has found, over the library of the highest one."""
        found = self._now().result()
        fields = ("coefficients", "lower", "upper", "deviation", "drawn_lower", "drawn_upper", "inclusion")
        return replace(found, **{name: self._padded(getattr(found, name), 0.0) for name in fields})

    def left(self) -> np.ndarray:
        """What the equations leave over (D), in units of the noise, or of what rounding leaves where there is none."""
        return _left(self._now().result(), self._deviation())

    def _padded(self, values: np.ndarray, fill: float) -> np.ndarray:
        missing = len(self.library) - len(values)
        return np.concatenate([values, np.full((missing, values.shape[1]), fill)])

    # the state

    def state(self) -> dict[str, np.ndarray]:
        """The choice, and the state of the discovery with each degree that was tried."""
        found = {"chosen": np.array(self._chosen)}
        for degree, model in zip(self.degrees, self._models, strict=False):
            found |= {f"degree{degree}_{name}": value for name, value in model.state().items()}
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._chosen = int(np.asarray(state["chosen"]).item())
        models = []
        for place, degree in enumerate(self.degrees):
            own = {
                name.partition("_")[2]: value for name, value in state.items() if name.startswith(f"degree{degree}_")
            }
            if own:
                models.append(self._models[place] if place < len(self._models) else self._model(place))
                models[-1].restore(own)
        self._models = models


def _left(found: Discovery, deviation: np.ndarray) -> np.ndarray:
    """What states and equations leave over (D), in units of the noise or of CLEAN standard deviations."""
    return found.residual / np.maximum(found.noise, CLEAN * deviation)


def sensible(variables: int, points: int) -> tuple[int, ...]:
    """The degrees that are tried without being asked to, for so many variables and grid points.

    Degree 1 always; a higher one where there are at most MOST_UNKNOWN coefficients, and five grid points for each
    candidate.
    """
    sizes = {degree: comb(variables + degree, degree) for degree in range(1, HIGHEST + 1)}
    return tuple(d for d, size in sizes.items() if d == 1 or (size * variables <= MOST_UNKNOWN and 5 * size <= points))
