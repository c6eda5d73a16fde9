"""Expressions that a person types, `x*sin(2*t)/(1 + y^2)`, read into trees. Nothing that is typed is ever run.

Python's parser makes a syntax tree; a whitelist turns it into ours: numbers, the variables (x' is the derivative of x
where that is a variable), t, pi, e, the operators + - * / ** (or ^), and the functions of `terms.FUNCTIONS`.
"""

import ast
import math
import re
from collections.abc import Collection

from workbench.symbolic import expr
from workbench.symbolic.expr import CONSTANTS, FUNCTIONS, TIME, Node

LONGEST = 200
"""Characters of an expression."""
DEEPEST = 20
"""Operations inside operations."""
LARGEST_POWER = 12
"""The largest |exponent|."""

_PRIME = "\u02b9"  # a letter to Python, so that x' is one name to its parser
_STRANGE = re.compile(r"[^\w\s.+\-*/^()']|[\n\r\f\v]")
_GLUED = re.compile(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+|(?![eE][+-]?\d))(?=[^\W\d]|\()")
_OPERATORS = {
    ast.Add: expr.add,
    ast.Sub: expr.subtract,
    ast.Mult: expr.multiply,
    ast.Div: expr.divide,
}


def parse(text: str, variables: Collection[str]) -> Node:
    """The tree of `text` in the names `variables`, t, pi and e.

    Raises ValueError saying what is wrong, at which column (from 1), and what was expected: for anything that is not
    on the whitelist, more than LONGEST characters, DEEPEST levels or a power beyond LARGEST_POWER, a part that is no
    finite number whatever the data (log(-1)), and for a variable that bears the name of something else (t, pi, sin).
    """
    for taken in sorted({TIME, *CONSTANTS, *FUNCTIONS} & set(variables)):
        raise ValueError(f"variable {taken}: this name has a meaning of its own in expressions; expected another")
    if len(text) > LONGEST:
        raise ValueError(f"expression: expected at most {LONGEST} characters, found {len(text)}")
    if not text.strip():
        raise ValueError(f"expression: expected something in {', '.join(variables)}, found nothing")
    return _Reader(text, variables).read()


class _Reader:
    """Turns one text into a tree."""

    def __init__(self, text: str, variables: Collection[str]) -> None:
        self._text = text
        self._variables = variables
        start = len(text) - len(text.lstrip())
        pieces = [(column, _python(letter)) for column, letter in enumerate(text.strip(), start + 1)]
        self._source = "".join(piece for _, piece in pieces)
        # Python counts in bytes
        self._columns = [column for column, piece in pieces for _ in piece.encode()]

    def read(self) -> Node:
        if strange := _STRANGE.search(self._text):
            expected = "letters, digits, . + - * / ^ ( ) and '"
            raise self._error(strange.start() + 1, f"{strange[0]!r} has no meaning here; expected {expected}")
        if glued := _GLUED.search(self._text):
            raise self._error(glued.end() + 1, f"expected an operator after {glued[0]}, as in {glued[0]}*x")
        try:
            tree = ast.parse(self._source, mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            column = self._columns[min(max(getattr(error, "offset", 1) or 1, 1), len(self._columns)) - 1]
            raise self._error(column, "this cannot be read; expected an expression such as x*(1 - y)") from None
        return self._node(tree.body, 0)

    def _node(self, node: ast.expr, depth: int) -> Node:
        if depth > DEEPEST:
            raise self._error(node, f"expected at most {DEEPEST} operations inside each other, found more")
        try:
            made = self._made(node, depth + 1)
            known = expr.value(made)
        except ArithmeticError as error:
            raise self._error(node, f"this has no value ({error}); expected a finite number") from None
        if known is not None and not math.isfinite(known):
            raise self._error(node, f"this is {known:g}; expected a finite number")
        return made

    def _made(self, node: ast.expr, depth: int) -> Node:
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                return expr.number(value)
            case ast.Name(id=found):
                return self._named(node, found.replace(_PRIME, "'"))
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
                raise self._error(node, self._call_fault(node))
        raise self._error(node, "this is no arithmetic; expected numbers, names, + - * / ^ and functions")

    def _named(self, node: ast.expr, found: str) -> Node:
        if found in self._variables or found == TIME:
            return expr.name(found)
        if found in CONSTANTS:
            return expr.constant(found)
        if found in FUNCTIONS:
            raise self._error(node, f"{found} is a function; expected {found}(...)")
        raise self._error(
            node, f"unknown name {found}; expected one of {', '.join([*self._variables, TIME, *CONSTANTS])}"
        )

    def _power(self, base: Node, exponent: Node, node: ast.expr) -> Node:
        if exponent.operation != "number":
            raise self._error(node, "expected a number as the exponent; write exp(a*log(b)) for b^a")
        if abs(exponent.leaf) > LARGEST_POWER:
            raise self._error(node, f"expected an exponent between -{LARGEST_POWER} and {LARGEST_POWER}")
        return expr.power(base, float(exponent.leaf))

    def _call_fault(self, node: ast.Call) -> str:
        if not isinstance(node.func, ast.Name):
            return "expected an operator before the parenthesis, as in (x + 1)*(y + 1)"
        function = node.func.id.replace(_PRIME, "'")
        if function in FUNCTIONS:
            return f"{function}: expected one argument, as in {function}(x)"
        if function in self._variables or function == TIME or function in CONSTANTS:
            return f"{function} is no function; expected an operator, as in {function}*(...)"
        return f"unknown function {function}; expected one of {', '.join(FUNCTIONS)}"

    def _error(self, where: ast.expr | int, words: str) -> ValueError:
        column = where if isinstance(where, int) else self._columns[min(where.col_offset, len(self._columns) - 1)]
        return ValueError(f"expression {self._text.strip()!r}, column {column}: {words}")


def _python(letter: str) -> str:
    """What a letter is to Python's parser."""
    return {"^": "**", "'": _PRIME}.get(letter, letter)
