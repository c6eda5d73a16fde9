"""Identifiability warnings: collinear candidates, short or noisy data, few oscillations, uncertain terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from workbench._deprecated import moved_names

COLLINEAR = 300.0
"""Condition index above which candidates are collinear; Lorenz to degree 2, which is identifiable, has 111."""


@dataclass(frozen=True)
class IdentifiabilityWarning:
    """Result of one check. `message` is empty if it passes, else it states the problem and a remedy.

    value: measured quantity. limit: its bound. names: the variables, candidates or terms concerned.
    """

    kind: str
    message: str
    names: tuple[str, ...]
    value: float
    limit: float


@dataclass(frozen=True)
class Collinearity:
    """Collinearity of candidates on a data set.

    condition: ratio of the largest to the smallest singular value of the candidates, scaled to unit length. inflation
    (C): variance inflation factor of each coefficient. groups: linearly dependent groups of candidates. message: empty
    if there is no group.
    """

    condition: float
    inflation: np.ndarray
    groups: tuple[tuple[str, ...], ...]
    message: str


def collinearity(values: np.ndarray, names: Sequence[str], *, limit: float = COLLINEAR) -> Collinearity:
    """Collinearity of the candidates `names` with values (N, C); a condition index above `limit` gives a group.

    A group contains the candidates whose component along such a singular vector is at least a tenth of the largest. A
    candidate that is zero everywhere is a group by itself. Raises ValueError for non-finite values or fewer rows than
    candidates.
    Source: Belsley, Kuh, Welsch, "Regression Diagnostics" (1980).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(names) or len(values) < len(names) or not np.isfinite(values).all():
        raise ValueError(
            f"values: expected finite numbers, at least as many rows as {len(names)} candidates, found {values.shape}"
        )
    lengths = np.linalg.norm(values, axis=0)
    scaled = values / np.where(lengths > 0, lengths, 1.0)
    _, singular_values, directions = np.linalg.svd(scaled, full_matrices=False)
    # rounding makes zero singular values slightly positive
    floor = np.finfo(float).eps * singular_values[0] if len(singular_values) else 0.0
    singular_values = np.maximum(singular_values, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        inflation = np.sum((directions / singular_values[:, None]) ** 2, axis=0)
        condition = float(singular_values[0] / singular_values[-1])
        indices = singular_values[0] / singular_values
    groups = []
    for direction in np.abs(directions[indices > limit]):
        group = tuple(n for n, component in zip(names, direction, strict=True) if component >= 0.1 * direction.max())
        groups += [group] if group not in groups else []
    return Collinearity(condition, inflation, tuple(groups), _collinearity_message(groups))


def _collinearity_message(groups: Sequence[tuple[str, ...]]) -> str:
    parts = [
        f"{', '.join(group[:-1])} and {group[-1]} are collinear" if len(group) > 1 else f"{group[0]} is zero"
        for group in groups
    ]
    return f"{'; '.join(parts)} on these data: remove a candidate, or measure more of the dynamics" if parts else ""


def short_record(points: int, candidates: int, *, limit: float = 10.0) -> IdentifiabilityWarning:
    """Check that there are at least `limit` grid points per candidate."""
    ratio = points / max(candidates, 1)
    counts = f"{points} grid points for {candidates} candidates"
    message = f"short data set: {counts}; at least {limit:g} per candidate recommended"
    return IdentifiabilityWarning("short record", message if ratio < limit else "", (), ratio, limit)


def noise_level(states: np.ndarray) -> np.ndarray:
    """Standard deviation (D) of white noise on evenly sampled states (N, D), N >= 5.

    median |fourth difference| / (0.6745 sqrt 70): differences remove smooth dynamics and keep the noise, so that the
    estimate is too large only for coarse sampling. Raises ValueError for fewer states.
    Source: Rousseeuw, Croux, "Alternatives to the median absolute deviation" (1993), for the median.
    """
    states = np.asarray(states, dtype=float)
    if len(states) < 5:
        raise ValueError(f"states: expected at least 5, found {len(states)}")
    return np.median(np.abs(np.diff(states, n=4, axis=0)), axis=0) / (0.6745 * sqrt(70))


def noisy_variables(states: np.ndarray, names: Sequence[str], *, limit: float = 0.25) -> IdentifiabilityWarning:
    """Check that the noise level of each column of states (N, D) is at most `limit` of its standard deviation."""
    deviation = np.asarray(states, dtype=float).std(axis=0)
    ratios = noise_level(states) / np.where(deviation > 0, deviation, 1.0)
    noisy = {name: ratio for name, ratio in zip(names, ratios, strict=True) if ratio > limit}
    listed = ", ".join(f"{name} ({ratio:.0%})" for name, ratio in noisy.items())
    message = f"high noise level relative to the standard deviation: {listed}; at most {limit:.0%} recommended"
    return IdentifiabilityWarning("noise", message if noisy else "", tuple(noisy), float(ratios.max()), limit)


def oscillations(states: np.ndarray) -> np.ndarray:
    """Number of oscillations about the mean of each column (D) of states (N, D).

    Half the number of sign changes, where values within a quarter of a standard deviation of the mean are ignored.
    """
    centred = np.asarray(states, dtype=float) - np.mean(states, axis=0)
    signs = np.sign(np.where(np.abs(centred) > 0.25 * centred.std(axis=0), centred, 0.0))
    return np.array([np.count_nonzero(np.diff(sign[sign != 0])) / 2 for sign in signs.T])


def few_oscillations(states: np.ndarray, names: Sequence[str], *, limit: float = 3.0) -> IdentifiabilityWarning:
    """Check that at least one column of states (N, D) has `limit` oscillations or more."""
    counts = oscillations(states)
    listed = ", ".join(f"{name} {count:g}" for name, count in zip(names, counts, strict=True))
    message = f"few oscillations ({listed}); at least {limit:g}, or several trajectories, recommended"
    few, most = counts.max() < limit, float(counts.max())
    return IdentifiabilityWarning("few oscillations", message if few else "", tuple(names) if few else (), most, limit)


def uncertain_terms(
    lower: np.ndarray, upper: np.ndarray, candidates: Sequence[str], variables: Sequence[str]
) -> IdentifiabilityWarning:
    """Check that no interval from `lower` to `upper` (C, D) contains zero; 0 or NaN where there is no term.

    Raises ValueError for shapes other than (C, D).
    """
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if not lower.shape == upper.shape == (len(candidates), len(variables)):
        raise ValueError(f"intervals: expected {(len(candidates), len(variables))}, found {lower.shape}, {upper.shape}")
    contains_zero = (lower < 0) & (upper > 0)
    terms = tuple(f"{candidates[c]} in {variables[v]}'" for v, c in np.argwhere(contains_zero.T).tolist())
    message = f"uncertain terms, whose intervals contain zero: {', '.join(terms)}"
    return IdentifiabilityWarning("uncertain terms", message if terms else "", terms, float(len(terms)), 0.0)


def other_models(
    models: Sequence[tuple[np.ndarray, float]],
    candidates: Sequence[str],
    variables: Sequence[str],
    *,
    limit: float = 0.95,
) -> IdentifiabilityWarning:
    """Check that the first of `models`, coefficients (C, D) and probabilities, has a probability of at least `limit`.

    The message lists the differences of other models with a probability of more than 5 %, at most three.
    """
    if not models or models[0][1] >= limit:
        return IdentifiabilityWarning("other models", "", (), models[0][1] if models else 1.0, limit)
    best, probability = models[0]
    others = []
    for coefficients, odds in models[1:4]:
        if odds > 1 - limit:
            added = _term_list((coefficients != 0) & (best == 0), candidates, variables)
            dropped = _term_list((coefficients == 0) & (best != 0), candidates, variables)
            if added and dropped:
                others.append(f"{added} in place of {dropped} ({odds:.0%})")
            else:
                others.append(f"with {added} ({odds:.0%})" if added else f"without {dropped} ({odds:.0%})")
    listed = f"; others: {', '.join(others)}" if others else ""
    message = f"the data do not decide between several models: this one has a probability of {probability:.0%}{listed}"
    return IdentifiabilityWarning("other models", message, tuple(others), probability, limit)


def _term_list(present: np.ndarray, candidates: Sequence[str], variables: Sequence[str]) -> str:
    return " and ".join(f"{candidates[c]} in {variables[d]}'" for d, c in np.argwhere(present.T).tolist())


def coarse_sampling(
    residual: np.ndarray, noise: np.ndarray, variables: Sequence[str], *, limit: float = 0.5
) -> IdentifiabilityWarning:
    """Check that no residual (D) is less than `limit` times the noise level (D) estimated from differences.

    The equations then explain what differences take for noise: changes between neighbouring grid points.
    """
    ratio = np.asarray(residual) / np.maximum(noise, 1e-300)
    names = tuple(name for name, below in zip(variables, ratio < limit, strict=True) if below)
    message = (
        f"the residual of {', '.join(names)} is far below the noise level estimated from differences: the sampling is "
        f"coarse for the fastest changes"
    )
    return IdentifiabilityWarning("coarse sampling", message if names else "", names, float(ratio.min()), limit)


def identifiability_warnings(
    values: np.ndarray,
    candidates: Sequence[str],
    states: np.ndarray,
    variables: Sequence[str],
    interval: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[IdentifiabilityWarning, ...]:
    """Failed checks of candidates `values` (N, C) on states (N, D), with the lower and upper intervals (C, D).

    The candidates are those of the model, or the whole library to check every possible model. Raises ValueError as the
    individual checks do.
    """
    checks = [short_record(len(states), len(candidates))]
    if len(values) >= len(candidates):
        result = collinearity(values, candidates)
        names = tuple(dict.fromkeys(name for group in result.groups for name in group))
        checks.append(
            IdentifiabilityWarning("collinear candidates", result.message, names, result.condition, COLLINEAR)
        )
    checks += [noisy_variables(states, variables), few_oscillations(states, variables)]
    if interval is not None:
        checks.append(uncertain_terms(*interval, candidates, variables))
    return tuple(check for check in checks if check.message)


__getattr__ = moved_names(
    __name__,
    {
        "Doubt": "diagnostics.identifiability:IdentifiabilityWarning",
        "doubts": "diagnostics.identifiability:identifiability_warnings",
        "noisy": "diagnostics.identifiability:noisy_variables",
        "unsure_terms": "diagnostics.identifiability:uncertain_terms",
    },
)
