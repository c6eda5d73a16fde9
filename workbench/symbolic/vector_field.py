"""Right-hand side of discovered equations and its Jacobian, for integrators."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from workbench._deprecated import moved_names, warn
from workbench.symbolic import expr
from workbench.symbolic.evaluator import Evaluator
from workbench.symbolic.expr import Node


class VectorField:
    """The vector field u' = Theta(u, t) Xi, for order 2 (u, v)' = (v, Theta(u, v, t) Xi).

    coefficients: Xi (C, D); terms with a zero coefficient are not evaluated. Raises ValueError for another shape or
    non-finite values.
    """

    def __init__(self, nodes: Sequence[Node], coefficients: np.ndarray, inputs: tuple[str, ...], order: int) -> None:
        expected = (len(nodes), len(inputs) // order)
        if np.shape(coefficients) != expected:
            raise ValueError(f"coefficients: expected the shape {expected}, found {np.shape(coefficients)}")
        if not np.isfinite(coefficients).all():
            raise ValueError("coefficients: expected finite numbers")
        self._inputs = inputs
        velocities = [] if order == 1 else [expr.name(text) for text in inputs[expected[1] :]]
        self._nodes = [*velocities, *(_sum(nodes, column) for column in np.transpose(coefficients).tolist())]
        self._evaluator = Evaluator(self._nodes, inputs)

    def __call__(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """du/dt at states (S,) or (..., S); NaN where it is undefined."""
        if state.ndim == 1:
            return np.array(self._evaluator.at(state.tolist(), time))
        return self._evaluator(state, time)

    def jacobian(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """The Jacobian (..., S, S): entry i, j is d u_i' / d u_j."""
        size = len(self._inputs)
        evaluator = self._jacobian
        flat = np.array(evaluator.at(state.tolist(), time)) if state.ndim == 1 else evaluator(state, time)
        return flat.reshape(*flat.shape[:-1], size, size)

    def tangent(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """Deprecated name of `jacobian`."""
        warn("VectorField.tangent", "VectorField.jacobian")
        return self.jacobian(time, state)

    @cached_property
    def _jacobian(self) -> Evaluator:
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
