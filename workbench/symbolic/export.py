"""Discovered equations as text for elsewhere: LaTeX, SymPy, a Python function, JSON. Coefficients keep every digit.

Names that are no words elsewhere are changed: x' becomes x_dot, `Temp (C)` Temp__C_. JSON keeps them.
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
    r"""The equations as an `aligned` environment, coefficients with so many significant digits."""
    rows = []
    for variable, column in zip(library.variables, coefficients.T, strict=True):
        kept = [(value, name) for value, name in zip(column.tolist(), library.latex, strict=True) if value]
        right = _sum(kept, lambda value: f"{value:.{digits}g}", r"\,")
        left = printers.rate(printers.latex(expr.name(variable)), library.order)
        rows.append(f"{left} &= {right}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}\n"


def sympy(library: Library, coefficients: np.ndarray) -> str:
    """A line `x_dot = ...` per equation (`x_dot_dot` for order 2), whose right-hand side SymPy reads."""
    names = code_names(library)
    dot = "_dot" * library.order
    lines = [
        f"{names[variable]}{dot} = {right}"
        for variable, right in zip(library.variables, _sums(library, coefficients, names, {"e": "E"}), strict=True)
    ]
    return "\n".join(lines) + "\n"


def python(library: Library, coefficients: np.ndarray) -> str:
    """A module with `rates(t, u)`, the right-hand side for scipy's `solve_ivp`; it needs numpy."""
    names = code_names(library)
    unpacked = ", ".join(names[name] for name in library.inputs)
    rates = _sums(library, coefficients, names, {})
    if library.order == 2:
        rates = [names[f"{variable}'"] for variable in library.variables] + rates
    used = sorted(w for w in {*FUNCTIONS, *CONSTANTS} if re.search(rf"\b{w}\b", " ".join(rates)))
    known = {"atan": "arctan as atan"}
    imports = f"from numpy import {', '.join(known.get(name, name) for name in used)}\n" if used else ""
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
    """{"format", "order", "variables", "equations": {variable: [{"coefficient", "term"}]}}; `from_json` reads it."""
    equations = {
        variable: [
            {"coefficient": value, "term": text}
            for value, text in zip(column.tolist(), library.texts, strict=True)
            if value
        ]
        for variable, column in zip(library.variables, coefficients.T, strict=True)
    }
    made = {"format": FORMAT, "order": library.order, "variables": list(library.variables), "equations": equations}
    return json.dumps(made, indent=2) + "\n"


def from_json(text: str) -> tuple[Library, np.ndarray]:
    """The library of the terms that occur, and Xi (C, D).

    Raises ValueError saying what is wrong: no JSON, another format, an equation missing, a term that cannot be read.
    """
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"equations: expected JSON, found {error}") from None
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise ValueError(f"equations: expected the format {FORMAT!r}, found {_found(given)}")
    try:
        variables, order = [str(name) for name in given["variables"]], int(given["order"])
        rows = {
            name: [(float(t["coefficient"]), str(t["term"])) for t in given["equations"][name]] for name in variables
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"equations: expected order, variables, and a list of terms for each; {error!r}") from None
    texts = list(dict.fromkeys(text for row in rows.values() for _, text in row)) or ["1"]
    names = [*variables, *(f"{name}'" for name in variables)] if order == 2 else variables
    library = Library(variables, [parser.parse(text, names) for text in texts], order=order)
    if len(library) != len(texts):
        raise ValueError(f"equations: expected terms that differ, found {library.twins[0]}")
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
    """What the inputs are called where only words are names; different ones stay different."""
    taken = {TIME, "u", "np", "rates", "pi", "e", "E", "I", "S", "N", "O", "Q", "beta", "gamma", "zeta", *FUNCTIONS}
    made: dict[str, str] = {}
    for name in library.inputs:
        word = re.sub(r"\W", "_", name.replace("'", "_dot"))
        word = f"v{word}" if not word[:1].isalpha() else word
        while word in taken or keyword.iskeyword(word):
            word += "_"
        taken.add(word)
        made[name] = word
    return made


def _sums(library: Library, coefficients: np.ndarray, names: dict[str, str], constants: dict[str, str]) -> list[str]:
    """The right-hand side of every variable as code."""
    texts = [printers.code(candidate.node, {**names, **constants}) for candidate in library.candidates]
    factors = [text if re.fullmatch(r"[\w.*]+", text) else f"({text})" for text in texts]
    columns = [
        [(value, factor) for value, factor in zip(column.tolist(), factors, strict=True) if value]
        for column in coefficients.T
    ]
    return [_sum(kept, repr, "*") for kept in columns]


def _sum(kept: Sequence[tuple[float, str]], size: Callable[[float], str], product: str) -> str:
    """c_1 name_1 + c_2 name_2 ..., the name 1 left out."""
    parts = []
    for value, name in kept:
        sign = ("-" if value < 0 else "") if not parts else ("- " if value < 0 else "+ ")
        parts.append(f"{sign}{size(abs(value))}" + ("" if name == "1" else f"{product}{name}"))
    return " ".join(parts) or "0"


def _found(given: object) -> str:
    return repr(given.get("format")) if isinstance(given, dict) else type(given).__name__
