"""Parse typed expressions such as `x*sin(2*t)/(1 + y^2)` into trees, without executing them.

Python's `ast` gives a syntax tree, of which a whitelist is converted: numbers, variables (including derivatives x'), t,
pi, e, the operators + - * / ** (or ^) and the functions of `expr.FUNCTIONS`.
"""

import ast
import math
import re
from collections.abc import Collection

from workbench.symbolic import expr
from workbench.symbolic.expr import CONSTANTS, FUNCTIONS, TIME, Node

MAX_LENGTH = 200
"""Maximum number of characters of an expression."""
MAX_DEPTH = 20
"""Maximum depth of nested operations."""
MAX_EXPONENT = 12
"""Maximum magnitude of an exponent."""

_PRIME = "\u02b9"  # a letter in Python, so that x' is parsed as one name
_INVALID = re.compile(r"[^\w\s.+\-*/^()']|[\n\r\f\v]")
_MISSING_OPERATOR = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|(?![eE][+-]?\d))(?=[^\W\d]|\()")
_OPERATORS = {
    ast.Add: expr.add,
    ast.Sub: expr.subtract,
    ast.Mult: expr.multiply,
    ast.Div: expr.divide,
}


def parse(text: str, variables: Collection[str]) -> Node:
    """The expression tree of `text` in the variables `variables`, t, pi and e.

    Raises ValueError, with the column (from 1) and what is expected there, for syntax outside the whitelist, more than
    MAX_LENGTH characters, MAX_DEPTH nested operations, an exponent beyond MAX_EXPONENT, a constant part that is not
    finite, such as log(-1), and a variable with a reserved name (t, pi, sin).
    """
    for reserved in sorted({TIME, *CONSTANTS, *FUNCTIONS} & set(variables)):
        raise ValueError(f"variable {reserved}: the name is reserved in expressions; expected another name")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"expression: expected at most {MAX_LENGTH} characters, found {len(text)}")
    if not text.strip():
        raise ValueError(f"expression: expected an expression in {', '.join(variables)}, found an empty text")
    return _Parser(text, variables).read()


class _Parser:
    """Parser of one text."""

    def __init__(self, text: str, variables: Collection[str]) -> None:
        self._text = text
        self._variables = variables
        start = len(text) - len(text.lstrip())
        pieces = [(column, _python(letter)) for column, letter in enumerate(text.strip(), start + 1)]
        self._source = "".join(piece for _, piece in pieces)
        # `ast` counts columns in UTF-8 bytes
        self._columns = [column for column, piece in pieces for _ in piece.encode()]

    def read(self) -> Node:
        if invalid := _INVALID.search(self._text):
            expected = "letters, digits, . + - * / ^ ( ) and '"
            raise self._error(invalid.start() + 1, f"{invalid[0]!r} is not allowed here; expected {expected}")
        if missing := _MISSING_OPERATOR.search(self._text):
            raise self._error(missing.end() + 1, f"expected an operator after {missing[0]}, as in {missing[0]}*x")
        try:
            tree = ast.parse(self._source, mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            column = self._columns[min(max(getattr(error, "offset", 1) or 1, 1), len(self._columns)) - 1]
            raise self._error(column, "invalid syntax; expected an expression such as x*(1 - y)") from None
        return self._node(tree.body, 0)

    def _node(self, node: ast.expr, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self._error(node, f"expected at most {MAX_DEPTH} nested operations")
        try:
            tree = self._convert(node, depth + 1)
            constant = expr.value(tree)
        except ArithmeticError as error:
            raise self._error(node, f"the value is undefined ({error}); expected a finite number") from None
        if constant is not None and not math.isfinite(constant):
            raise self._error(node, f"the value is {constant:g}; expected a finite number")
        return tree

    def _convert(self, node: ast.expr, depth: int) -> Node:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return expr.number(value)
            case ast.Name(id=name):
                return self._name(node, name.replace(_PRIME, "'"))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._node(operand, depth)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return expr.negate(self._node(operand, depth))
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self._power(self._node(left, depth), self._node(right, depth), right)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._node(left, depth), self._node(right, depth))
            case ast.Call(func=ast.Name(id=function), args=[argument], keywords=[]) if function in FUNCTIONS:
                return expr.call(function, self._node(argument, depth))
            case ast.Call():
                raise self._error(node, self._call_error(node))
        raise self._error(node, "not an arithmetic expression; expected numbers, names, + - * / ^ and functions")

    def _name(self, node: ast.expr, name: str) -> Node:
        if name in self._variables or name == TIME:
            return expr.name(name)
        if name in CONSTANTS:
            return expr.constant(name)
        if name in FUNCTIONS:
            raise self._error(node, f"{name} is a function; expected {name}(...)")
        raise self._error(
            node, f"unknown name {name}; expected one of {', '.join([*self._variables, TIME, *CONSTANTS])}"
        )

    def _power(self, base: Node, exponent: Node, node: ast.expr) -> Node:
        if exponent.operation != "number":
            raise self._error(node, "expected a number as the exponent; write exp(a*log(b)) for b^a")
        if abs(float(exponent.leaf)) > MAX_EXPONENT:
            raise self._error(node, f"expected an exponent between -{MAX_EXPONENT} and {MAX_EXPONENT}")
        return expr.power(base, float(exponent.leaf))

    def _call_error(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name):
            return "expected an operator before the parenthesis, as in (x + 1)*(y + 1)"
        function = node.func.id.replace(_PRIME, "'")
        if function in FUNCTIONS:
            return f"{function}: expected one argument, as in {function}(x)"
        if function in self._variables or function == TIME or function in CONSTANTS:
            return f"{function} is not a function; expected an operator, as in {function}*(...)"
        return f"unknown function {function}; expected one of {', '.join(FUNCTIONS)}"

    def _error(self, where: ast.expr | int, message: str) -> ValueError:
        column = where if isinstance(where, int) else self._columns[min(where.col_offset, len(self._columns) - 1)]
        return ValueError(f"expression {self._text.strip()!r}, column {column}: {message}")


def _python(letter: str) -> str:
    """The Python spelling of a character."""
    return {"^": "**", "'": _PRIME}.get(letter, letter)
