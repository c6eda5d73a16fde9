"""Expressions as trees: numbers and names joined by operations, and their derivatives.

Trees are made by the functions below, which fold what needs no data: 0 + a = a, 1 a = a, 2 * 3 = 6.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

TIME = "t"
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class Node:
    """An operation on `arguments`, or a leaf: a "number" (`leaf` a float), a "constant" or a "name" (`leaf` a text).

    The operations are "add", "subtract", "multiply", "divide", "negate", "power" (whose second argument is a number)
    and the names of FUNCTIONS.
    """

    operation: str
    arguments: tuple["Node", ...] = ()
    leaf: float | str = ""


def number(value: float) -> Node:
    """A number by its value."""
    return Node("number", leaf=float(value))


def name(text: str) -> Node:
    """A variable, or time."""
    return Node("name", leaf=text)


def constant(text: str) -> Node:
    """One of CONSTANTS, by name."""
    return Node("constant", leaf=text)


ZERO, ONE, MINUS_ONE = number(0), number(1), number(-1)


def add(a: Node, b: Node) -> Node:
    """a + b."""
    if ZERO in (a, b):
        return b if a == ZERO else a
    return _folded("add", a, b)


def subtract(a: Node, b: Node) -> Node:
    """a - b."""
    if b == ZERO:
        return a
    return negate(b) if a == ZERO else _folded("subtract", a, b)


def multiply(a: Node, b: Node) -> Node:
    """a b; 0 where one of them is the number 0."""
    if ZERO in (a, b):
        return ZERO
    if ONE in (a, b):
        return b if a == ONE else a
    return negate(b) if a == MINUS_ONE else _folded("multiply", a, b)


def divide(a: Node, b: Node) -> Node:
    """a / b. Raises ArithmeticError if b is the number 0."""
    if b == ZERO:
        raise ZeroDivisionError("division by zero")
    if b == ONE:
        return a
    return ZERO if a == ZERO else _folded("divide", a, b)


def negate(a: Node) -> Node:
    """-a."""
    return a.arguments[0] if a.operation == "negate" else _folded("negate", a)


def power(a: Node, exponent: float) -> Node:
    """a ** exponent. Raises ArithmeticError for a number that has no such power."""
    if exponent in (0, 1):
        return a if exponent else ONE
    return _folded("power", a, number(exponent))


def call(function: str, a: Node) -> Node:
    """One of FUNCTIONS of `a`. It is not folded: exp(1) stays what it is."""
    return Node(function, (a,))


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


ARITHMETIC: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "negate": operator.neg,
    "power": math.pow,
}
FUNCTIONS: dict[str, Callable[[float], float]] = {
    **{f: getattr(math, f) for f in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "exp", "log", "sqrt")},
    "abs": abs,
    "sign": _sign,
}
"""What may be applied to an expression; torch and numpy know them by the same names."""


def _folded(operation: str, *arguments: Node) -> Node:
    if all(argument.operation == "number" for argument in arguments):
        return number(_applied(operation, *(float(argument.leaf) for argument in arguments)))
    return Node(operation, arguments)


def _applied(operation: str, *values: float) -> float:
    try:
        return float((ARITHMETIC | FUNCTIONS)[operation](*values))
    except ValueError:  # what `math` raises outside of a domain
        raise ArithmeticError(f"{operation} of {' and '.join(f'{v:g}' for v in values)}") from None


def names(node: Node) -> set[str]:
    """The variables, and time, that stand in an expression."""
    if node.operation == "name":
        return {str(node.leaf)}
    return set().union(*map(names, node.arguments))


def value(node: Node) -> float | None:
    """The number that an expression without names is, else None. Raises ArithmeticError where it is none: log(-1)."""
    if node.operation == "number":
        return float(node.leaf)
    if node.operation in ("constant", "name"):
        return CONSTANTS.get(str(node.leaf)) if node.operation == "constant" else None
    values = [value(argument) for argument in node.arguments]
    if None in values:
        return None
    return _applied(node.operation, *values)


_SLOPES: dict[str, Callable[[Node], Node]] = {
    "sin": lambda a: call("cos", a),
    "cos": lambda a: negate(call("sin", a)),
    "tan": lambda a: add(ONE, power(call("tan", a), 2)),
    "sinh": lambda a: call("cosh", a),
    "cosh": lambda a: call("sinh", a),
    "tanh": lambda a: subtract(ONE, power(call("tanh", a), 2)),
    "atan": lambda a: divide(ONE, add(ONE, power(a, 2))),
    "exp": lambda a: call("exp", a),
    "log": lambda a: divide(ONE, a),
    "sqrt": lambda a: divide(number(0.5), call("sqrt", a)),
    "abs": lambda a: call("sign", a),
    "sign": lambda a: ZERO,
}


def derivative(node: Node, by: str) -> Node:
    """d node / d by, as an expression; that of sign is 0, also where it jumps."""
    if by not in names(node):
        return ZERO
    if node.operation == "name":
        return ONE
    a, inner = node.arguments[0], derivative(node.arguments[0], by)
    if node.operation in _SLOPES:
        return multiply(_SLOPES[node.operation](a), inner)
    if node.operation == "negate":
        return negate(inner)
    b = node.arguments[1]
    if node.operation == "power":
        exponent = float(b.leaf)
        return multiply(multiply(number(exponent), power(a, exponent - 1)), inner)
    other = derivative(b, by)
    if node.operation == "multiply":
        return add(multiply(inner, b), multiply(a, other))
    if node.operation == "divide":
        return (
            divide(subtract(multiply(inner, b), multiply(a, other)), power(b, 2)) if other != ZERO else divide(inner, b)
        )
    return {"add": add, "subtract": subtract}[node.operation](inner, other)
