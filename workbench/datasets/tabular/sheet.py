"""What stands in a file, before anyone knows what it means."""

import re
from dataclasses import dataclass, field, replace

import numpy as np

MOST_COLUMNS = 200
"""Columns of a sheet; a table of time series has a few."""
CELLS = 20_000_000
"""Values of a file."""
MOST_EXPANDED = 20
"""The length of a dimension beside time whose places become columns."""


class TableError(ValueError):
    """A file cannot be used; the message says what is wrong, where it stands, and what was expected."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Columns of one length: float64 (NaN: missing), datetime64 (NaT: missing) or texts of type object ("": missing).

    rows: what each row is called in the file, counted from 1 in whatever `unit_of_rows` says: "line" or "row". units:
    of the columns that have one. label: what tells this sheet from the others of its file, "" if it is the only one.
    """

    file: str
    columns: dict[str, np.ndarray]
    rows: np.ndarray
    units: dict[str, str] = field(default_factory=dict)
    unit_of_rows: str = "row"
    label: str = ""

    @property
    def name(self) -> str:
        """The file, and the part of it."""
        return f"{self.file} ({self.label})" if self.label else self.file

    def place(self, row: int, column: str = "") -> str:
        """`line 7, column x`: row counted from 0."""
        return f"{self.unit_of_rows} {self.rows[row]}" + (f", column {column}" if column else "")

    def refuse(self, text: str) -> TableError:
        """An error that names the file first."""
        return TableError(f"{self.name}: {text}")

    def at(self, index: np.ndarray) -> "Sheet":
        """Some of the rows: a mask or places."""
        return replace(self, columns={k: v[index] for k, v in self.columns.items()}, rows=self.rows[index])

    def without(self, *names: str) -> "Sheet":
        """The other columns."""
        return replace(self, columns={k: v for k, v in self.columns.items() if k not in names})


def missing(values: np.ndarray) -> np.ndarray:
    """Which values of a column are not there."""
    if values.dtype.kind == "O":
        return values == ""
    return np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)


_UNIT = re.compile(r"^(?P<name>.*?\S)\s*(?:\[(?P<square>[^\[\]]*)\]|\((?P<round>[^()]*)\))$")


def split_unit(heading: str) -> tuple[str, str]:
    """`x [m]` and `x (m)` -> ("x", "m"); no unit: ""."""
    found = _UNIT.match(heading.strip())
    if found is None:
        return heading.strip(), ""
    return found["name"], (found["square"] if found["square"] is not None else found["round"]).strip()


def distinct(headings: list[str], file: str, repairs: list[str]) -> tuple[list[str], dict[str, str]]:
    """Names that differ, and units by name, from headings as they stand; what had to be changed goes to `repairs`."""
    names: list[str] = []
    units = {}
    for number, heading in enumerate(headings, start=1):
        name, unit = split_unit(heading)
        if not name:
            name = f"column_{number}"
        if name in names:
            first, new = names.index(name) + 1, f"{name}_{number}"
            while new in names:
                new += "_"
            repairs.append(f"{file}: columns {first} and {number} are both called {name}; the second is now {new}")
            name = new
        names.append(name)
        if unit:
            units[name] = unit
    return names, units
