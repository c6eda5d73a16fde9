"""Power laws of cost against size, and the largest size within a budget."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import exp, inf, isfinite, log, nan, sqrt

from workbench.jobs.budget import Budget, JobStatus
from workbench.scaling.case import Case, Point

# Student's t, two-sided 95 %, for 1 .. 30 degrees of freedom
_T95 = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
    *(2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423),
)
LARGEST = 4
"""Number of the largest sizes from which a limit is predicted; constant costs dominate at small sizes."""


@dataclass(frozen=True)
class Slope:
    """Power law exp(intercept) * size^value; low .. high is the 95 % interval of the exponent (NaN for n < 3)."""

    value: float
    low: float
    high: float
    intercept: float
    n: int

    def at(self, size: float) -> float:
        """Quantity at a size."""
        return exp(self.intercept + self.value * log(size))

    def size(self, quantity: float) -> float:
        """Size at which the quantity is reached; infinite if it does not grow."""
        return exp((log(quantity) - self.intercept) / self.value) if self.value > 0 else inf


@dataclass(frozen=True)
class Limit:
    """Largest size within the budgets, and which of them limits it: "time", "memory" or "" (neither)."""

    size: float
    by: str


def student_t95(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t; above 30 degrees of freedom by two terms of its expansion, 4 digits."""
    if freedom < 1:
        return nan
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def slope(points: Iterable[Point], quantity: str = "seconds", axis: str = "T") -> Slope:
    """Fit a power law by least squares of log(quantity) against log(size).

    quantity: a numeric field of `Point`. Points that are not OK and quantities that are not positive are left out. The
    interval is value +- t s, with s^2 = RSS / (n - 2) / sum (x - mean x)^2 and t with n - 2 degrees of freedom.
    Raises ValueError if fewer than two sizes are left.
    """
    pairs = _pairs(points, quantity, axis)
    if len({size for size, _ in pairs}) < 2:
        raise ValueError(f"slope: expected {quantity} at two sizes of {axis} or more, found {len(pairs)} points")
    x, y = zip(*((log(a), log(b)) for a, b in pairs), strict=True)
    n, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    value = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    intercept = mean_y - value * mean_x
    rss = sum((b - intercept - value * a) ** 2 for a, b in zip(x, y, strict=True))
    half = student_t95(n - 2) * sqrt(rss / (n - 2) / spread) if n > 2 else nan
    return Slope(value, value - half, value + half, intercept, n)


def _pairs(points: Iterable[Point], quantity: str, axis: str) -> list[tuple[int, float]]:
    pairs = [(getattr(p.case, axis), getattr(p, quantity)) for p in points if p.status is JobStatus.OK]
    return [(size, value) for size, value in pairs if isfinite(value) and value > 0]


def limit(points: Sequence[Point], budget: Budget, axis: str = "T") -> Limit:
    """Predict the largest size of `axis` within the budget by power laws through the largest measured sizes.

    points: those of one case. Raises ValueError if the time is known at fewer than two sizes.
    """
    laws = {"time": slope(_of_largest_sizes(points, "seconds", axis), "seconds", axis)}
    if len(_pairs(points, "memory", axis)) > 1:
        laws["memory"] = slope(_of_largest_sizes(points, "memory", axis), "memory", axis)
    bounds = {"time": budget.seconds, "memory": float(budget.bytes)}
    sizes = {by: law.size(bounds[by]) for by, law in laws.items()}
    by = min(sizes, key=sizes.__getitem__)
    return Limit(sizes[by], by if isfinite(sizes[by]) else "")


def _of_largest_sizes(points: Sequence[Point], quantity: str, axis: str) -> list[Point]:
    sizes = sorted({size for size, _ in _pairs(points, quantity, axis)})[-LARGEST:]
    return [p for p in points if getattr(p.case, axis) in sizes]


def by_variant(points: Iterable[Point], axis: str = "T") -> dict[Case, list[Point]]:
    """Points of each curve, in order of size; the key is the case at its smallest size."""
    curves = {}
    for point in sorted(points, key=lambda p: getattr(p.case, axis)):
        curves.setdefault(replace(point.case, **{axis: 2}), []).append(point)
    return {curve[0].case: curve for curve in curves.values()}
