"""Print expressions as parseable text, short names, code and LaTeX."""

from collections.abc import Mapping

from workbench.symbolic.expr import FUNCTIONS, Node

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"}
GREEK |= {"xi", "pi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"}
UPRIGHT = r"\mathrm{"
_SUM, _QUOTIENT, _PRODUCT, _POWER, _ATOM = range(1, 6)


def rate(name: str, order: int = 1) -> str:
    r"""LaTeX of the time derivative of a name in LaTeX: \dot over a letter, d name/dt of a longer name."""
    if name.startswith(UPRIGHT):
        power = "" if order == 1 else f"^{order}"
        return rf"\mathrm{{d}}{power}\,{name}/\mathrm{{d}}t{power}"
    return rf"\{'d' * order}ot{{{name}}}"


class _Text:
    """Parseable text, with parentheses where parsing would otherwise give another tree."""

    def write(self, node: Node) -> str:
        return self._format(node)[0]

    def _format(self, node: Node) -> tuple[str, int]:
        """The text and its precedence."""
        if node.operation == "number":
            return self.number(float(node.leaf)), _SUM if float(node.leaf) < 0 else _ATOM
        if node.operation in ("name", "constant"):
            return getattr(self, node.operation)(str(node.leaf)), _ATOM
        if node.operation in FUNCTIONS:
            return self.function(node.operation, self.write(node.arguments[0])), _ATOM
        return getattr(self, f"_{node.operation}")(*node.arguments)

    def _at_least(self, node: Node, precedence: int) -> str:
        """The text, in parentheses if its precedence is lower."""
        text, own_precedence = self._format(node)
        return text if own_precedence >= precedence else self.group(text)

    def _add(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _SUM)} + {self._at_least(b, _QUOTIENT)}", _SUM

    def _subtract(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _SUM)} - {self._at_least(b, _QUOTIENT)}", _SUM

    def _negate(self, a: Node) -> tuple[str, int]:
        return f"-{self._at_least(a, _POWER)}", _SUM

    def _multiply(self, a: Node, b: Node) -> tuple[str, int]:
        factor = self._at_least(b, _POWER)
        if a.operation == "number" and float(a.leaf) < 0:
            return self.product(self.write(a), factor), _SUM
        return self.product(self._at_least(a, _PRODUCT), factor), _PRODUCT

    def _divide(self, a: Node, b: Node) -> tuple[str, int]:
        return f"{self._at_least(a, _QUOTIENT)}/{self._at_least(b, _POWER)}", _QUOTIENT

    def _power(self, a: Node, b: Node) -> tuple[str, int]:
        return self.format_power(self._at_least(a, _ATOM), self._format(b)[0]), _POWER

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

    def format_power(self, base: str, exponent: str) -> str:
        return f"{base}**({exponent})" if exponent.startswith("-") else f"{base}**{exponent}"


class _Name(_Text):
    """Short text: `x^2 y`."""

    def product(self, a: str, b: str) -> str:
        return f"{a}*{b}" if b[0].isdigit() else f"{a} {b}"

    def format_power(self, base: str, exponent: str) -> str:
        return f"{base}^({exponent})" if exponent.startswith("-") else f"{base}^{exponent}"


class _Code(_Text):
    """Text with names replaced."""

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
            letters = rf"{UPRIGHT}{word}}}"
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

    def format_power(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def _divide(self, a: Node, b: Node) -> tuple[str, int]:
        return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", _POWER


def text(node: Node) -> str:
    """Text that `workbench.symbolic.parser.parse` reads as the same tree."""
    return _Text().write(node)


def short(node: Node) -> str:
    """A short name for display: `x^2 y`, `sin(2 x)`, `x/(1 + x)`."""
    return _Name().write(node)


def code(node: Node, names: Mapping[str, str]) -> str:
    """Code for Python and SymPy, with variables and constants renamed by `names`."""
    return _Code(names).write(node)


def latex(node: Node) -> str:
    """LaTeX for math mode: x' is a dotted x, x1 an x with a subscript, alpha Greek; other words are upright."""
    return _Latex().write(node)
