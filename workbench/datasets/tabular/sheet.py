"""Columns of a file as stored, before their meaning is known."""

import re
from dataclasses import dataclass, field

import numpy as np

MAX_COLUMNS = 200
"""Columns of a sheet; a table of time series has a few."""
MAX_VALUES = 20_000_000
"""Values of a file."""
MAX_EXPANDED = 20
"""Length up to which a dimension other than time is expanded into columns."""


class TableError(ValueError):
    """A file cannot be used; the message gives the problem, its position and what was expected."""


@dataclass(frozen=True, eq=False)
class Sheet:
    """Columns of equal length: float64 (NaN: missing), datetime64 (NaT: missing) or str as object ("": missing).

    rows: number of each row in the file, from 1, counted in `unit_of_rows`: "line" or "row". units: units of the
    columns that have one. label: distinguishes the sheets of a file, "" for a single sheet.
    """

    file: str
    columns: dict[str, np.ndarray]
    rows: np.ndarray
    units: dict[str, str] = field(default_factory=dict)
    unit_of_rows: str = "row"
    label: str = ""

    @property
    def name(self) -> str:
        """The file name and the label."""
        return f"{self.file} ({self.label})" if self.label else self.file

    def place(self, row: int, column: str = "") -> str:
        """`line 7, column x` for the row of index `row`."""
        return f"{self.unit_of_rows} {self.rows[row]}" + (f", column {column}" if column else "")

    def error(self, text: str) -> TableError:
        """An error whose message starts with the file name."""
        return TableError(f"{self.name}: {text}")


def missing(values: np.ndarray) -> np.ndarray:
    """Mask of the missing values of a column."""
    if values.dtype.kind == "O":
        return values == ""
    return np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)


def more(count: int) -> str:
    """` (and 3 more)`; "" for none."""
    return f" (and {count} more)" if count else ""


_UNIT = re.compile(r"^(?P<name>.*?\S)\s*(?:\[(?P<square>[^\[\]]*)\]|\((?P<round>[^()]*)\))$")


def split_unit(heading: str) -> tuple[str, str]:
    """Name and unit of `x [m]` or `x (m)`; the unit is "" if there is none."""
    match = _UNIT.match(heading.strip())
    if match is None:
        return heading.strip(), ""
    return match["name"], (match["square"] if match["square"] is not None else match["round"]).strip()


def unique_names(headings: list[str], file: str, warnings: list[str]) -> tuple[list[str], dict[str, str]]:
    """Unique column names, and units by name, from headings; renamed columns are added to `warnings`."""
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
            warnings.append(f"{file}: columns {first} and {number} are both named {name}; the second is renamed {new}")
            name = new
        names.append(name)
        if unit:
            units[name] = unit
    return names, units
