"""Candidates that are one function up to a factor, found by their values: x y and y x, tan(x) and sin(x)/cos(x)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench._deprecated import moved_names
from workbench.symbolic import printers
from workbench.symbolic.evaluator import Evaluator
from workbench.symbolic.expr import Node

POINTS = 64
"""Random states at which candidates are compared."""
ENOUGH = 8
"""Of these, where two must have values to be called the same."""


@dataclass(frozen=True)
class Duplicate:
    """A candidate that was dropped: `dropped` = `factor` * `kept`, both by name."""

    dropped: str
    kept: str
    factor: float

    def __str__(self) -> str:
        factor = "" if self.factor == 1 else f"{self.factor:.6g} times "
        return f"{self.dropped} was left out: it is {factor}{self.kept}"


def without_twins(nodes: Sequence[Node], inputs: tuple[str, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
    """The first of every kind, in order, and what was dropped. Raises ValueError for one that is zero everywhere.

    Two functions are taken for the same if their ratio is the same within 1e-8 at random points of sizes 0.1 to 30, of
    both signs. One that has a value at fewer than ENOUGH of them is only compared as it is written.
    """
    values = Evaluator(nodes, inputs)(*_points(len(inputs)))
    kept, twins = [], []
    for index, node in enumerate(nodes):
        own = values[:, index]
        if np.isfinite(own).sum() >= ENOUGH and not own[np.isfinite(own)].any():
            raise ValueError(f"{printers.short(node)}: expected something other than zero everywhere")
        first = next((k for k in kept if nodes[k] == node or _ratio(own, values[:, k]) is not None), None)
        if first is None:
            kept.append(index)
        else:
            factor = 1.0 if nodes[first] == node else _ratio(own, values[:, first])
            twins.append(Duplicate(printers.short(node), printers.short(nodes[first]), factor))
    return tuple(nodes[k] for k in kept), tuple(twins)


def _points(count: int) -> tuple[np.ndarray, np.ndarray]:
    """States and times, the same every time."""
    generator = np.random.default_rng(0)
    sizes = 10 ** generator.uniform(-1, 1, (POINTS, count + 1))
    drawn = sizes * generator.standard_normal((POINTS, count + 1))
    return drawn[:, :-1], np.abs(drawn[:, -1])


def _ratio(a: np.ndarray, b: np.ndarray) -> float | None:
    """The constant a / b, None if there is none."""
    there = np.isfinite(a)
    if there.sum() < ENOUGH or not np.array_equal(there, np.isfinite(b)):
        return None
    a, b = a[there], b[there]
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
