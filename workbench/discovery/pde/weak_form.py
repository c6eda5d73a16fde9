"""Discovery of u_t = Theta(u, u_x, ...) Xi from a field on a periodic interval, by projection.

Fourier modes are the test functions in space (a weak form), the solver integrates in time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from workbench.discovery.engine.blocks import Block
from workbench.discovery.engine.selection import Criterion, backward, exchanged, fit
from workbench.discovery.pde.terms import Array, Field, Floor, Spectrum, Term, spectra
from workbench.discovery.solving import solved
from workbench.discovery.uncertainty import NORMAL_95, bootstrap
from workbench.solver import LinearODE

ROUNDS = 4
"""Fits in all; after each, waves are weighted by what the last one left over. Three are usually enough."""
REPEATS = 20
"""Fits to fields with more noise, which tell the errors of the coefficients."""
INTEGRAL = 1e-5
"""Relative error granted to the integrals over time; measured on the waves of this project without noise: 7e-6."""
LEAST = 1e-3
"""What a wave leaves over counts as this share of how waves change, if it is less: below that it is no noise, and no
reason to hear some waves only."""
SMOOTH = 3.0
"""Derivatives inside a product are of the waves whose power is this many times the noise floor."""


@dataclass(frozen=True)
class FieldSettings:
    """How the equation is sought.

    window: frames solved as one system. modes: waves used; 0: those `ratio` times above the noise floor.
    min_contribution: terms that alone explain less than this of how u changes within a window are dropped. n_bootstrap:
    bootstrap resamples.
    derivatives, backend, method: of the solver.
    """

    window: int = 35
    modes: int = 0
    ratio: float = 30.0
    min_contribution: float = 0.01
    n_bootstrap: int = 200
    derivatives: int = 6
    backend: str = "auto"
    method: str = "qr"
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """Coefficients (C), 0 where a term is not in the equation; 95 % intervals lower, upper (C); inclusion (C).

    noise: standard deviation, told from the field. modes: waves used, for the first field.
    """

    coefficients: Array
    lower: Array
    upper: Array
    inclusion: Array
    noise: float
    modes: int


class FieldProjection:
    """Xi minimises the sum over windows and waves of |u^ - u^_0 - response(Theta^ Xi)|^2 / variance of the wave.

    u^ are Fourier amplitudes, the response of a candidate is its integral over time by the solver, u^_0 the best
    initial value of each window. Each of ROUNDS steps drops terms as `Criterion` says and then weights every wave by
    what it left over, so that waves in which the noise of the candidates grows (k^3 for u_xxx) count less; samples are
    counted as many as neighbouring errors let be independent. At the end the field gets noise of its own size again,
    REPEATS times: what that changes is taken off once (simulation and extrapolation) and is the standard error.

    Raises ValueError for a field that is shorter than one window, or windows too short for that many terms.
    Sources: Messenger & Bortz, "Weak SINDy for partial differential equations", J. Comput. Phys. 443 (2021); Cook &
    Stefanski, "Simulation-extrapolation estimation in parametric measurement error models", JASA 89 (1994).
    """

    monitor = None
    era = 0
    total_steps = ROUNDS

    def __init__(self, fields: Sequence[Field], terms: Sequence[Term], settings: FieldSettings | None = None) -> None:
        self.settings = settings or FieldSettings()
        self.terms, self._fields = tuple(terms), tuple(fields)
        self._check()
        floors = [Floor.of(field) for field in fields]
        self.noise = float(np.sqrt(np.mean([floor.noise**2 for floor in floors])))
        self._modes = [
            self.settings.modes or floor.cut(field, self.settings.ratio)
            for field, floor in zip(fields, floors, strict=True)
        ]
        self._smooth = [floor.cut(field, SMOOTH) for field, floor in zip(fields, floors, strict=True)]
        self._units, self._samples, self._scale = None, 0.0, None
        self._weights = [np.ones(modes) for modes in self._modes]
        self._values = np.zeros(len(self.terms))
        self._count, self._found = 0, None

    def _check(self) -> None:
        window, least = self.settings.window, len(self.terms) // 2 + 2
        if not self._fields:
            raise ValueError("fields: expected at least one, found none")
        if window < least:
            raise ValueError(f"window: expected at least {least} frames for {len(self.terms)} terms, found {window}")
        for field in self._fields:
            if len(field.values) < window:
                raise ValueError(f"window: {window} frames are more than the field has ({len(field.values)})")
            if self.settings.modes > len(field.waves) - 2:
                raise ValueError(f"modes: expected at most {len(field.waves) - 2}, found {self.settings.modes}")

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """One fit, and weights for the next; loss: what it leaves over, over how u changes (root mean squares)."""
        if self._units is None:
            self._prepare()
        block, totals, criterion = self._problem()
        best = exchanged(block, totals, criterion, backward(block, totals, criterion))
        self._values, self._found = best.values, None
        left = [unit @ np.append(-best.values, 1.0) for unit in self._units]
        loss = float(np.sqrt(sum((part**2).sum() for part in left) / sum(part.size for part in left)))
        self._weigh(left)
        self._count += 1
        return {"loss": loss, "terms": float(best.kept.sum())}

    def _prepare(self) -> None:
        """Responses and data (windows, waves, rows, C + 1) of each field, every column over its root mean square."""
        units = [self._rows(field, index, self.terms) for index, field in enumerate(self._fields)]
        squares = sum((unit**2).sum(axis=(0, 1, 2)) for unit in units)
        self._scale = np.sqrt(squares / sum(unit[..., 0].size for unit in units))
        for term, size in zip(self.terms, self._scale, strict=False):
            if not size > 0:
                raise ValueError(f"candidate {term.name} is zero on all of the field")
        self._units = [unit / self._scale for unit in units]
        self._samples = float(sum(unit[..., 0].size for unit in units))

    def _rows(self, field: Field, index: int, terms: Sequence[Term]) -> Array:
        modes, settings = self._modes[index], self.settings
        candidates = _windows(spectra(field, terms, modes, self._smooth[index]), settings.window)
        data = _windows(field.spectrum[None, :, : modes + 1], settings.window)
        steps = torch.full((settings.window - 1,), field.step, dtype=torch.float64)
        rows = np.concatenate([_integrals(candidates, steps, settings), data])
        # the best initial value of a window is what makes the mean of the difference vanish
        rows -= rows.mean(axis=-1, keepdims=True)
        # (C + 1, parts, windows, modes, W) -> (windows, modes, parts * W, C + 1)
        moved = np.moveaxis(rows, (2, 3, 1, 4, 0), (0, 1, 2, 3, 4))
        return moved.reshape(*moved.shape[:2], -1, len(terms) + 1)

    def _problem(self) -> tuple[Block, Array, Criterion]:
        weighted = [unit * w[:, None, None] for unit, w in zip(self._units, self._weights, strict=True)]
        rows = np.concatenate([part.reshape(-1, *part.shape[2:]) for part in weighted])
        triangles = torch.from_numpy(np.linalg.qr(rows, mode="r"))
        labels = np.array([(index, 0) for index in range(len(self.terms))])
        totals = np.full(len(self.terms), float((rows[..., -1] ** 2).sum()))
        criterion = Criterion(self.settings.min_contribution, self._samples, len(self.terms))
        return Block(labels, triangles), totals, criterion

    def _weigh(self, left: Sequence[Array]) -> None:
        """Weights by the variance of each wave, and the number of samples by the correlation of neighbours."""
        self._weights = [1 / np.sqrt(np.maximum((part**2).mean(axis=(0, 2)), LEAST**2)) for part in left]
        product = square = size = 0.0
        for part, weights in zip(left, self._weights, strict=True):
            scaled = (part * weights[:, None]).reshape(-1, self.settings.window)
            product += float((scaled[:, 1:] * scaled[:, :-1]).sum())
            square += float((scaled**2).sum())
            size += scaled.size
        correlation = min(max(product / max(square, 1e-300), 0.0), 0.99)
        self._samples = size * (1 - correlation) / (1 + correlation)

    # what was found

    def coefficients(self) -> Array:
        """Xi (C, 1) in physical units."""
        return self._physical(self._values)[:, None]

    def _physical(self, values: Array) -> Array:
        return values if self._scale is None else values * self._scale[-1] / self._scale[:-1]

    def result(self) -> Found:
        """All that is known; before the first step nothing is, and every term is zero."""
        if self._found is None:
            self._found = self._result()
        return self._found

    def _result(self) -> Found:
        zeros, kept = np.zeros(len(self.terms)), self._values != 0
        if not kept.any():
            return Found(zeros, zeros, zeros, zeros, self.noise, self._modes[0])
        if self._units is None:
            self._prepare()
        block, totals, criterion = self._problem()
        generator = np.random.default_rng(self.settings.seed)
        again = fit(block, kept)
        *_, inclusion = bootstrap(block, again, totals, criterion, self.settings.n_bootstrap, generator)
        values, errors = self._physical(self._values), self._physical(again.deviations(criterion.samples))
        shift, spread = self._repeated(kept, generator)
        values[kept] -= shift
        errors[kept] = np.sqrt(errors[kept] ** 2 + spread**2 + (INTEGRAL * values[kept]) ** 2)
        return Found(
            values, values - NORMAL_95 * errors, values + NORMAL_95 * errors, inclusion, self.noise, self._modes[0]
        )

    def _repeated(self, kept: Array, generator: np.random.Generator) -> tuple[Array, Array]:
        """How noise as large again shifts the kept coefficients, and its standard error, each over `kept`."""
        terms = [term for term, own in zip(self.terms, kept, strict=True) if own]
        found = []
        for repeat in range(REPEATS + 1):
            rows = []
            for index, field in enumerate(self._fields):
                noise = self.noise * generator.standard_normal(field.values.shape) if repeat else 0.0
                unit = self._rows(replace(field, values=field.values + noise), index, terms)
                rows.append((unit * self._weights[index][:, None, None]).reshape(-1, len(terms) + 1))
            own = np.concatenate(rows)
            size = np.linalg.norm(own[:, :-1], axis=0)
            found.append(np.linalg.lstsq(own[:, :-1] / size, own[:, -1], rcond=None)[0] / size)
        return np.mean(found[1:], axis=0) - found[0], np.std(found[1:], axis=0, ddof=1)

    # the state

    def state(self) -> dict[str, np.ndarray]:
        found = {"count": np.array(self._count), "values": self._values.copy(), "samples": np.array(self._samples)}
        return found | {f"weights_{index}": weights.copy() for index, weights in enumerate(self._weights)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        if self._units is None:
            self._prepare()
        self._count, self._values = int(state["count"]), np.array(state["values"])
        self._samples, self._found = float(state["samples"]) or self._samples, None
        self._weights = [np.array(state[f"weights_{index}"]) for index in range(len(self._fields))]


def _windows(spectrum: Spectrum, window: int) -> Array:
    """Real and imaginary parts (C, 2, windows, modes, W) of waves (C, T, modes + 1), the mean left out."""
    count = spectrum.shape[1] // window
    own = spectrum[:, : count * window, 1:].reshape(len(spectrum), count, window, -1)
    return np.stack([own.real, own.imag], axis=1).swapaxes(-1, -2)


def _integrals(candidates: Array, steps: torch.Tensor, settings: FieldSettings) -> Array:
    """u with u' = candidate and u = 0 at the start of the window, by the solver: one factor serves all."""
    c = torch.zeros(1, 1, 1, settings.derivatives, dtype=torch.float64)
    c[..., 1] = 1.0
    forcing = torch.from_numpy(np.ascontiguousarray(candidates))[..., None]
    problem = LinearODE(c, forcing, torch.zeros(1, 1, 1, dtype=torch.float64), steps)
    return solved(problem, settings.backend, settings.method)[..., 0, 0].numpy()
