"""Convert arrays of binary files to columns."""

from typing import Any

import numpy as np

from workbench.datasets.tabular import parse
from workbench.datasets.tabular.sheet import TableError, unique_names

Part = tuple[str, np.ndarray, str]
"""Heading, values and position in the file of a column."""


def to_columns(parts: list[Part], file: str, warnings: list[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Converted columns and units, both by unique name. Raises TableError for values of an unsupported type."""
    names, units = unique_names([heading for heading, _, _ in parts], file, warnings)
    columns = {
        name: to_column(values, f"{file}: {where}", warnings)
        for name, (_, values, where) in zip(names, parts, strict=True)
    }
    return columns, units


def to_column(values: np.ndarray, where: str, warnings: list[str]) -> np.ndarray:
    """Values as float64, datetime64[us] or str; text is parsed as numbers or dates where possible.

    Raises TableError, starting with `where`, for values of any other type.
    """
    kind = values.dtype.kind
    if kind in "fiub":
        return values.astype(float)
    if kind == "M":
        return values.astype("datetime64[us]")
    if kind not in "OSU":
        raise TableError(f"{where} has values of type {values.dtype}: expected real numbers, dates or text")
    empty = np.array([_is_empty(value) for value in values], dtype=bool)
    if all(isinstance(value, str | bytes) for value in values[~empty]):
        cells = ["" if none else _text(value) for value, none in zip(values, empty, strict=True)]
        return parse.parse_column(cells, ".", lambda row: f"{where}, row {row + 1}", warnings)
    for row in np.flatnonzero(~empty):
        if not isinstance(values[row], int | float | np.number | np.bool_):
            kind = type(values[row]).__name__
            raise TableError(f"{where}, row {row + 1} has an object of type {kind}: expected numbers")
    return np.array([np.nan if none else float(value) for value, none in zip(values, empty, strict=True)])


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _text(value: str | bytes) -> str:
    return (value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value).strip()


def error_text(error: Exception) -> str:
    """The message of an error raised by a file library, in one line of at most 160 characters."""
    return " ".join(str(error).split())[:160] or type(error).__name__
