"""Identify the time column, the trajectory column and the variables of a sheet."""

import re
from dataclasses import dataclass

import numpy as np

from workbench.datasets.tabular.sheet import Sheet, missing

_COMMON = ("t", "time", "times", "date", "datetime", "timestamp", "date_time", "clock", "zeit", "datum", "epoch")
_RARE = ("tid", "s", "sec", "seconds", "minutes", "hours", "days", "day", "weeks", "years", "year", "temps", "tiempo")
TIME_NAMES = (*_COMMON, *_RARE)
"""Names of time columns, the common ones first."""
TRAJECTORY_NAMES = (
    *("trajectory", "traj", "trajectories", "run", "id", "experiment", "trial", "series", "subject", "group", "sample"),
    *("batch", "replicate", "episode", "curve", "individual", "well", "station", "cast", "case"),
)
"""Names of columns that identify trajectories."""
MAX_TRAJECTORIES = 5000
MIN_MEAN_ROWS = 5
"""Mean number of rows per trajectory below which a column is not a trajectory column."""
RESERVED = frozenset(
    {"t", "e", "pi", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "exp", "log", "sqrt", "abs", "sign"}
)
"""Names with a meaning in expressions."""


@dataclass(frozen=True)
class TableColumns:
    """Names of the time column, the trajectory column ("" if there is none) and the variables."""

    time: str
    trajectory: str
    variables: tuple[str, ...]


def matches(name: str, candidates: tuple[str, ...]) -> bool:
    """Whether a name is among `candidates`, ignoring case and a suffix such as a unit (`time_s`) or a number."""
    words = re.split(r"[^a-z]+", name.lower())
    return words[0] in candidates or name.lower() in candidates or "".join(words) in candidates


def identify_columns(sheet: Sheet, warnings: list[str], *, time: str = "", trajectory: str = "") -> TableColumns:
    """The columns of a sheet, by name first and by values second; `time` and `trajectory` override both.

    Raises TableError, naming the columns, if there is no time column or no variable.
    """
    for name in filter(None, (time, trajectory)):
        if name not in sheet.columns:
            raise sheet.error(f"there is no column {name}; there are: {', '.join(sheet.columns)}")
    time = time or _time_column(sheet, trajectory)
    trajectory = trajectory or _trajectory_column(sheet, time)
    others = [name for name in sheet.columns if name not in (time, trajectory)]
    variables = tuple(name for name in others if _is_variable(sheet, name, warnings))
    if not variables:
        problem = (
            f"no other column ({', '.join(others)}) has numbers that vary" if others else "there is no other column"
        )
        raise sheet.error(f"the time column is {time}, and {problem}: expected at least one variable")
    return TableColumns(time, trajectory, variables)


def _time_column(sheet: Sheet, trajectory: str) -> str:
    """The first column of dates, else one named as time, else an increasing one. Raises TableError if there is none."""
    numeric = [name for name, values in sheet.columns.items() if values.dtype.kind != "O" and name != trajectory]
    for name in numeric:
        if sheet.columns[name].dtype.kind == "M":
            return name
    for names in (_COMMON, _RARE):
        named = [name for name in numeric if matches(name, names)]
        filled = [name for name in named if not missing(sheet.columns[name]).all()]
        if named and not filled:
            raise sheet.error(f"the time column {named[0]} is empty: expected times")
        if filled:
            return filled[0]
    for name in sheet.columns:
        if sheet.columns[name].dtype.kind == "O" and matches(name, _COMMON):
            _raise_for_text(sheet, name)
    for name in numeric:
        values = sheet.columns[name]
        values = values[~missing(values)]
        if len(values) > 2 and (np.diff(values) > 0).mean() > 0.95 and len(numeric) > 1:
            return name
    if len(sheet.rows) < 3 and len(numeric) > 1:
        return numeric[0]  # an error for too few rows follows
    raise sheet.error(
        f"there is no time column among {', '.join(sheet.columns)}: expected a column named time, of dates, or of "
        f"increasing numbers"
    )


def _raise_for_text(sheet: Sheet, name: str) -> None:
    """Raise TableError for a time column of text."""
    values = sheet.columns[name]
    present = np.flatnonzero(~missing(values))
    if not len(present):
        raise sheet.error(f"the time column {name} is empty: expected numbers or dates")
    first = present[0]
    raise sheet.error(f"{sheet.place(first, name)}: {values[first]!r} is not a time: expected numbers or dates")


def _trajectory_column(sheet: Sheet, time: str) -> str:
    """The first column of few different values that is named as a trajectory or holds text; "" if there is none."""
    for name, values in sheet.columns.items():
        if name == time or values.dtype.kind == "M" or missing(values).any():
            continue
        is_named, is_text = matches(name, TRAJECTORY_NAMES), values.dtype.kind == "O"
        if not (is_named or is_text) or (not is_text and (values != np.round(values)).any()):
            continue
        count = len(set(values.tolist()))
        if (1 if is_named else 2) <= count <= min(MAX_TRAJECTORIES, max(len(values) / MIN_MEAN_ROWS, 1)):
            return name
    return ""


def _is_variable(sheet: Sheet, name: str, warnings: list[str]) -> bool:
    """Whether a column holds numbers that vary; the reason is added to `warnings` if not."""
    problem = _variable_problem(sheet, name)
    if problem:
        warnings.append(f"{sheet.name}: column {name} {problem}; ignored")
    return not problem


def _variable_problem(sheet: Sheet, name: str) -> str:
    values = sheet.columns[name]
    absent = missing(values)
    if absent.all():
        return "is empty"
    if values.dtype.kind == "M":
        return "has dates"
    row = int(np.argmax(~absent))
    if values.dtype.kind == "O":
        return f"has text ({str(values[row])[:30]!r} in {sheet.place(row)})"
    finite = values[np.isfinite(values)]
    if len(finite) and np.ptp(finite) <= 1e-12 * np.abs(finite).max():
        return f"is constant ({finite[0]:g} from {sheet.place(row)})"
    return ""


def valid_name(name: str, taken: list[str], warnings: list[str]) -> str:
    """The name of a variable as an identifier for expressions: letters, digits and _, neither reserved nor taken."""
    identifier = re.sub(r"\W+", "_", name).strip("_") or "x"
    identifier = f"x{identifier}" if identifier[0].isdigit() else identifier
    while identifier in RESERVED or identifier in taken:
        identifier += "_"
    if identifier != name:
        warnings.append(f"column {name!r} is named {identifier} in the equations")
    return identifier


def drop_duplicates(sheet: Sheet, variables: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
    """The variables without copies of others, which would have the same equation."""
    unique: list[str] = []
    for name in variables:
        values = sheet.columns[name]
        original = next((k for k in unique if np.array_equal(sheet.columns[k], values, equal_nan=True)), None)
        if original is None:
            unique.append(name)
        else:
            warnings.append(f"{sheet.name}: column {name} equals column {original} in every row; ignored")
    return tuple(unique)
