"""Discovery of u_t = Theta(u, u_x, ...) Xi from fields on a periodic interval, in weak form.

Fourier modes are the test functions in space; the solver integrates in time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from workbench.discovery.engine.blocks import Block
from workbench.discovery.engine.selection import Criterion, backward, exchanged, fit
from workbench.discovery.pde.terms import Array, Field, Floor, Spectrum, Term, spectra
from workbench.discovery.solving import solve_states
from workbench.discovery.uncertainty import NORMAL_95, bootstrap
from workbench.solver import LinearODE

ROUNDS = 4
"""Number of fits, each weighted by the residuals of the previous one. Three are usually enough."""
REPEATS = 20
"""Fits to fields with added noise, which estimate bias and errors of the coefficients."""
INTEGRAL = 1e-5
"""Assumed relative error of the time integrals; measured on the noise-free waves of this project: 7e-6."""
MIN_RESIDUAL = 1e-3
"""Lower bound of the residual of a wave over its change; smaller residuals are not noise and must not set weights."""
SMOOTH = 3.0
"""Derivatives inside products use the waves whose power exceeds the noise floor by this factor."""


@dataclass(frozen=True)
class FieldSettings:
    """Settings of `FieldProjection`.

    window: frames solved as one system. modes: number of waves; 0: those above `ratio` times the noise floor.
    min_contribution: terms that explain less than this fraction of the change of u within a window are dropped.
    n_bootstrap: bootstrap resamples. derivatives, backend, method: of the solver.
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
class FieldDiscovery:
    """Coefficients (C), 0 where a term is not in the equation; 95 % intervals lower, upper (C); inclusion (C).

    noise: estimated noise level. modes: number of waves used for the first field.
    """

    coefficients: Array
    lower: Array
    upper: Array
    inclusion: Array
    noise: float
    modes: int


