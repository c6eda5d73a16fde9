"""Why the data may not be able to decide, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

COLLINEAR = 300.0
"""Condition index from which candidates cannot be told apart; Lorenz to degree 2, which is found, has 111."""


@dataclass(frozen=True)
class Doubt:
    """One thing looked at. `message` is empty if all is well, else it says what is wrong and what would help.

    value: what was found, limit: what was asked for, names: the variables, candidates or terms concerned.
    """

    kind: str
    message: str
    names: tuple[str, ...]
    value: float
    limit: float


@dataclass(frozen=True)
class Collinearity:
    """How far candidates can stand in for each other on the record.

    condition: the largest over the smallest singular value of the candidates, each of length 1. inflation (C): by what
    factor the variance of each coefficient grows because of the others. groups: candidates of which each follows from
    the others of its group. message: empty if there is no group.
    """

    condition: float
    inflation: np.ndarray
    groups: tuple[tuple[str, ...], ...]
    message: str


def collinearity(values: np.ndarray, names: Sequence[str], *, limit: float = COLLINEAR) -> Collinearity:
    """Of candidates `values` (N, C) called `names`; directions whose condition index exceeds `limit` make a group.

    A group holds the candidates whose share in such a direction is at least a tenth of the largest. A candidate that is
    zero throughout is a group of its own. Raises ValueError for values that are not finite or fewer than candidates.
    Source: Belsley, Kuh, Welsch, "Regression Diagnostics" (1980).
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or values.shape[1] != len(names) or len(values) < len(names) or not np.isfinite(values).all():
        raise ValueError(
            f"values: expected finite numbers, more rows than {len(names)} candidates, found {values.shape}"
        )
    lengths = np.linalg.norm(values, axis=0)
    scaled = values / np.where(lengths > 0, lengths, 1.0)
    _, sizes, directions = np.linalg.svd(scaled, full_matrices=False)
    floor = np.finfo(float).eps * sizes[0] if len(sizes) else 0.0
    # rounding leaves something of a size that is zero
    sizes = np.maximum(sizes, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        inflation = np.sum((directions / sizes[:, None]) ** 2, axis=0)
        condition = float(sizes[0] / sizes[-1])
        indices = sizes[0] / sizes
    groups = []
    for direction in np.abs(directions[indices > limit]):
        found = tuple(n for n, share in zip(names, direction, strict=True) if share >= 0.1 * direction.max())
        groups += [found] if found not in groups else []
    told = [
        f"{', '.join(group[:-1])} and {group[-1]} cannot be told apart" if len(group) > 1 else f"{group[0]} is zero"
        for group in groups
    ]
    message = f"on this record {'; '.join(told)}: leave one out, or record more of the motion" if told else ""
    return Collinearity(condition, inflation, tuple(groups), message)


def short_record(points: int, candidates: int, *, limit: float = 10.0) -> Doubt:
    """Whether there are fewer than `limit` grid points for each of the candidates."""
    each = points / max(candidates, 1)
    words = (
        f"the record is short: {points} grid points for {candidates} candidates; at least {limit:g} for each would do"
    )
    return Doubt("short record", words if each < limit else "", (), each, limit)


def noise_level(states: np.ndarray) -> np.ndarray:
    """The standard deviation of white noise on each column (D) of states (N, D), evenly sampled, five of them or more.

    median |fourth difference| / (0.6745 sqrt 70): differences take a smooth motion away and leave the noise, so that it
    is too large only where the sampling is coarse. Raises ValueError for fewer states.
    Source: Rousseeuw, Croux, "Alternatives to the median absolute deviation" (1993), for the median.
    """
    states = np.asarray(states, dtype=float)
    if len(states) < 5:
        raise ValueError(f"states: expected at least 5, found {len(states)}")
    return np.median(np.abs(np.diff(states, n=4, axis=0)), axis=0) / (0.6745 * sqrt(70))


def noisy(states: np.ndarray, names: Sequence[str], *, limit: float = 0.25) -> Doubt:
    """Whether the noise of any column of states (N, D) is more than the share `limit` of its standard deviation."""
    deviation = np.asarray(states, dtype=float).std(axis=0)
    shares = noise_level(states) / np.where(deviation > 0, deviation, 1.0)
    loud = [f"{name} ({share:.0%})" for name, share in zip(names, shares, strict=True) if share > limit]
    found = tuple(name for name, share in zip(names, shares, strict=True) if share > limit)
    words = (
        f"much of this record is noise, as a share of the variation: {', '.join(loud)}; at most {limit:.0%} would do"
    )
    return Doubt("noise", words if found else "", found, float(shares.max()), limit)


def oscillations(states: np.ndarray) -> np.ndarray:
    """How often each column (D) of states (N, D) swings about its mean and back.

    Half the changes between the two sides, a side being entered a quarter of a standard deviation away from the mean.
    """
    centred = np.asarray(states, dtype=float) - np.mean(states, axis=0)
    sides = np.sign(np.where(np.abs(centred) > 0.25 * centred.std(axis=0), centred, 0.0))
    return np.array([np.count_nonzero(np.diff(side[side != 0])) / 2 for side in sides.T])


def few_oscillations(states: np.ndarray, names: Sequence[str], *, limit: float = 3.0) -> Doubt:
    """Whether no column of states (N, D) swings at least `limit` times."""
    counts = oscillations(states)
    listed = ", ".join(f"{name} {count:g}" for name, count in zip(names, counts, strict=True))
    words = f"the record shows few oscillations ({listed}); {limit:g} of them, or several records, would say more"
    few = counts.max() < limit
    return Doubt("few oscillations", words if few else "", tuple(names) if few else (), float(counts.max()), limit)


def unsure_terms(lower: np.ndarray, upper: np.ndarray, candidates: Sequence[str], variables: Sequence[str]) -> Doubt:
    """Which terms have an interval from `lower` to `upper` (C, D) with zero inside; 0 or NaN where there is no term.

    Raises ValueError for shapes other than (C, D).
    """
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if not lower.shape == upper.shape == (len(candidates), len(variables)):
        raise ValueError(f"intervals: expected {(len(candidates), len(variables))}, found {lower.shape}, {upper.shape}")
    spans = (lower < 0) & (upper > 0)
    found = tuple(f"{candidates[c]} in {variables[v]}'" for v, c in np.argwhere(spans.T).tolist())
    words = f"the data do not say whether these terms are there, their intervals hold zero: {', '.join(found)}"
    return Doubt("unsure terms", words if found else "", found, float(len(found)), 0.0)


def doubts(
    values: np.ndarray,
    candidates: Sequence[str],
    states: np.ndarray,
    variables: Sequence[str],
    interval: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[Doubt, ...]:
    """All that is in doubt about candidates `values` (N, C) on a record of states (N, D), and an interval (C, D) each.

    Give the candidates that the model kept, or the whole library to know what it could have kept. Raises ValueError as
    the single checks do.
    """
    found = [short_record(len(states), len(candidates))]
    if len(values) >= len(candidates):
        together = collinearity(values, candidates)
        names = tuple(dict.fromkeys(name for group in together.groups for name in group))
        found.append(Doubt("collinear candidates", together.message, names, together.condition, COLLINEAR))
    found += [noisy(states, variables), few_oscillations(states, variables)]
    if interval is not None:
        found.append(unsure_terms(*interval, candidates, variables))
    return tuple(doubt for doubt in found if doubt.message)
