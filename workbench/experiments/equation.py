"""Discovered equations as LaTeX and plain text."""

from dataclasses import dataclass

LATEX_SPACE = r"\,"


@dataclass(frozen=True)
class Equation:
    """An equation `left = sum of coefficient * candidate`.

    terms: (coefficient, LaTeX of the candidate, plain text of the candidate) of the nonzero terms.
    """

    left_latex: str
    left_text: str
    terms: tuple[tuple[float, str, str], ...]

    def latex(self, digits: int = 3) -> str:
        """LaTeX of the equation, with coefficients to `digits` decimals."""
        terms = [(c, name) for c, name, _ in self.terms]
        return f"{self.left_latex} = {_sum(terms, digits, LATEX_SPACE)}"

    def text(self, digits: int = 3) -> str:
        """Plain text of the equation, with coefficients to `digits` decimals."""
        terms = [(c, name) for c, _, name in self.terms]
        return f"{self.left_text} = {_sum(terms, digits, ' ')}"


def plain_number(value: float, digits: int) -> str:
    """Format a coefficient with fixed decimals, or as many significant figures if fewer than two would remain."""
    small = digits > 1 and 0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits}g}" if small else f"{value:.{digits}f}"


def latex_number(value: float, digits: int) -> str:
    r"""Format a coefficient as `plain_number` does, in LaTeX: 1.5e-07 becomes 1.5 \cdot 10^{-7}."""
    mantissa, _, power = plain_number(value, digits).partition("e")
    return rf"{mantissa}\cdot 10^{{{int(power)}}}" if power else mantissa


def _sum(terms: list[tuple[float, str]], digits: int, space: str) -> str:
    if not terms:
        return "0"
    parts = []
    for position, (coefficient, name) in enumerate(terms):
        sign = "-" if coefficient < 0 else "+"
        lead = ("-" if sign == "-" else "") if position == 0 else f" {sign} "
        factor = "" if name == "1" else f"{space}{name}"
        number = latex_number if space == LATEX_SPACE else plain_number
        parts.append(f"{lead}{number(abs(coefficient), digits)}{factor}")
    return "".join(parts)
