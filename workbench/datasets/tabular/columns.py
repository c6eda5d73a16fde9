"""What the columns of a sheet are: the time, what tells trajectories apart, and the variables."""

import re
from dataclasses import dataclass

import numpy as np

from workbench.datasets.tabular.sheet import Sheet, missing

TIMES = ("t", "time", "times", "date", "datetime", "timestamp", "date_time", "clock", "zeit", "datum", "epoch", "tid")
TIMES += ("s", "sec", "seconds", "minutes", "hours", "days", "day", "weeks", "years", "year", "temps", "tiempo")
TRAJECTORIES = ("trajectory", "traj", "trajectories", "run", "id", "experiment", "trial", "series", "subject", "group")
TRAJECTORIES += ("sample", "batch", "replicate", "episode", "curve", "individual", "well", "station", "cast", "case")
MOST_TRAJECTORIES = 5000
FEWEST = 5
"""Rows that a trajectory has on average at least, or its column is something else."""
RESERVED = frozenset(
    {"t", "e", "pi", "sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "exp", "log", "sqrt", "abs", "sign"}
)
"""Names that mean something of their own in an equation."""


@dataclass(frozen=True)
class ColumnRoles:
    """Column names; `trajectory` is "" where none tells trajectories apart."""

    time: str
    trajectory: str
    variables: tuple[str, ...]


def is_called(name: str, known: tuple[str, ...]) -> bool:
    """Whether a column bears one of these names, its case, a unit (`time_s`) or a number behind it left aside."""
    words = re.split(r"[^a-z]+", name.lower())
    return words[0] in known or name.lower() in known or "".join(words) in known


def roles(sheet: Sheet, repairs: list[str], *, time: str = "", trajectory: str = "") -> ColumnRoles:
    """The roles of the columns, by their names first and what is in them second; `time` and `trajectory` are obeyed.

    Raises Refused if there is no time or no variable, naming the columns.
    """
    for name in filter(None, (time, trajectory)):
        if name not in sheet.columns:
            raise sheet.refuse(f"there is no column {name}; there are: {', '.join(sheet.columns)}")
    time = time or _time(sheet, trajectory)
    trajectory = trajectory or _trajectory(sheet, time)
    others = [name for name in sheet.columns if name not in (time, trajectory)]
    variables = tuple(name for name in others if _usable(sheet, name, repairs))
    if not variables:
        left = f"the others ({', '.join(others)}) hold no numbers" if others else "there is no other column"
        raise sheet.refuse(f"column {time} is the time, and {left}: expected at least one variable")
    return ColumnRoles(time, trajectory, variables)


def _time(sheet: Sheet, trajectory: str) -> str:
    """A column called time, or of dates, or the first one that grows from row to row."""
    numbers = [name for name, values in sheet.columns.items() if values.dtype.kind != "O" and name != trajectory]
    for name in numbers:
        if sheet.columns[name].dtype.kind == "M":
            return name
    for wanted in (TIMES[:11], TIMES[11:]):
        named = [name for name in numbers if is_called(name, wanted)]
        filled = [name for name in named if not missing(sheet.columns[name]).all()]
        if named and not filled:
            raise sheet.refuse(f"column {named[0]} holds no value in any row: expected the times there")
        if filled:
            return filled[0]
    for name in sheet.columns:
        if sheet.columns[name].dtype.kind == "O" and is_called(name, TIMES[:11]):
            return _refuse_texts(sheet, name)
    for name in numbers:
        values = sheet.columns[name]
        values = values[~missing(values)]
        if len(values) > 2 and (np.diff(values) > 0).mean() > 0.95 and len(numbers) > 1:
            return name
    if len(sheet.rows) < 3 and len(numbers) > 1:
        return numbers[0]  # too short in any case, and that is what will be said
    raise sheet.refuse(
        f"no column is called time, holds dates or grows from row to row (columns: {', '.join(sheet.columns)}): "
        f"expected one that does; call it time"
    )


def _refuse_texts(sheet: Sheet, name: str) -> str:
    values = sheet.columns[name]
    there = np.flatnonzero(~missing(values))
    found = (
        f"{sheet.place(there[0], name)}: {values[there[0]]!r} is neither" if len(there) else f"column {name} is empty"
    )
    raise sheet.refuse(f"{found}: expected numbers or dates in the time column")


def _trajectory(sheet: Sheet, time: str) -> str:
    """A column that tells trajectories apart: called so, or of few texts; whole blocks of rows have one value."""
    for name, values in sheet.columns.items():
        if name == time or values.dtype.kind == "M" or missing(values).any():
            continue
        named, texts = is_called(name, TRAJECTORIES), values.dtype.kind == "O"
        if not (named or texts) or (not texts and (values != np.round(values)).any()):
            continue
        count = len(set(values.tolist()))
        if (1 if named else 2) <= count <= min(MOST_TRAJECTORIES, max(len(values) / FEWEST, 1)):
            return name
    return ""


def _usable(sheet: Sheet, name: str, repairs: list[str]) -> bool:
    """Whether a column is a variable: numbers that are there, and that change; what is none is said."""
    values = sheet.columns[name]
    gone = missing(values)
    if gone.all():
        repairs.append(f"{sheet.name}: column {name} holds no value in any row; left out")
        return False
    if values.dtype.kind != "f":
        at = int(np.argmax(~gone))
        what = "dates" if values.dtype.kind == "M" else f"text ({str(values[at])[:30]!r} in {sheet.place(at)})"
        repairs.append(f"{sheet.name}: column {name} holds {what}; left out")
        return False
    finite = values[np.isfinite(values)]
    if len(finite) and np.ptp(finite) <= 1e-12 * np.abs(finite).max():
        at = int(np.argmax(~gone))
        told = f"column {name} is {finite[0]:g} from {sheet.place(at)} to the end"
        repairs.append(f"{sheet.name}: {told}: what never changes has no equation; left out")
        return False
    return True


def callable_name(name: str, taken: list[str], repairs: list[str]) -> str:
    """The name of a variable as equations can bear it: letters, digits and _, no word that means something else."""
    word = re.sub(r"\W+", "_", name).strip("_") or "x"
    word = f"x{word}" if word[0].isdigit() else word
    while word in RESERVED or word in taken:
        word += "_"
    if word != name:
        repairs.append(f"column {name!r} is called {word} in the equations")
    return word


def same(sheet: Sheet, variables: tuple[str, ...], repairs: list[str]) -> tuple[str, ...]:
    """The variables without those that repeat another one in every row: their equations could not be told apart."""
    kept: list[str] = []
    for name in variables:
        twin = next((k for k in kept if np.array_equal(sheet.columns[k], sheet.columns[name], equal_nan=True)), None)
        if twin is None:
            kept.append(name)
        else:
            repairs.append(f"{sheet.name}: column {name} equals column {twin} in every row; left out")
    return tuple(kept)
