"""Export discovered equations as LaTeX, SymPy, a Python function or JSON, with coefficients at full precision.

Names that are not identifiers are replaced: x' by x_dot, `Temp (C)` by Temp__C_. JSON keeps them.
"""

import json
import keyword
import re
from collections.abc import Callable, Sequence

import numpy as np

from workbench.symbolic import expr, parser, printers
from workbench.symbolic.expr import CONSTANTS, FUNCTIONS, TIME
from workbench.symbolic.library import Library

FORMAT = "equations/1"


def latex(library: Library, coefficients: np.ndarray, digits: int = 4) -> str:
    r"""The equations as an `aligned` environment; `digits`: significant digits of the coefficients."""
    rows = []
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        terms = [(value, name) for value, name in zip(column.tolist(), library.latex, strict=True) if value]
        right = _sum(terms, lambda value: f"{value:.{digits}g}", r"\,")
        left = printers.rate(printers.latex(expr.name(variable)), library.order)
        rows.append(f"{left} &= {right}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}\n"


def sympy(library: Library, coefficients: np.ndarray) -> str:
    """One line `x_dot = ...` (order 2: `x_dot_dot`) per equation, with a right-hand side that SymPy parses."""
    names = code_names(library)
    dot = "_dot" * library.order
    lines = [
        f"{names[variable]}{dot} = {right}"
        for variable, right in zip(library.variables, _sums(library, coefficients, names, {"e": "E"}), strict=True)
    ]
    return "\n".join(lines) + "\n"


def python(library: Library, coefficients: np.ndarray) -> str:
    """A module that defines `rates(t, u)`, a right-hand side for `scipy.integrate.solve_ivp`; requires NumPy."""
    names = code_names(library)
    unpacked = ", ".join(names[name] for name in library.inputs)
    rates = _sums(library, coefficients, names, {})
    if library.order == 2:
        rates = [names[f"{variable}'"] for variable in library.variables] + rates
    used = sorted(w for w in {*FUNCTIONS, *CONSTANTS} if re.search(rf"\b{w}\b", " ".join(rates)))
    renamed = {"atan": "arctan as atan"}
    imports = f"from numpy import {', '.join(renamed.get(name, name) for name in used)}\n" if used else ""
    body = ",\n".join(f"            {rate}" for rate in rates)
    return (
        f'"""Equations found by the S-MNN workbench, for {", ".join(library.inputs)}."""\n\n'
        f"import numpy as np\n{imports}\n\n"
        f"def rates(t, u):\n"
        f'    """d u / d t at time t and state u = ({unpacked})."""\n'
        f"    {unpacked}{',' if len(library.inputs) == 1 else ''} = u\n"
        f"    return np.array(\n        [\n{body},\n        ],\n        dtype=float,\n    )\n"
    )


def to_json(library: Library, coefficients: np.ndarray) -> str:
    """JSON {"format", "order", "variables", "equations": {variable: [{"coefficient", "term"}]}}, for `from_json`."""
    equations = {
        variable: [
            {"coefficient": value, "term": text}
            for value, text in zip(column.tolist(), library.texts, strict=True)
            if value
        ]
        for variable, column in zip(library.variables, coefficients.T, strict=True)
    }
    document = {"format": FORMAT, "order": library.order, "variables": list(library.variables), "equations": equations}
    return json.dumps(document, indent=2) + "\n"


def from_json(text: str) -> tuple[Library, np.ndarray]:
    """The library of the terms in `text`, and their coefficients Xi (C, D).

    Raises ValueError for invalid JSON, another format, a missing equation or a term that cannot be parsed.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"equations: expected JSON, found {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"equations: expected the format {FORMAT!r}, found {_format_of(document)}")
    try:
        variables, order = [str(name) for name in document["variables"]], int(document["order"])
        rows = {
            name: [(float(t["coefficient"]), str(t["term"])) for t in document["equations"][name]] for name in variables
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"equations: expected order, variables, and a list of terms for each; {error!r}") from None
    texts = list(dict.fromkeys(text for row in rows.values() for _, text in row)) or ["1"]
    names = [*variables, *(f"{name}'" for name in variables)] if order == 2 else variables
    library = Library(variables, [parser.parse(text, names) for text in texts], order=order)
    if len(library) != len(texts):
        raise ValueError(f"equations: expected distinct terms, found {library.duplicates[0]}")
    coefficients = np.zeros((len(texts), len(variables)))
    for column, name in enumerate(variables):
        for value, text in rows[name]:
            coefficients[texts.index(text), column] += value
    return library, coefficients


WRITERS: dict[str, Callable[[Library, np.ndarray], str]] = {
    "latex": latex,
    "sympy": sympy,
    "python": python,
    "json": to_json,
}


def code_names(library: Library) -> dict[str, str]:
    """A distinct identifier for each input of the library."""
    taken = {TIME, "u", "np", "rates", "pi", "e", "E", "I", "S", "N", "O", "Q", "beta", "gamma", "zeta", *FUNCTIONS}
    identifiers: dict[str, str] = {}
    for name in library.inputs:
        word = re.sub(r"\W", "_", name.replace("'", "_dot"))
        word = f"v{word}" if not word[:1].isalpha() else word
        while word in taken or keyword.iskeyword(word):
            word += "_"
        taken.add(word)
        identifiers[name] = word
    return identifiers


def _sums(library: Library, coefficients: np.ndarray, names: dict[str, str], constants: dict[str, str]) -> list[str]:
    """The right-hand side of each equation as code."""
    texts = [printers.code(candidate.node, {**names, **constants}) for candidate in library.candidates]
    factors = [text if re.fullmatch(r"[\w.*]+", text) else f"({text})" for text in texts]
    columns = [
        [(value, factor) for value, factor in zip(column.tolist(), factors, strict=True) if value]
        for column in coefficients.T
    ]
    return [_sum(terms, repr, "*") for terms in columns]


def _sum(terms: Sequence[tuple[float, str]], size: Callable[[float], str], product: str) -> str:
    """c_1 name_1 + c_2 name_2 + ...; a factor named 1 is omitted."""
    parts: list[str] = []
    for value, name in terms:
        sign = ("-" if value < 0 else "") if not parts else ("- " if value < 0 else "+ ")
        parts.append(f"{sign}{size(abs(value))}" + ("" if name == "1" else f"{product}{name}"))
    return " ".join(parts) or "0"


def _format_of(document: object) -> str:
    return repr(document.get("format")) if isinstance(document, dict) else type(document).__name__
