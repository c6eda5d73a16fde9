"""Candidate functions: what the right-hand side of an unknown equation may be made of."""

from collections import Counter
from collections.abc import Callable
from itertools import combinations_with_replacement

import numpy as np
import torch
from torch import Tensor


class Polynomials:
    """All products of at most `degree` of the variables, the constant 1 first; ordered by degree, then by variable.

    Theta(x) = (1, x, y, ..., x^2, x y, ...). `names` and `latex` are what the candidates are called.
    Raises ValueError for a degree below 0 or names that repeat.
    """

    def __init__(self, variables: tuple[str, ...], degree: int) -> None:
        if degree < 0:
            raise ValueError(f"degree: expected at least 0, found {degree}")
        if len(set(variables)) != len(variables):
            raise ValueError(f"variables: expected names that differ, found {variables}")
        self.variables = variables
        self.degree = degree
        indices = range(len(variables))
        self.factors = tuple(f for n in range(degree + 1) for f in combinations_with_replacement(indices, n))
        self.names = tuple(self._name(f, "{}", "^{}", " ") for f in self.factors)
        self.latex = tuple(self._name(f, r"\mathrm{{{}}}", "^{{{}}}", r"\,") for f in self.factors)

    def __len__(self) -> int:
        return len(self.factors)

    def __call__(self, x: Tensor) -> Tensor:
        """Theta(x): (..., D) -> (..., C)."""
        products = {(): torch.ones_like(x[..., 0])}
        for factors in self.factors[1:]:
            last = x[..., factors[-1]]
            products[factors] = products[factors[:-1]] * last if len(factors) > 1 else last
        return torch.stack(list(products.values()), dim=-1)

    def right_hand_side(self, coefficients: np.ndarray) -> Callable[[float, np.ndarray], np.ndarray]:
        """(t, u) -> Theta(u) Xi for one state u (D,) and Xi (C, D): quick, for integrators."""
        used = coefficients.any(axis=1)
        one = len(self.variables)
        padded = [[*f, *[one] * (self.degree - len(f))] for f in self.factors]
        gather = np.array(padded, dtype=int).reshape(len(self), self.degree)[used]
        chosen = coefficients[used]

        def rhs(time: float, state: np.ndarray) -> np.ndarray:
            return np.append(state, 1.0)[gather].prod(axis=-1) @ chosen

        return rhs

    def scales(self, scale: Tensor) -> Tensor:
        """How much each candidate grows when the variables grow by `scale` (D): (C,)."""
        return self(scale)

    def _name(self, factors: tuple[int, ...], long: str, power: str, space: str) -> str:
        parts = []
        for index, times in Counter(factors).items():
            name = self.variables[index]
            name = name if len(name) == 1 else long.format(name)
            parts.append(name if times == 1 else name + power.format(times))
        return space.join(parts) or "1"
