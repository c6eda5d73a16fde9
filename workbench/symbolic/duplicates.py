"""Detect candidates that are multiples of another one, such as x y and y x, or tan(x) and sin(x)/cos(x)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench._deprecated import moved_names
from workbench.symbolic import printers
from workbench.symbolic.evaluator import Evaluator
from workbench.symbolic.expr import Node

POINTS = 64
"""Number of random states at which candidates are compared."""
MIN_FINITE = 8
"""Minimum number of states with finite values for a comparison."""


@dataclass(frozen=True)
class Duplicate:
    """A removed candidate: `dropped` = `factor` * `original`, both given by name."""

    dropped: str
    original: str
    factor: float

    def __str__(self) -> str:
        factor = "" if self.factor == 1 else f"{self.factor:.6g} times "
        return f"{self.dropped} was removed: it equals {factor}{self.original}"


def drop_duplicates(nodes: Sequence[Node], inputs: tuple[str, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
    """The distinct candidates in their order, and the duplicates.

    Two functions are duplicates if their ratio is constant within 1e-8 at POINTS random points of both signs and
    magnitudes from 0.1 to 30. A function that is finite at fewer than MIN_FINITE of them is compared by its expression
    only. Raises ValueError for a candidate that is zero everywhere.
    """
    values = Evaluator(nodes, inputs)(*_points(len(inputs)))
    distinct: list[int] = []
    duplicates = []
    for index, node in enumerate(nodes):
        column = values[:, index]
        if np.isfinite(column).sum() >= MIN_FINITE and not column[np.isfinite(column)].any():
            raise ValueError(f"{printers.short(node)}: expected a nonzero function")
        factors = ((k, 1.0 if nodes[k] == node else _ratio(column, values[:, k])) for k in distinct)
        first = next(((k, factor) for k, factor in factors if factor is not None), None)
        if first is None:
            distinct.append(index)
        else:
            original, factor = first
            duplicates.append(Duplicate(printers.short(node), printers.short(nodes[original]), factor))
    return tuple(nodes[k] for k in distinct), tuple(duplicates)


def _points(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Random states (POINTS, count) and times (POINTS), from a fixed seed."""
    generator = np.random.default_rng(0)
    magnitudes = 10 ** generator.uniform(-1, 1, (POINTS, count + 1))
    samples = magnitudes * generator.standard_normal((POINTS, count + 1))
    return samples[:, :-1], np.abs(samples[:, -1])


def _ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """a / b if it is constant, else None."""
    finite = np.isfinite(a)
    if finite.sum() < MIN_FINITE or not np.array_equal(finite, np.isfinite(b)):
        return None
    a, b = a[finite], b[finite]
    size = np.median(np.abs(b))
    with np.errstate(all="ignore"):
        ratio = float(np.median(a / b))
    if not np.isfinite(ratio) or ratio == 0 or size == 0:
        return None
    same = np.isclose(a, ratio * b, rtol=1e-8, atol=1e-12 * abs(ratio) * size).all()
    nearest = float(f"{ratio:.9g}")
    return (nearest if abs(nearest - ratio) < 1e-9 * abs(ratio) else ratio) if same else None


__getattr__ = moved_names(
    __name__,
    {
        "Twin": "symbolic.duplicates:Duplicate",
    },
)