class FieldProjection:
    """Xi minimises the sum over windows and waves of |u^ - u^_0 - response(Theta^ Xi)|^2 / variance of the wave.

    u^ are Fourier amplitudes, the response of a candidate is its time integral by the solver, u^_0 the optimal initial
    value of each window. Each of ROUNDS steps drops terms by `Criterion` and then weights every wave by its residuals,
    so that waves in which the noise of the candidates grows (k^3 for u_xxx) count less; the number of samples accounts
    for the correlation of neighbouring residuals. At the end, noise of the estimated level is added to the fields
    REPEATS times: the mean change of the coefficients is subtracted (simulation and extrapolation), its spread
    contributes to the standard error.

    Raises ValueError for a field shorter than one window, or windows too short for the number of terms.
    Sources: Messenger & Bortz, "Weak SINDy for partial differential equations", J. Comput. Phys. 443 (2021); Cook &
    Stefanski, "Simulation-extrapolation estimation in parametric measurement error models", JASA 89 (1994).
    """

    monitored_metric = None
    stage = 0
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
        self._responses: list[Array] = []
        self._samples = 0.0
        self._scale: Array | None = None
        self._weights = [np.ones(modes) for modes in self._modes]
        self._values = np.zeros(len(self.terms))
        self._count = 0
        self._cached_result: FieldDiscovery | None = None

    def _check(self) -> None:
        window, least = self.settings.window, len(self.terms) // 2 + 2
        if not self._fields:
            raise ValueError("fields: expected at least one, found none")
        if window < least:
            raise ValueError(f"window: expected at least {least} frames for {len(self.terms)} terms, found {window}")
        for field in self._fields:
            if len(field.values) < window:
                raise ValueError(f"window: {window} frames exceed the length of the field ({len(field.values)})")
            if self.settings.modes > len(field.waves) - 2:
                raise ValueError(f"modes: expected at most {len(field.waves) - 2}, found {self.settings.modes}")

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """One fit, and weights for the next; loss: root mean square residual over that of the change of u."""
        if not self._responses:
            self._prepare()
        block, totals, criterion = self._problem()
        best = exchanged(block, totals, criterion, backward(block, totals, criterion))
        self._values, self._cached_result = best.values, None
        residuals = [rows @ np.append(-best.values, 1.0) for rows in self._responses]
        squares = sum((part**2).sum() for part in residuals)
        loss = float(np.sqrt(squares / sum(part.size for part in residuals)))
        self._update_weights(residuals)
        self._count += 1
        return {"loss": loss, "terms": float(best.kept.sum())}

    def _prepare(self) -> None:
        """Compute responses and data (windows, waves, rows, C + 1) per field, with columns of unit mean square."""
        responses = [self._rows(field, index, self.terms) for index, field in enumerate(self._fields)]
        squares = sum((response**2).sum(axis=(0, 1, 2)) for response in responses)
        self._scale = np.sqrt(squares / sum(response[..., 0].size for response in responses))
        for term, size in zip(self.terms, self._scale, strict=False):
            if not size > 0:
                raise ValueError(f"candidate {term.name} is zero on the whole field")
        self._responses = [response / self._scale for response in responses]
        self._samples = float(sum(response[..., 0].size for response in responses))

    def _rows(self, field: Field, index: int, terms: Sequence[Term]) -> Array:
        modes, settings = self._modes[index], self.settings
        candidates = _windows(spectra(field, terms, modes, self._smooth[index]), settings.window)
        data = _windows(field.spectrum[None, :, : modes + 1], settings.window)
        steps = torch.full((settings.window - 1,), field.step, dtype=torch.float64)
        rows = np.concatenate([_integrals(candidates, steps, settings), data])
        # the optimal initial value of a window makes the mean of the difference vanish
        rows -= rows.mean(axis=-1, keepdims=True)
        # (C + 1, parts, windows, modes, W) -> (windows, modes, parts * W, C + 1)
        moved = np.moveaxis(rows, (2, 3, 1, 4, 0), (0, 1, 2, 3, 4))
        return moved.reshape(*moved.shape[:2], -1, len(terms) + 1)

    def _problem(self) -> tuple[Block, Array, Criterion]:
        weighted = [unit * w[:, None, None] for unit, w in zip(self._responses, self._weights, strict=True)]
        rows = np.concatenate([part.reshape(-1, *part.shape[2:]) for part in weighted])
        triangles = torch.from_numpy(np.linalg.qr(rows, mode="r"))
        labels = np.array([(index, 0) for index in range(len(self.terms))])
        totals = np.full(len(self.terms), float((rows[..., -1] ** 2).sum()))
        criterion = Criterion(self.settings.min_contribution, self._samples, len(self.terms))
        return Block(labels, triangles), totals, criterion

    def _update_weights(self, residuals: Sequence[Array]) -> None:
        """Set the weights by the variance of each wave, and the number of samples by the lag-one correlation."""
        self._weights = [1 / np.sqrt(np.maximum((part**2).mean(axis=(0, 2)), MIN_RESIDUAL**2)) for part in residuals]
        product = square = size = 0.0
        for part, weights in zip(residuals, self._weights, strict=True):
            scaled = (part * weights[:, None]).reshape(-1, self.settings.window)
            product += float((scaled[:, 1:] * scaled[:, :-1]).sum())
            square += float((scaled**2).sum())
            size += scaled.size
        correlation = min(max(product / max(square, 1e-300), 0.0), 0.99)
        self._samples = size * (1 - correlation) / (1 + correlation)

    # results

    def coefficients(self) -> Array:
        """Xi (C, 1) in physical units."""
        return self._unscale(self._values)[:, None]

    def _unscale(self, values: Array) -> Array:
        return values if self._scale is None else values * self._scale[-1] / self._scale[:-1]

    def result(self) -> FieldDiscovery:
        """The present result; before the first step all coefficients are zero."""
        if self._cached_result is None:
            self._cached_result = self._result()
        return self._cached_result

    def _result(self) -> FieldDiscovery:
        zeros, selected = np.zeros(len(self.terms)), self._values != 0
        if not selected.any():
            return FieldDiscovery(zeros, zeros, zeros, zeros, self.noise, self._modes[0])
        if not self._responses:
            self._prepare()
        block, totals, criterion = self._problem()
        generator = np.random.default_rng(self.settings.seed)
        refit = fit(block, selected)
        *_, inclusion = bootstrap(block, refit, totals, criterion, self.settings.n_bootstrap, generator)
        values, errors = self._unscale(self._values), self._unscale(refit.deviations(criterion.samples))
        shift, spread = self._repeated(selected, generator)
        values[selected] -= shift
        errors[selected] = np.sqrt(errors[selected] ** 2 + spread**2 + (INTEGRAL * values[selected]) ** 2)
        return FieldDiscovery(
            values, values - NORMAL_95 * errors, values + NORMAL_95 * errors, inclusion, self.noise, self._modes[0]
        )

    def _repeated(self, selected: Array, generator: np.random.Generator) -> tuple[Array, Array]:
        """Bias and standard error of the selected coefficients due to added noise of the estimated level."""
        terms = [term for term, flag in zip(self.terms, selected, strict=True) if flag]
        estimates = []
        for repeat in range(REPEATS + 1):
            rows = []
            for index, field in enumerate(self._fields):
                noise = self.noise * generator.standard_normal(field.values.shape) if repeat else 0.0
                unit = self._rows(replace(field, values=field.values + noise), index, terms)
                rows.append((unit * self._weights[index][:, None, None]).reshape(-1, len(terms) + 1))
            system = np.concatenate(rows)
            size = np.linalg.norm(system[:, :-1], axis=0)
            estimates.append(np.linalg.lstsq(system[:, :-1] / size, system[:, -1], rcond=None)[0] / size)
        return np.mean(estimates[1:], axis=0) - estimates[0], np.std(estimates[1:], axis=0, ddof=1)

    # state

    def state(self) -> dict[str, np.ndarray]:
        arrays = {"count": np.array(self._count), "values": self._values.copy(), "samples": np.array(self._samples)}
        return arrays | {f"weights_{index}": weights.copy() for index, weights in enumerate(self._weights)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        if not self._responses:
            self._prepare()
        self._count, self._values = int(state["count"]), np.array(state["values"])
        self._samples, self._cached_result = float(state["samples"]) or self._samples, None
        self._weights = [np.array(state[f"weights_{index}"]) for index in range(len(self._fields))]


def _windows(spectrum: Spectrum, window: int) -> Array:
    """Real and imaginary parts (C, 2, windows, modes, W) of waves (C, T, modes + 1) without the mean."""
    count = spectrum.shape[1] // window
    waves = spectrum[:, : count * window, 1:].reshape(len(spectrum), count, window, -1)
    return np.stack([waves.real, waves.imag], axis=1).swapaxes(-1, -2)


def _integrals(candidates: Array, steps: torch.Tensor, settings: FieldSettings) -> Array:
    """Solutions of u' = candidate with u = 0 at the start of each window; all share one factorisation."""
    c = torch.zeros(1, 1, 1, settings.derivatives, dtype=torch.float64)
    c[..., 1] = 1.0
    forcing = torch.from_numpy(np.ascontiguousarray(candidates))[..., None]
    problem = LinearODE(c, forcing, torch.zeros(1, 1, 1, dtype=torch.float64), steps)
    return solve_states(problem, settings.backend, settings.method)[..., 0, 0].numpy()
