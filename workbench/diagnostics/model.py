"""A discovered model: a library of candidates and what stands in front of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np


class Rates(Protocol):
    """The right-hand side of u' = f(t, u)."""

    def __call__(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """f at one state (S,), or at many (..., S) with times that broadcast to (...)."""

    def tangent(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """Its Jacobian (..., S, S)."""


class Terms(Protocol):
    """What is asked of a library; `workbench.symbolic.library.Library` is one."""

    variables: tuple[str, ...]
    inputs: tuple[str, ...]
    names: Sequence[str]

    def right_hand_side(self, coefficients: np.ndarray) -> Any:
        """The `Rates` of Xi (C, D)."""


@dataclass(frozen=True)
class Discovered:
    """u' = Theta(u, t) Xi, or u'' = Theta(u, u', t) Xi if that is what the library is for; coefficients: Xi (C, D).

    A state holds the `inputs` of the library: the variables, then their derivatives for order 2.
    Raises ValueError for coefficients of another shape or not finite.
    """

    library: Terms
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        expected = (len(self.library.names), len(self.library.variables))
        if np.shape(self.coefficients) != expected:
            raise ValueError(f"coefficients: expected the shape {expected}, found {np.shape(self.coefficients)}")
        if not np.isfinite(self.coefficients).all():
            raise ValueError("coefficients: expected finite numbers, found others")

    @cached_property
    def rates(self) -> Rates:
        """The right-hand side, with its Jacobian."""
        return self.library.right_hand_side(self.coefficients)

    @property
    def terms(self) -> int:
        """How many coefficients are not zero."""
        return int(np.count_nonzero(self.coefficients))

    def check(self, states: np.ndarray) -> np.ndarray:
        """`states` (..., S) as floats. Raises ValueError for another number of columns or values not finite."""
        states = np.asarray(states, dtype=float)
        inputs = self.library.inputs
        if states.ndim < 1 or states.shape[-1] != len(inputs):
            raise ValueError(f"states: expected {len(inputs)} columns ({', '.join(inputs)}), found {states.shape}")
        if not np.isfinite(states).all():
            raise ValueError("states: expected finite numbers, found others")
        return states
