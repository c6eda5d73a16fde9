"""The largest Lyapunov exponent of a model, so that horizons of one's own systems have a unit too."""

from dataclasses import dataclass

import numpy as np

from workbench.diagnostics.model import Discovered
from workbench.diagnostics.runge_kutta import advance

TOGETHER = 10
"""Steps between two normalisations of the small differences."""


@dataclass(frozen=True)
class Lyapunov:
    """exponent: per unit of time; error: its standard error, from the spread over trajectories (NaN for a single one).

    lost: the share of the trajectories that blew up and do not count. message: what it means, in words.
    chaotic: small differences grow, beyond what the error and the finite time leave open.
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
    """The mean rate at which small differences w grow, w' = J(u) w along u' = f(u), from starts (N, S).

    At most `most` of the starts, evenly chosen, are followed together over settle + steps of `step` by the classical
    Runge-Kutta method; the first `settle` steps turn w into the direction that grows fastest and do not count. Take
    states of a record as starts, so that they lie where the system lives, and a step that resolves its motion.
    Raises ValueError for starts that are none, or steps below TOGETHER.
    Source: Benettin, Galgani, Giorgilli, Strelcyn, "Lyapunov characteristic exponents", Meccanica 15 (1980).
    """
    starts = model.check(starts).reshape(-1, len(model.library.inputs))
    if steps < TOGETHER or not step > 0:
        raise ValueError(f"steps: expected at least {TOGETHER} of a positive length, found {steps} of {step:g}")
    chosen = starts[np.unique(np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int))]
    deviation = starts.std(axis=0)
    unit = np.where(deviation > 0, deviation, 1.0)
    growth = _growth(model, chosen, unit, np.full(len(chosen), time), step, (steps, settle))
    alive = np.isfinite(growth)
    rates = growth[alive]
    lost = 1 - float(alive.mean())
    if lost > 0.5:
        return Lyapunov(float("nan"), float("nan"), lost, f"no exponent: {lost:.0%} of the trajectories blow up")
    exponent = float(rates.mean())
    error = float(rates.std(ddof=1) / np.sqrt(len(rates))) if len(rates) > 1 else float("nan")
    # over a finite time a bounded difference still grows or shrinks by a factor of about e
    margin = 3 * np.nan_to_num(error) + 1 / (steps * step)
    return Lyapunov(exponent, error, lost, _words(exponent, margin), bool(exponent > margin))


def _growth(
    model: Discovered, states: np.ndarray, unit: np.ndarray, times: np.ndarray, step: float, counts: tuple[int, int]
) -> np.ndarray:
    """The rate of growth along each trajectory (W); NaN for those that blow up."""
    size, (steps, settle) = len(unit), counts
    first = np.ones(size) / np.sqrt(size)
    both = np.concatenate([states / unit, np.broadcast_to(first, states.shape)], axis=1)

    def rates(time: np.ndarray, both: np.ndarray) -> np.ndarray:
        state = both[:, :size] * unit
        tangent = model.rates.tangent(time, state) / unit[:, None] * unit
        turned = np.einsum("wij,wj->wi", tangent, both[:, size:])
        return np.concatenate([model.rates(time, state) / unit, turned], axis=1)

    total, counted = np.zeros(len(both)), 0
    steps_now = np.full(len(both), step)
    with np.errstate(all="ignore"):
        for done in range(1, settle + steps + 1):
            both = advance(rates, times, both, steps_now)
            times = times + step
            if done % TOGETHER == 0:
                length = np.linalg.norm(both[:, size:], axis=1)
                both[:, size:] /= length[:, None]
                if done > settle:
                    total, counted = total + np.log(length), counted + TOGETHER
    return total / (counted * step)


def _words(exponent: float, margin: float) -> str:
    if exponent > margin:
        return f"chaotic: small differences grow e-fold within {1 / exponent:.3g}"
    if exponent < -margin:
        return f"stable: small differences shrink e-fold within {-1 / exponent:.3g}"
    return "neither growth nor decay of small differences within the error: periodic, or too short to tell"
