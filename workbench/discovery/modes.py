"""Discovery by projection or by evidence, as the settings and the noise level of the record demand."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from workbench.discovery.data import Trajectory, split_segments
from workbench.discovery.engine.preparation import CLEAN, Settings
from workbench.discovery.engine.projection import Projection
from workbench.discovery.engine.result import Discovery
from workbench.discovery.evidence_search import EvidenceSearch
from workbench.discovery.noise import noise_level
from workbench.symbolic.library import Library

SHORTEST = 50
"""Least number of points of a segment for projection."""


class DiscoveryModel:
    """Discovery of u' = Theta(u) Xi, or u'' = Theta(u, u') Xi, from trajectories, in steps.

    `Settings.denoise` selects the method: False: `Projection`; True: `EvidenceSearch`; None: `Projection` for complete
    records almost without noise, else `EvidenceSearch`. A state saved by an earlier version, which estimated noisy
    states by `Projection` too, continues with that.
    Raises ValueError for unsuitable data or settings.
    """

    monitored_metric = None
    stage = 0

    def __init__(self, trajectories: Sequence[Trajectory], library: Library, settings: Settings | None = None) -> None:
        self.library = library
        self._arguments = tuple(trajectories), library, settings or Settings()
        method = EvidenceSearch if by_evidence(trajectories, self._arguments[-1]) else Projection
        self._model: EvidenceSearch | Projection = method(*self._arguments)

    @property
    def method(self) -> str:
        """ "projection" or "evidence"."""
        return "evidence" if isinstance(self._model, EvidenceSearch) else "projection"

    @property
    def total_steps(self) -> int:
        return self._model.total_steps

    @property
    def done(self) -> bool:
        return self._model.done

    def step(self) -> dict[str, float]:
        """One step. Raises FloatingPointError for non-finite solutions of the solver."""
        return self._model.step()

    def coefficients(self) -> np.ndarray:
        """Xi (C, D) in physical units."""
        return self._model.coefficients()

    def result(self) -> Discovery:
        """The present result."""
        return self._model.result()

    def state(self) -> dict[str, np.ndarray]:
        return self._model.state()

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        if "counters" in state and not isinstance(self._model, Projection):
            self._model = Projection(*self._arguments)
        self._model.restore(state)


def by_evidence(trajectories: Sequence[Trajectory], settings: Settings) -> bool:
    """Whether `Settings.denoise`, or else the record, demands `EvidenceSearch`.

    A window length or cross-validation, which only `Projection` has, demands that.
    """
    if settings.denoise is not None:
        return settings.denoise
    return settings.window == 0 and settings.cv_folds == 0 and not is_clean(trajectories)


def is_clean(trajectories: Sequence[Trajectory]) -> bool:
    """Whether all variables are measured at every time, without gaps and almost without noise."""
    if len({trajectory.values.shape[1] for trajectory in trajectories}) != 1:
        return False
    values = torch.cat([trajectory.values for trajectory in trajectories])
    segments = split_segments(trajectories)
    if values.isnan().any() or len(segments) > len(trajectories) or min(map(len, segments)) < SHORTEST:
        return False
    return bool((noise_level(segments) <= CLEAN * values.std(dim=0)).all())


def discover(trajectories: Sequence[Trajectory], library: Library, settings: Settings | None = None) -> Discovery:
    """Run `DiscoveryModel` to the end and return its result."""
    model = DiscoveryModel(trajectories, library, settings)
    while not model.done:
        model.step()
    return model.result()
