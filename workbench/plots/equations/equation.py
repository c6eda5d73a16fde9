"""Equations as HTML with one MathML element per term, so that long equations wrap.

Browsers render MathML natively. MathJax in the page of Bokeh keeps all rendered formulas: half an hour of updates took
a gigabyte of browser memory.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape

from latex2mathml.converter import convert

from workbench._deprecated import moved_names
from workbench.experiments.equation import Equation, latex_number


def html(equations: Sequence[Equation], digits: int = 3, true: Sequence[Equation] = ()) -> str:
    """The equations as HTML.

    Terms that are not in the `true` equations, if given, have the class "extra". Each equation is a `role="math"`
    element labelled by its plain text, for screen readers and tests.
    """
    true_terms = {equation.left_text: {name for _, _, name in equation.terms} for equation in true}
    return "".join(_row(equation, digits, true_terms.get(equation.left_text)) for equation in equations)


def _row(equation: Equation, digits: int, true_terms: set[str] | None) -> str:
    parts = [f"<span aria-hidden='true'>{_mathml(equation.left_latex + ' =')}</span>"]
    for position, (coefficient, latex, text) in enumerate(equation.terms):
        is_extra = true_terms is not None and text not in true_terms
        extra = ' class="extra" title="not in the true equation"' if is_extra else ""
        term = _mathml(_term(coefficient, latex, digits, first=position == 0))
        parts.append(f"<span aria-hidden='true'{extra}>{term}</span>")
    if not equation.terms:
        parts.append(f"<span aria-hidden='true'>{_mathml('0')}</span>")
    label = escape(equation.text(digits), quote=True)
    return f'<div class="equation" role="math" aria-label="{label}">{" ".join(parts)}</div>'


@lru_cache(maxsize=4096)
def _mathml(latex: str) -> str:
    return convert(latex)


def _term(coefficient: float, latex: str, digits: int, *, first: bool) -> str:
    sign = "-" if coefficient < 0 else ("" if first else "+")
    sign = sign if first else f"{{}}{sign}"
    factor = "" if latex == "1" else f"\\,{latex}"
    return f"{sign}{latex_number(abs(coefficient), digits)}{factor}"


def metrics(values: Mapping[str, float], names: Mapping[str, str]) -> str:
    """Metrics as HTML tiles of a number above its label; `names`: labels by key."""
    tiles = [
        f"<div><b>{_number(value)}</b><span>{escape(names.get(key, key))}</span></div>" for key, value in values.items()
    ]
    return f'<div class="metrics">{"".join(tiles)}</div>' if tiles else ""


def with_superscripts(term: str) -> str:
    """HTML of a plain-text term such as x^2 y, with superscripts."""
    return re.sub(r"\^(\d+)", r"<sup>\1</sup>", escape(term))


def warnings(sentences: Sequence[str]) -> str:
    """Warnings about the result as an HTML list; "" if there are none."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence[:1].upper() + sentence[1:])}.</li>" for sentence in sentences)
    return f'<div class="warnings"><b>Warnings</b><ul>{items}</ul></div>'


def _number(value: float) -> str:
    if value != value:
        return "&ndash;"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} &times; 10<sup>{int(power)}</sup>"


__getattr__ = moved_names(
    __name__,
    {
        "doubts": "plots.equations.equation:warnings",
        "raised": "plots.equations.equation:with_superscripts",
    },
)
