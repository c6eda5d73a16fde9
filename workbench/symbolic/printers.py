"""Expressions as people read them: text that can be read back, a short name, and LaTeX."""

from collections.abc import Mapping

from workbench.symbolic.expr import FUNCTIONS, Node

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"}
GREEK |= {"xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"}
WORD = r"\mathrm{"
_SUM, _QUOTIENT, _PRODUCT, _POWER, _ATOM = range(1, 6)


def rate(name: str, order: int = 1) -> str:
    r"""A derivative with respect to time, of a name in LaTeX: \dot over a letter, d word/dt of a word."""
    if name.startswith(WORD):
        power = "" if order == 1 else f"^{order}"
        return rf"\mathrm{{d}}{power}\,{name}/\mathrm{{d}}t{power}"
    return rf"\{'d' * order}ot{{{name}}}"


class _Text:
    """Text of an expression, with parentheses wherever reading it back would make another tree."""

    def write(self, node: Node) -> str:
        return self._parts(node)[0]

    def _parts(self, node: Node) -> tuple[str, int]:
        """What stands there, and how tightly it holds together."""
        if node.operation == "number":
            return self.number(float(node.leaf)), _SUM if node.leaf < 0 else _ATOM
        if node.operation in ("name", "constant"):
            return getattr(self, node.operation)(str(node.leaf)), _ATOM
        if node.operation in FUNCTIONS:
            return self.function(node.operation, self.write(node.arguments[0])), _ATOM
        return getattr(self, f"_{node.operation}")(*node.arguments)

    def _at_least(self, node: Node, strength: int) -> str:
        text, own = self._parts(node)
        return text if own >= strength else self.group(text)

    def _add(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _SUM)} + {self._at_least(b, _QUOTIENT)}", _SUM

    def _subtract(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _SUM)} - {self._at_least(b, _QUOTIENT)}", _SUM

    def _negate(self, a: Node) -> tuple[str, int]:
        return f"-{self._at_least(a, _POWER)}", _SUM

    def _multiply(self, a: Node, b: Node) -> tuple[str, int]:
        factor = self._at_least(b, _POWER)
        if a.operation == "number" and a.leaf < 0:
            return self.product(self.write(a), factor), _SUM
        return self.product(self._at_least(a, _PRODUCT), factor), _PRODUCT

    def _divide(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _QUOTIENT)}/{self._at_least(b, _POWER)}", _QUOTIENT

    def _power(self, a: Node, b: Node) -> tuple[str, int]:
        return self.raised(self._at_least(a, _ATOM), self._parts(b)[0]), _POWER

    def number(self, value: float) -> str:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)

    def name(self, text: str) -> str:
        return text

    def constant(self, text: str) -> str:
        return text

    def group(self, text: str) -> str:
        return f"({text})"

    def function(self, function: str, argument: str) -> str:
        return f"{function}({argument})"

    def product(self, a: str, b: str) -> str:
        return f"{a}*{b}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}**({exponent})" if exponent.startswith("-") else f"{base}**{exponent}"


class _Name(_Text):
    """As short as it can be read: `x^2 y`."""

    def product(self, a: str, b: str) -> str:
        return f"{a}*{b}" if b[0].isdigit() else f"{a} {b}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^({exponent})" if exponent.startswith("-") else f"{base}^{exponent}"


class _Code(_Text):
    """Text with other names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def name(self, text: str) -> str:
        return self._names.get(text, text)

    constant = name


class _Latex(_Text):
    def number(self, value: float) -> str:
        mantissa, _, exponent = super().number(value).partition("e")
        return rf"{mantissa}\cdot 10^{{{int(exponent)}}}" if exponent else mantissa

    def name(self, text: str) -> str:
        base = text.rstrip("'")
        word = base.replace("_", r"\_")
        if len(base) == 1:
            letters = base
        elif base in GREEK:
            letters = rf"\{base}"
        elif base[0].isalpha() and base[1:].isdecimal():
            letters = f"{base[0]}_{{{base[1:]}}}"
        else:
            letters = rf"{WORD}{word}}}"
        return letters if base == text else rate(letters)

    def constant(self, text: str) -> str:
        return r"\pi" if text == "pi" else rf"\mathrm{{{text}}}"

    def group(self, text: str) -> str:
        return rf"\left({text}\right)"

    def function(self, function: str, argument: str) -> str:
        if function == "sqrt":
            return rf"\sqrt{{{argument}}}"
        if function == "abs":
            return rf"\left|{argument}\right|"
        command = {"atan": r"\arctan", "sign": r"\operatorname{sign}"}.get(function, rf"\{function}")
        return command + self.group(argument)

    def product(self, a: str, b: str) -> str:
        return rf"{a}\cdot {b}" if b[0].isdigit() else rf"{a}\,{b}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def _divide(self, a: Node, b: Node) -> tuple[str, int]:
        return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", _POWER


def text(node: Node) -> str:
    """Text in the language of `workbench.symbolic.parser`: reading it gives the same tree."""
    return _Text().write(node)


def short(node: Node) -> str:
    """A name to show: `x^2 y`, `sin(2 x)`, `x/(1 + x)`."""
    return _Name().write(node)


def code(node: Node, names: Mapping[str, str]) -> str:
    """Text that Python and SymPy read, names and constants replaced by those given."""
    return _Code(names).write(node)


def latex(node: Node) -> str:
    """LaTeX for math mode; x' becomes a dotted x, x1 x with an index, alpha Greek; other words stand upright."""
    return _Latex().write(node)
