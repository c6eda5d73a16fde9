"""Largest Lyapunov exponent of a discovered model."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.model import Discovered
from workbench.diagnostics.runge_kutta import advance

RENORMALISATION_STEPS = 10
"""Steps between two normalisations of the perturbations."""


@dataclass(frozen=True)
class Lyapunov:
    """exponent: per unit of time. error: its standard error over trajectories, NaN for a single one.

    lost: fraction of the trajectories that blow up and are excluded. message: interpretation. chaotic: the exponent is
    positive beyond its error and the bias of the finite time.
    """

    exponent: float
    error: float
    lost: float
    message: str
    chaotic: bool = False


def lyapunov(
    model: Discovered,
    starts: np.ndarray,
    *,
    step: float,
    time: float = 0.0,
    steps: int = 2000,
    settle: int = 500,
    most: int = 200,
) -> Lyapunov:
    """Mean growth rate of perturbations w, w' = J(u) w along u' = f(u), from initial states `starts` (N, S).

    At most `most` of the starts, evenly spaced, are integrated together over settle + steps of `step` by the classical
    Runge-Kutta method; the first `settle` steps align w with the fastest growing direction and are discarded. The
    starts should lie on the attractor, such as measured states, and the step should resolve the dynamics.
    Raises ValueError for invalid starts, fewer steps than RENORMALISATION_STEPS, or a step that is not positive.
    Source: Benettin, Galgani, Giorgilli, Strelcyn, "Lyapunov characteristic exponents", Meccanica 15 (1980).
    """
    starts = model.check(starts).reshape(-1, len(model.library.inputs))
    if steps < RENORMALISATION_STEPS or not step > 0:
        raise ValueError(
            f"steps: expected at least {RENORMALISATION_STEPS} of a positive length, found {steps} of {step:g}"
        )
    selected = starts[np.unique(np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int))]
    deviation = starts.std(axis=0)
    unit = np.where(deviation > 0, deviation, 1.0)
    growth = _growth(model, selected, unit, np.full(len(selected), time), step, (steps, settle))
    finite = np.isfinite(growth)
    rates = growth[finite]
    lost = 1 - float(finite.mean())
    if lost > 0.5:
        return Lyapunov(float("nan"), float("nan"), lost, f"no exponent: {lost:.0%} of the trajectories blow up")
    exponent = float(rates.mean())
    error = float(rates.std(ddof=1) / np.sqrt(len(rates))) if len(rates) > 1 else float("nan")
    # over a finite time a bounded perturbation may still grow or shrink by a factor of about e
    margin = 3 * np.nan_to_num(error) + 1 / (steps * step)
    return Lyapunov(exponent, error, lost, _interpretation(exponent, margin), bool(exponent > margin))


def _growth(
    model: Discovered, states: np.ndarray, unit: np.ndarray, times: np.ndarray, step: float, counts: tuple[int, int]
) -> np.ndarray:
    """Growth rate along each trajectory (W); NaN for those that blow up."""
    size, (steps, settle) = len(unit), counts
    first = np.ones(size) / np.sqrt(size)
    both = np.concatenate([states / unit, np.broadcast_to(first, states.shape)], axis=1)

    def rates(time: np.ndarray, both: np.ndarray) -> np.ndarray:
        state = both[:, :size] * unit
        jacobian = model.rates.jacobian(time, state) / unit[:, None] * unit
        perturbation_rate = np.einsum("wij,wj->wi", jacobian, both[:, size:])
        return np.concatenate([model.rates(time, state) / unit, perturbation_rate], axis=1)

    total, count = np.zeros(len(both)), 0
    step_sizes = np.full(len(both), step)
    with np.errstate(all="ignore"):
        for number in range(1, settle + steps + 1):
            both = advance(rates, times, both, step_sizes)
            times = times + step
            if number % RENORMALISATION_STEPS == 0:
                length = np.linalg.norm(both[:, size:], axis=1)
                both[:, size:] /= length[:, None]
                if number > settle:
                    total, count = total + np.log(length), count + RENORMALISATION_STEPS
    return total / (count * step)


def _interpretation(exponent: float, margin: float) -> str:
    if exponent > margin:
        return f"chaotic: perturbations grow e-fold in {1 / exponent:.3g}"
    if exponent < -margin:
        return f"stable: perturbations shrink e-fold in {-1 / exponent:.3g}"
    return "neither growth nor decay of perturbations within the error: periodic, or too short"
