"""Libraries of candidate functions for the right-hand side of an unknown differential equation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from torch import Tensor

from workbench._deprecated import moved_names, warn
from workbench.symbolic import expr, printers
from workbench.symbolic.duplicates import Duplicate, drop_duplicates
from workbench.symbolic.evaluator import Array, Evaluator
from workbench.symbolic.expr import TIME, Node
from workbench.symbolic.parser import parse
from workbench.symbolic.vector_field import VectorField


@dataclass(frozen=True)
class Candidate:
    """A candidate function theta(x, t) of the variables `inputs`. Raises ValueError for an unknown variable."""

    node: Node
    inputs: tuple[str, ...]

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator([self.node], self.inputs)

    def __post_init__(self) -> None:
        self._evaluator  # noqa: B018  (raises)

    @property
    def name(self) -> str:
        """Short name for display."""
        return printers.short(self.node)

    @property
    def text(self) -> str:
        """Expression that `parser.parse` reads."""
        return printers.text(self.node)

    @property
    def latex(self) -> str:
        return printers.latex(self.node)

    def __call__(self, x: Array, time: Array | float | None = None) -> Array:
        """theta (...) at states x (..., inputs) and times (...)."""
        return self._evaluator(x, time)[..., 0]

    def derivative(self, by: str) -> "Candidate":
        """The partial derivative with respect to `by`, one of the inputs or t."""
        return Candidate(expr.derivative(self.node, by), self.inputs)


class Library:
    """Candidates Theta(x, t) of u' = Theta(u, t) Xi (`order` 1) or u'' = Theta(u, u', t) Xi (`order` 2).

    variables: the variables whose equations are estimated. inputs: the columns of a state, which are the variables,
    followed by their derivatives x', y', ... for order 2. Multiples of another candidate are removed and listed in
    `duplicates`. names, texts, latex: one text per candidate.
    Raises ValueError for repeated or reserved names, no candidate, or a candidate that is zero everywhere.
    """

    def __init__(self, variables: Sequence[str], candidates: Sequence[Node], *, order: int = 1) -> None:
        self.variables = tuple(variables)
        self.order = order
        self.inputs = inputs(self.variables, order)
        if not candidates:
            raise ValueError("candidates: expected at least one, found none")
        self._nodes, self.duplicates = self._distinct(tuple(candidates))
        self._evaluator = Evaluator(self._nodes, self.inputs)
        self.names = tuple(map(printers.short, self._nodes))
        self.texts = tuple(map(printers.text, self._nodes))
        self.latex = tuple(map(printers.latex, self._nodes))
        self.uses_time = self._evaluator.uses_time

    def _distinct(self, nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
        return drop_duplicates(nodes, self.inputs)

    @property
    def twins(self) -> tuple[Duplicate, ...]:
        """Deprecated name of `duplicates`."""
        warn("Library.twins", "Library.duplicates")
        return self.duplicates

    def __len__(self) -> int:
        return len(self._nodes)

    @cached_property
    def complexities(self) -> tuple[int, ...]:
        """Number of variables and function calls in each candidate, see `expr.complexity`."""
        return tuple(map(expr.complexity, self._nodes))

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates as separate functions."""
        return tuple(Candidate(node, self.inputs) for node in self._nodes)

    def __call__(self, x: Array, time: Array | float | None = None) -> Array:
        """Theta (..., C) at states x (..., S), a tensor or array, and times (...)."""
        return self._evaluator(x, time)

    def jacobian(self, x: Array, time: Array | float | None = None) -> Array:
        """d Theta / d x (..., C, S) at states x (..., S) and times (...)."""
        flat = self._jacobian(x, time)
        return flat.reshape(*flat.shape[:-1], len(self), len(self.inputs))

    @cached_property
    def _jacobian(self) -> Evaluator:
        return Evaluator([expr.derivative(node, by) for node in self._nodes for by in self.inputs], self.inputs)

    def sizes(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """Root mean square (C,) of each candidate over states (N, S). Raises ValueError as `check` does."""
        self.check(x, time)
        return self(x, time).square().mean(dim=0).sqrt()

    def check(self, x: Tensor, time: Tensor | None = None, *, jacobian: bool = False) -> None:
        """Check that the candidates are finite at states (N, S).

        jacobian: check their derivatives too. Raises ValueError that names the first non-finite candidate and its
        grid point.
        """
        self._check(self(x, time), self.names, x, time)
        if jacobian:
            names = [f"the derivative of {name} with respect to {by}" for name in self.names for by in self.inputs]
            self._check(self._jacobian(x, time), names, x, time)

    def _check(self, values: Tensor, names: Sequence[str], x: Tensor, time: Tensor | None) -> None:
        bad = ~values.isfinite()
        if bad.any():
            column = int(bad.any(dim=0).int().argmax())
            point = int(bad[:, column].int().argmax())
            state = [f"{name} = {value:g}" for name, value in zip(self.inputs, x[point].tolist(), strict=True)]
            state += [] if time is None else [f"{TIME} = {float(time[point]):g}"]
            value = f"{float(values[point, column]):g} at grid point {point} ({', '.join(state)})"
            raise ValueError(f"{names[column]}: expected finite values on the whole data set, found {value}")

    def right_hand_side(self, coefficients: np.ndarray) -> VectorField:
        """The vector field (t, u) -> du/dt of coefficients Xi (C, D); u holds the `inputs`."""
        return VectorField(self._nodes, coefficients, self.inputs, self.order)


class Polynomials(Library):
    """Monomials up to `degree`, ordered by degree, then by variable: Theta(x) = (1, x, y, ..., x^2, x y, ...).

    Raises ValueError for a degree below 0 or repeated names.
    """

    def __init__(self, variables: Sequence[str], degree: int) -> None:
        self.degree = degree
        super().__init__(variables, polynomials(variables, degree))

    def _distinct(self, nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
        return nodes, ()

    def scales(self, scale: Tensor) -> Tensor:
        """Factor (C,) of each candidate when the variables are scaled by `scale` (D)."""
        return self(scale)


def inputs(variables: Sequence[str], order: int) -> tuple[str, ...]:
    """Columns of a state: the variables, and for order 2 their derivatives. Raises ValueError as `Library` does."""
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, found {order}")
    names = tuple(variables) if order == 1 else (*variables, *(f"{variable}'" for variable in variables))
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"variables: expected distinct names, found {names}")
    if TIME in names:
        raise ValueError(f"variables: the name {TIME} is reserved for time, found {names}")
    return names


def polynomials(names: Sequence[str], degree: int) -> tuple[Node, ...]:
    """Monomials of the names up to `degree`, 1 first. Raises ValueError for a degree below 0."""
    if degree < 0:
        raise ValueError(f"degree: expected at least 0, found {degree}")
    products = (c for n in range(degree + 1) for c in combinations_with_replacement(names, n))
    return tuple(map(_monomial, products))


def _monomial(factors: tuple[str, ...]) -> Node:
    node = expr.ONE
    for factor in dict.fromkeys(factors):
        node = expr.multiply(node, expr.power(expr.name(factor), factors.count(factor)))
    return node


def trigonometric(names: Sequence[str], frequencies: Sequence[float]) -> tuple[Node, ...]:
    """sin(w x), cos(w x) for every name and frequency w (radians per unit of the variable)."""
    arguments = _scaled(names, frequencies, "frequencies")
    return tuple(expr.call(function, argument) for argument in arguments for function in ("sin", "cos"))


def exponential(names: Sequence[str], rates: Sequence[float]) -> tuple[Node, ...]:
    """exp(r x) for every name and rate r (per unit of the variable)."""
    return tuple(expr.call("exp", argument) for argument in _scaled(names, rates, "rates"))


def rational(names: Sequence[str], offsets: Sequence[float]) -> tuple[Node, ...]:
    """1/(k + x), x/(k + x) for every name and offset k (in the unit of the variable).

    They are linearly dependent with the constant 1, x/(k + x) = 1 - k/(k + x), so that data cannot decide between them.
    """
    nodes = []
    for name in names:
        for offset in offsets:
            denominator = expr.add(expr.number(offset), expr.name(name))
            nodes += [expr.divide(numerator, denominator) for numerator in (expr.ONE, expr.name(name))]
    return tuple(nodes)


def _scaled(names: Sequence[str], factors: Sequence[float], what: str) -> list[Node]:
    if 0 in factors:
        raise ValueError(f"{what}: expected nonzero numbers, found {tuple(factors)}")
    return [expr.multiply(expr.number(factor), expr.name(name)) for name in names for factor in factors]


@dataclass(frozen=True)
class LibrarySpec:
    """Settings of a library: polynomials up to `degree` (-1: none) and further candidates.

    frequencies: w of sin(w x), cos(w x); rates: r of exp(r x); offsets: k of 1/(k + x), x/(k + x), each for every
    variable. time: treat t as a variable in all of them. expressions: typed candidates. order: 1 or 2, as in `Library`.
    """

    degree: int = 2
    frequencies: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()
    offsets: tuple[float, ...] = ()
    expressions: tuple[str, ...] = ()
    time: bool = False
    order: int = 1

    def library(self, variables: Sequence[str]) -> Library:
        """The library for these variables. Raises ValueError for an invalid candidate."""
        columns = inputs(variables, self.order)
        names = (*columns, TIME) if self.time else columns
        nodes = [
            *(polynomials(names, self.degree) if self.degree >= 0 else ()),
            *trigonometric(names, self.frequencies),
            *exponential(names, self.rates),
            *rational(names, self.offsets),
            *(parse(text, columns) for text in self.expressions),
        ]
        return Library(variables, nodes, order=self.order)


__getattr__ = moved_names(
    __name__,
    {
        "Recipe": "symbolic.library:LibrarySpec",
    },
)
