"""Arrays of any type, as they come out of binary files, as columns."""

from typing import Any

import numpy as np

from workbench.datasets.tabular import parse
from workbench.datasets.tabular.sheet import TableError


def column(values: np.ndarray, what: str, repairs: list[str]) -> np.ndarray:
    """Values as float64, datetime64[us] or texts; texts that are numbers or dates become such.

    Raises Refused, beginning with `what`, for values of any other type.
    """
    kind = values.dtype.kind
    if kind in "fiub":
        return values.astype(float)
    if kind == "M":
        return values.astype("datetime64[us]")
    if kind not in "OSU":
        raise TableError(f"{what} holds values of type {values.dtype}: expected real numbers, dates or texts")
    empty = np.array([_is_empty(value) for value in values], dtype=bool)
    if all(isinstance(value, str | bytes) for value in values[~empty]):
        texts = ["" if none else _text(value) for value, none in zip(values, empty, strict=True)]
        return parse.column(texts, ".", lambda row: f"{what}, row {row + 1}", repairs)
    for row in np.flatnonzero(~empty):
        if not isinstance(values[row], int | float | np.number | np.bool_):
            found = type(values[row]).__name__
            raise TableError(f"{what}, row {row + 1} holds an object of type {found}: expected a number in every row")
    return np.array([np.nan if none else float(value) for value, none in zip(values, empty, strict=True)])


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _text(value: str | bytes) -> str:
    return (value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value).strip()


def words(error: Exception) -> str:
    """What a library says of a broken file, in one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
