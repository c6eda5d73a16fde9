"""Discovered models: a candidate library and its coefficients."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np


class Rates(Protocol):
    """The right-hand side of u' = f(t, u)."""

    def __call__(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """f at states (S,) or (..., S), with times that broadcast to (...)."""

    def jacobian(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """The Jacobian (..., S, S) of f."""


class Terms(Protocol):
    """Interface of a candidate library; `workbench.symbolic.library.Library` implements it."""

    variables: tuple[str, ...]
    inputs: tuple[str, ...]
    names: Sequence[str]

    def right_hand_side(self, coefficients: np.ndarray) -> Any:
        """The `Rates` of coefficients Xi (C, D)."""


@dataclass(frozen=True)
class Discovered:
    """u' = Theta(u, t) Xi, or u'' = Theta(u, u', t) Xi for a library of order 2; coefficients: Xi (C, D).

    A state holds the `inputs` of the library: the variables, for order 2 followed by their derivatives.
    Raises ValueError for coefficients of another shape or non-finite ones.
    """

    library: Terms
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        expected = (len(self.library.names), len(self.library.variables))
        if np.shape(self.coefficients) != expected:
            raise ValueError(f"coefficients: expected the shape {expected}, found {np.shape(self.coefficients)}")
        if not np.isfinite(self.coefficients).all():
            raise ValueError("coefficients: expected finite numbers")

    @cached_property
    def rates(self) -> Rates:
        """The right-hand side and its Jacobian."""
        return self.library.right_hand_side(self.coefficients)

    @property
    def terms(self) -> int:
        """Number of nonzero coefficients."""
        return int(np.count_nonzero(self.coefficients))

    def check(self, states: np.ndarray) -> np.ndarray:
        """`states` (..., S) as floats. Raises ValueError for another number of columns or non-finite values."""
        states = np.asarray(states, dtype=float)
        inputs = self.library.inputs
        if states.ndim < 1 or states.shape[-1] != len(inputs):
            raise ValueError(f"states: expected {len(inputs)} columns ({', '.join(inputs)}), found {states.shape}")
        if not np.isfinite(states).all():
            raise ValueError("states: expected finite numbers")
        return states
