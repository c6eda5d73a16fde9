"""Discovery of u' = Theta(u) Xi from a record by variable projection (`adam` has the published network model).

Inside, every variable is divided by its standard deviation, so that no result depends on units; `coefficients()` is in
physical units.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.models.library import Polynomials
from workbench.models.responses import Integrator
from workbench.models.smoothing import smooth

CHUNK = 2**21
"""Numbers of right-hand side that go through the solver at once; it bounds the memory."""


@dataclass(frozen=True)
class Units:
    """Physical and standardised coefficients: variables are divided by `scale` (D), candidates by `candidates` (C)."""

    scale: Tensor
    candidates: Tensor

    @classmethod
    def of(cls, record: Tensor, library: Polynomials) -> "Units":
        """The standard deviations of a record (N, D). Raises ValueError for a variable that is constant."""
        scale = record.std(dim=0)
        for name, value in zip(library.variables, scale.tolist(), strict=True):
            if not value > 0:
                raise ValueError(f"variable {name} never changes: there is no equation to discover for it")
        return cls(scale, library.scales(scale))

    def physical(self, coefficients: Tensor) -> Tensor:
        """Xi (C, D) of the standardised variables -> Xi of the variables as they are."""
        return coefficients * self.scale / self.candidates[:, None]


class Projection:
    """Xi by variable projection: u is linear in Xi, so the best Xi for given states is one least-squares problem.

    The record is smoothed for the candidates' sake; every candidate is pushed through the solver over every window; the
    initial value of each window is fitted and projected out; and Xi minimises sum |u - data|^2. That is the first step.
    In each further step every equation drops its least term and the rest is fitted again, for as long as what only that
    term explains is below the share `threshold` of the variable's change within a window (backward elimination).

    record: (N, D), evenly sampled. Source: Golub & Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least
    Squares Problems Whose Variables Separate" (1973).
    """

    monitor = None
    era = 0

    def __init__(
        self,
        record: Tensor,
        library: Polynomials,
        integrator: Integrator,
        *,
        window: int,
        stride: int,
        threshold: float,
    ) -> None:
        self.library = library
        self.total_steps = len(library) + 1
        self._units = Units.of(record, library)
        self._record = record / self._units.scale
        self._integrator = integrator
        self._window, self._stride, self._threshold = window, stride, threshold
        shape = (len(library), record.shape[1])
        self._triangle = None
        self._kept = np.ones(shape, dtype=bool)
        self._next = np.zeros(shape, dtype=bool)
        self._fit = np.zeros(shape)

    @property
    def done(self) -> bool:
        return self._triangle is not None and not self._next.any()

    def step(self) -> dict[str, float]:
        """The fit of all terms first, then rounds of dropping. Raises FloatingPointError for NaN from the solver."""
        triangle = self._reduce() if self._triangle is None else self._triangle
        kept = self._kept & ~self._next
        self._triangle, self._kept = triangle, kept
        losses = self._refit()
        return {"loss": float(np.mean(losses)), "terms": float(kept.sum())}

    def coefficients(self) -> np.ndarray:
        return self._units.physical(torch.from_numpy(self._fit)).numpy()

    def state(self) -> dict[str, np.ndarray]:
        started = {} if self._triangle is None else {"triangle": self._triangle.copy()}
        return {"kept": self._kept.copy(), **started}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._kept = np.array(state["kept"], dtype=bool)
        self._triangle = np.array(state["triangle"]) if "triangle" in state else None
        self._fit, self._next = np.zeros(self._kept.shape), np.zeros_like(self._kept)
        if self._triangle is not None:
            self._refit()

    # the least-squares problem

    def _reduce(self) -> np.ndarray:
        """The triangle (C + D, C + D) of the QR factorisation of [responses | data]: all that later fits need."""
        states, _ = smooth(self._record, self._integrator)
        data = self._record.unfold(0, self._window, self._stride).mT
        states = states.unfold(0, self._window, self._stride).mT
        at_once = max(1, CHUNK // (len(self.library) * self._window))
        triangle = None
        for start in range(0, len(data), at_once):
            block = self._rows(states[start : start + at_once], data[start : start + at_once])
            triangle = torch.linalg.qr(block if triangle is None else torch.cat([triangle, block]), mode="r").R
        if not triangle.isfinite().all():
            raise FloatingPointError("the solver's answers to the candidates are not finite")
        return triangle.numpy()

    def _rows(self, states: Tensor, data: Tensor) -> Tensor:
        """[responses | data] of windows (W, T, D), their initial values projected out: (W T, C + D)."""
        forcing = self.library(states).movedim(-1, 0)
        unit = forcing.new_zeros(1, self._window)
        initial = torch.cat([forcing.new_zeros(forcing[..., 0].numel()), forcing.new_ones(1)])
        answers = self._integrator(torch.cat([forcing.flatten(0, 1), unit]), initial)
        homogeneous = answers[-1] / answers[-1].norm()
        columns = torch.cat([answers[:-1].unflatten(0, forcing.shape[:2]), data.movedim(-1, 0)])
        columns = columns - (columns @ homogeneous)[..., None] * homogeneous
        return columns.flatten(1).T

    def _refit(self) -> list[float]:
        """Fit the terms that are kept, find those to drop next; return the unexplained share per variable."""
        C, losses = len(self.library), []
        self._fit, self._next = np.zeros(self._kept.shape), np.zeros_like(self._kept)
        for variable in range(self._kept.shape[1]):
            terms = np.flatnonzero(self._kept[:, variable])
            design, target = self._triangle[:, terms], self._triangle[:, C + variable]
            scale, size = np.linalg.norm(design, axis=0), np.linalg.norm(target)
            inverse = np.linalg.pinv(design / scale)
            fit = inverse @ target
            self._fit[terms, variable] = fit / scale
            losses.append(float(np.sum((target - design @ (fit / scale)) ** 2) / size**2))
            if len(terms):
                # dropping term c adds this to the residual, in the norm
                explained = np.abs(fit) / np.linalg.norm(inverse, axis=1)
                weakest = int(explained.argmin())
                self._next[terms[weakest], variable] = explained[weakest] < self._threshold * size
        return losses
