"""Equations as HTML with MathML inside, term by term, so that a long one wraps instead of running out of its card.

Browsers set MathML themselves. MathJax in Bokeh's page keeps everything that it has ever set: a run that was followed
for half an hour took a gigabyte of the browser.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape

from latex2mathml.converter import convert

from workbench.experiments.equation import Equation, latex_number


def html(equations: Sequence[Equation], digits: int = 3, true: Sequence[Equation] = ()) -> str:
    """The equations as HTML.

    A term that none of the `true` equations has is marked with the class "extra" (only when `true` is given). Each
    equation is a `role="math"` element whose label is the plain text, for screen readers and tests.
    """
    known = {equation.left_text: {name for _, _, name in equation.terms} for equation in true}
    return "".join(_row(equation, digits, known.get(equation.left_text)) for equation in equations)


def _row(equation: Equation, digits: int, known: set[str] | None) -> str:
    parts = [f"<span aria-hidden='true'>{_mathml(equation.left_latex + ' =')}</span>"]
    for position, (coefficient, latex, text) in enumerate(equation.terms):
        extra = ' class="extra" title="not in the true equation"' if known is not None and text not in known else ""
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
    """Metrics as HTML, a number over its name; `names` says more than the key where it can."""
    tiles = [
        f"<div><b>{_number(value)}</b><span>{escape(names.get(key, key))}</span></div>" for key, value in values.items()
    ]
    return f'<div class="metrics">{"".join(tiles)}</div>' if tiles else ""


def raised(term: str) -> str:
    """A term in plain text, such as x^2 y, as HTML with its powers raised."""
    return re.sub(r"\^(\d+)", r"<sup>\1</sup>", escape(term))


def doubts(sentences: Sequence[str]) -> str:
    """Why the result may not be trusted, as an HTML list; nothing if nothing is in doubt."""
    if not sentences:
        return ""
    items = "".join(f"<li>{escape(sentence[:1].upper() + sentence[1:])}.</li>" for sentence in sentences)
    return f'<div class="doubts"><b>In doubt</b><ul>{items}</ul></div>'


def _number(value: float) -> str:
    if value != value:
        return "&ndash;"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits} &times; 10<sup>{int(power)}</sup>"
