"""Candidate functions: what the right-hand side of an unknown equation may be made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from torch import Tensor

from workbench.symbolic import expr, printers
from workbench.symbolic.duplicates import Duplicate, without_twins
from workbench.symbolic.evaluator import Array, Evaluator
from workbench.symbolic.expr import TIME, Node
from workbench.symbolic.vector_field import VectorField


@dataclass(frozen=True)
class Candidate:
    """One function theta(x, t) of the variables `inputs`. Raises ValueError for a name that is not among them."""

    node: Node
    inputs: tuple[str, ...]

    @cached_property
    def _program(self) -> Evaluator:
        return Evaluator([self.node], self.inputs)

    def __post_init__(self) -> None:
        self._program  # noqa: B018  (raises)

    @property
    def name(self) -> str:
        """Short, to be shown."""
        return printers.short(self.node)

    @property
    def text(self) -> str:
        """Can be read back by `expressions.parse`."""
        return printers.text(self.node)

    @property
    def latex(self) -> str:
        return printers.latex(self.node)

    def __call__(self, x: Array, time: Array | float | None = None) -> Array:
        """theta(x, t): states (..., inputs) and times (...) -> (...)."""
        return self._program(x, time)[..., 0]

    def derivative(self, by: str) -> "Candidate":
        """d theta / d `by`: one of the inputs, or t."""
        return Candidate(expr.derivative(self.node, by), self.inputs)


class Library:
    """Theta(x, t): the candidates of u' = Theta(u, t) Xi (`order` 1) or u'' = Theta(u, u', t) Xi (`order` 2).

    `variables` are those whose equations are sought, `inputs` the columns of the states: the variables, and after them
    for order 2 their derivatives x', y', .... A candidate that is another one times a number is dropped and stands in
    `twins`. `names`, `texts` and `latex` are what the candidates are called.
    Raises ValueError for names that repeat or mean something else, no candidate, or one that is zero everywhere.
    """

    def __init__(self, variables: Sequence[str], candidates: Sequence[Node], *, order: int = 1) -> None:
        self.variables = tuple(variables)
        self.order = order
        self.inputs = inputs(self.variables, order)
        if not candidates:
            raise ValueError("candidates: expected at least one, found none")
        kept, self.twins = self._distinct(tuple(candidates))
        self._nodes = kept
        self._program = Evaluator(kept, self.inputs)
        self.names = tuple(map(printers.short, kept))
        self.texts = tuple(map(printers.text, kept))
        self.latex = tuple(map(printers.latex, kept))
        self.uses_time = self._program.uses_time

    def _distinct(self, nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
        return without_twins(nodes, self.inputs)

    def __len__(self) -> int:
        return len(self._nodes)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """Each candidate as a function of its own."""
        return tuple(Candidate(node, self.inputs) for node in self._nodes)

    def __call__(self, x: Array, time: Array | float | None = None) -> Array:
        """Theta(x, t): states (..., S), tensor or array, and times (...) -> (..., C)."""
        return self._program(x, time)

    def jacobian(self, x: Array, time: Array | float | None = None) -> Array:
        """d Theta / d x: states (..., S) and times (...) -> (..., C, S)."""
        flat = self._slopes(x, time)
        return flat.reshape(*flat.shape[:-1], len(self), len(self.inputs))

    @cached_property
    def _slopes(self) -> Evaluator:
        return Evaluator([expr.derivative(node, by) for node in self._nodes for by in self.inputs], self.inputs)

    def sizes(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """The root mean square of each candidate over states (N, S): (C,). Raises ValueError as `check` does."""
        self.check(x, time)
        return self(x, time).square().mean(dim=0).sqrt()

    def check(self, x: Tensor, time: Tensor | None = None, *, slopes: bool = False) -> None:
        """Raises ValueError naming the first candidate that is not finite at states (N, S), and where it is not.

        slopes: the derivatives with respect to the variables must be finite too.
        """
        self._check(self(x, time), self.names, x, time)
        if slopes:
            names = [f"the derivative of {name} by {by}" for name in self.names for by in self.inputs]
            self._check(self._slopes(x, time), names, x, time)

    def _check(self, values: Tensor, names: Sequence[str], x: Tensor, time: Tensor | None) -> None:
        bad = ~values.isfinite()
        if bad.any():
            column = int(bad.any(dim=0).int().argmax())
            point = int(bad[:, column].int().argmax())
            place = [f"{name} = {value:g}" for name, value in zip(self.inputs, x[point].tolist(), strict=True)]
            place += [] if time is None else [f"{TIME} = {float(time[point]):g}"]
            found = f"{float(values[point, column]):g} at grid point {point} ({', '.join(place)})"
            raise ValueError(f"{names[column]}: expected finite values on the whole record, found {found}")

    def right_hand_side(self, coefficients: np.ndarray) -> VectorField:
        """(t, u) -> d u / d t for Xi (C, D), u holding the `inputs`; its `tangent` is the Jacobian."""
        return VectorField(self._nodes, coefficients, self.inputs, self.order)


class Polynomials(Library):
    """All products of at most `degree` of the variables, the constant 1 first; ordered by degree, then by variable.

    Theta(x) = (1, x, y, ..., x^2, x y, ...). Raises ValueError for a degree below 0 or names that repeat.
    """

    def __init__(self, variables: Sequence[str], degree: int) -> None:
        self.degree = degree
        super().__init__(variables, polynomials(variables, degree))

    def _distinct(self, nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Duplicate, ...]]:
        return nodes, ()

    def scales(self, scale: Tensor) -> Tensor:
        """How much each candidate grows when the variables grow by `scale` (D): (C,)."""
        return self(scale)


def inputs(variables: Sequence[str], order: int) -> tuple[str, ...]:
    """What the states hold: the variables, and for order 2 their derivatives. Raises ValueError as `Library` does."""
    if order not in (1, 2):
        raise ValueError(f"order: expected 1 or 2, found {order}")
    names = tuple(variables) if order == 1 else (*variables, *(f"{variable}'" for variable in variables))
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"variables: expected names that differ, found {names}")
    if TIME in names:
        raise ValueError(f"variables: {TIME} is time itself; expected another name, found {names}")
    return names


def polynomials(names: Sequence[str], degree: int) -> tuple[Node, ...]:
    """All products of at most `degree` of the names, 1 first. Raises ValueError for a degree below 0."""
    if degree < 0:
        raise ValueError(f"degree: expected at least 0, found {degree}")
    chosen = (c for n in range(degree + 1) for c in combinations_with_replacement(names, n))
    return tuple(map(_monomial, chosen))


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

    The two and the constant 1 depend on each other, x/(k + x) = 1 - k/(k + x): without truth, a choice between them is
    one of taste.
    """
    found = []
    for name in names:
        for offset in offsets:
            below = expr.add(expr.number(offset), expr.name(name))
            found += [expr.divide(above, below) for above in (expr.ONE, expr.name(name))]
    return tuple(found)


def _scaled(names: Sequence[str], factors: Sequence[float], what: str) -> list[Node]:
    if 0 in factors:
        raise ValueError(f"{what}: expected numbers other than 0, found {tuple(factors)}")
    return [expr.multiply(expr.number(factor), expr.name(name)) for name in names for factor in factors]
