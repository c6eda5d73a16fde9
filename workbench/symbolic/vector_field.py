"""The right-hand side of known equations, and its Jacobian, for integrators."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from workbench._deprecated import moved_names
from workbench.symbolic import expr
from workbench.symbolic.evaluator import Evaluator
from workbench.symbolic.expr import Node


class VectorField:
    """u' = Theta(u, t) Xi, or for order 2 (u, v)' = (v, Theta(u, v, t) Xi), as one program; terms of Xi = 0 are free.

    coefficients: Xi (C, D). Raises ValueError for another shape or a value that is not finite.
    """

    def __init__(self, nodes: Sequence[Node], coefficients: np.ndarray, inputs: tuple[str, ...], order: int) -> None:
        expected = (len(nodes), len(inputs) // order)
        if np.shape(coefficients) != expected:
            raise ValueError(f"coefficients: expected the shape {expected}, found {np.shape(coefficients)}")
        if not np.isfinite(coefficients).all():
            raise ValueError("coefficients: expected finite numbers, found others")
        self._inputs = inputs
        slots = [] if order == 1 else [expr.name(text) for text in inputs[expected[1] :]]
        self._nodes = [*slots, *(_sum(nodes, column) for column in np.transpose(coefficients).tolist())]
        self._program = Evaluator(self._nodes, inputs)

    def __call__(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """d u / d t at one state (S,), or at many (..., S) at once. NaN where there is no value."""
        if state.ndim == 1:
            return np.array(self._program.at(state.tolist(), time))
        return self._program(state, time)

    def tangent(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """The Jacobian (..., S, S) of the right-hand side: entry i, j is d u_i' / d u_j."""
        size = len(self._inputs)
        flat = np.array(self._slopes.at(state.tolist(), time)) if state.ndim == 1 else self._slopes(state, time)
        return flat.reshape(*flat.shape[:-1], size, size)

    @cached_property
    def _slopes(self) -> Evaluator:
        return Evaluator([expr.derivative(node, by) for node in self._nodes for by in self._inputs], self._inputs)


def _sum(nodes: Sequence[Node], coefficients: Sequence[float]) -> Node:
    total = expr.ZERO
    for node, coefficient in zip(nodes, coefficients, strict=True):
        total = expr.add(total, expr.multiply(expr.number(coefficient), node))
    return total


__getattr__ = moved_names(
    __name__,
    {
        "Flow": "symbolic.vector_field:VectorField",
    },
)
