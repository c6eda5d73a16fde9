"""Expression trees and their derivatives.

The constructors below fold constants: 0 + a = a, 1 a = a, 2 * 3 = 6.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

TIME = "t"
CONSTANTS = {"pi": math.pi, "e": math.e}


@dataclass(frozen=True)
class Node:
    """An operation on `arguments`, or a leaf: a "number" (`leaf` is a float), a "constant" or a "name" (a string).

    Operations: "add", "subtract", "multiply", "divide", "negate", "power" (its second argument is a number) and the
    keys of FUNCTIONS.
    """

    operation: str
    arguments: tuple["Node", ...] = ()
    leaf: float | str = ""


def number(value: float) -> Node:
    """A number."""
    return Node("number", leaf=float(value))


def name(text: str) -> Node:
    """A variable or time."""
    return Node("name", leaf=text)


def constant(text: str) -> Node:
    """One of CONSTANTS, by name."""
    return Node("constant", leaf=text)


ZERO, ONE, MINUS_ONE = number(0), number(1), number(-1)


def add(a: Node, b: Node) -> Node:
    """a + b."""
    if ZERO in (a, b):
        return b if a == ZERO else a
    return _fold("add", a, b)


def subtract(a: Node, b: Node) -> Node:
    """a - b."""
    if b == ZERO:
        return a
    return negate(b) if a == ZERO else _fold("subtract", a, b)


def multiply(a: Node, b: Node) -> Node:
    """a b; 0 if either is the number 0."""
    if ZERO in (a, b):
        return ZERO
    if ONE in (a, b):
        return b if a == ONE else a
    return negate(b) if a == MINUS_ONE else _fold("multiply", a, b)


def divide(a: Node, b: Node) -> Node:
    """a / b. Raises ArithmeticError if b is the number 0."""
    if b == ZERO:
        raise ZeroDivisionError("division by zero")
    if b == ONE:
        return a
    return ZERO if a == ZERO else _fold("divide", a, b)


def negate(a: Node) -> Node:
    """-a."""
    return a.arguments[0] if a.operation == "negate" else _fold("negate", a)


def power(a: Node, exponent: float) -> Node:
    """a ** exponent. Raises ArithmeticError if `a` is a number for which it is undefined."""
    if exponent in (0, 1):
        return a if exponent else ONE
    return _fold("power", a, number(exponent))


def call(function: str, a: Node) -> Node:
    """One of FUNCTIONS applied to `a`, without constant folding: exp(1) stays symbolic."""
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
"""Functions of expressions; torch and NumPy use the same names."""


def _fold(operation: str, *arguments: Node) -> Node:
    if all(argument.operation == "number" for argument in arguments):
        return number(_apply(operation, *(float(argument.leaf) for argument in arguments)))
    return Node(operation, arguments)


def _apply(operation: str, *values: float) -> float:
    try:
        return float((ARITHMETIC | FUNCTIONS)[operation](*values))
    except ValueError:  # raised by `math` outside the domain
        raise ArithmeticError(f"{operation} of {' and '.join(f'{v:g}' for v in values)}") from None


def names(node: Node) -> set[str]:
    """Names of the variables, and of time, in an expression."""
    if node.operation == "name":
        return {str(node.leaf)}
    return set().union(*map(names, node.arguments))


def value(node: Node) -> float | None:
    """The value of a constant expression, else None. Raises ArithmeticError if it is undefined, such as log(-1)."""
    if node.operation == "number":
        return float(node.leaf)
    if node.operation in ("constant", "name"):
        return CONSTANTS.get(str(node.leaf)) if node.operation == "constant" else None
    values = [value(argument) for argument in node.arguments]
    operands = [operand for operand in values if operand is not None]
    return _apply(node.operation, *operands) if len(operands) == len(values) else None


_DERIVATIVES: dict[str, Callable[[Node], Node]] = {
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
    """The partial derivative with respect to `by`; the derivative of sign is 0 everywhere."""
    if by not in names(node):
        return ZERO
    if node.operation == "name":
        return ONE
    a, inner = node.arguments[0], derivative(node.arguments[0], by)
    if node.operation in _DERIVATIVES:
        return multiply(_DERIVATIVES[node.operation](a), inner)
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


def complexity(node: Node) -> int:
    """Number of variables and function calls: x^2 y has 3, sin(2 x) has 2, a number 0.

    A power counts its base as often as an integer exponent says, and once more for any other exponent.
    """
    if node.operation == "power":
        base, exponent = complexity(node.arguments[0]), float(node.arguments[1].leaf)
        return base * int(exponent) if exponent.is_integer() and exponent > 0 else base + 1
    own = int(node.operation == "name" or node.operation in FUNCTIONS)
    return own + sum(map(complexity, node.arguments))
