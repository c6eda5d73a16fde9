"""Parse the cells of a text column as numbers or dates."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from workbench.datasets.tabular.sheet import TableError, more

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "*"})
"""Lower-case markers of missing values."""
MAX_INVALID = 0.1
"""Fraction of a numeric column that may be invalid and is then treated as missing."""
Place = Callable[[int], str]
"""Position of the cell of an index, `line 7, column x`."""

_THOUSANDS = {
    ".": re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[+-]?[1-9]\d{0,2}(?:[ '\u00a0\u202f]\d{3})+(?:\.\d*)?"),
    ",": re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?|[+-]?[1-9]\d{0,2}(?:[ '\u00a0\u202f]\d{3})+(?:,\d*)?"),
}
_YEAR_FIRST = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[T ].*)?$")
_DAY_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[T ]+(.*))?$")
_SLASHES = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?:[T ]+(.*))?$")


def number(text: str, decimal: str) -> float | None:
    """The number of a cell, or None; `inf` is accepted, `nan` and 1_000 are not."""
    if decimal == "," and "," in text:
        if "." in text or text.count(",") > 1:
            return None
        text = text.replace(",", ".")
    elif decimal == "," and "." in text:
        return None
    try:
        value = float(text.replace("\u2212", "-"))
    except ValueError:
        return None
    return None if math.isnan(value) or "_" in text else value


def grouped_number(text: str, decimal: str) -> float | None:
    """The number of a cell with thousands separators: 1,234.5 or 1 234.5, with a decimal comma 1.234,5; or None."""
    if not _THOUSANDS[decimal].fullmatch(text):
        return None
    separators = r"[ ,'\u00a0\u202f]" if decimal == "." else r"[ .'\u00a0\u202f]"
    return float(re.sub(separators, "", text).replace(",", "."))


def is_missing(text: str) -> bool:
    """Whether a cell is a marker of a missing value."""
    return text.lower() in MISSING


def date_format(text: str) -> str:
    """The date format of a cell: "year first", "day.month.year", "slashes", or "" if it is not a date."""
    if _YEAR_FIRST.match(text):
        return "year first"
    if _DAY_DOTS.match(text):
        return "day.month.year"
    return "slashes" if _SLASHES.match(text) else ""


def parse_column(cells: Sequence[str], decimal: str, place: Place, warnings: list[str]) -> np.ndarray:
    """A column of numbers, dates or text.

    Raises TableError for a mixture of numbers and text, and for dates of different formats.
    """
    if decimal == ".":
        try:
            return np.array(cells, dtype=np.str_).astype(float)
        except ValueError:
            pass  # some cells are not plain numbers; parse them one by one
    present = [not is_missing(cell) for cell in cells]
    values = [number(cell, decimal) if there else math.nan for cell, there in zip(cells, present, strict=True)]
    invalid = [i for i, value in enumerate(values) if value is None]
    if invalid:
        _parse_grouped(cells, values, invalid, decimal, place, warnings)
        invalid = [i for i in invalid if values[i] is None]
    if not invalid:
        return np.array(values, dtype=float)
    count = sum(present)
    if sum(bool(date_format(cells[i])) for i in invalid) > count / 2:
        return _dates(cells, present, place)
    if count - len(invalid) <= MAX_INVALID * count:
        return np.array([cell if there else "" for cell, there in zip(cells, present, strict=True)], dtype=object)
    problem = f"{place(invalid[0])}: {_quoted(cells[invalid[0]])} is not a number"
    if len(invalid) > max(MAX_INVALID * count, 1):
        raise TableError(f"{problem} ({len(invalid)} of {count} values of this column are not): expected numbers")
    warnings.append(f"{problem}{more(len(invalid) - 1)}; treated as missing")
    return np.array([math.nan if value is None else value for value in values])


def _parse_grouped(
    cells: Sequence[str],
    values: list[float | None],
    invalid: list[int],
    decimal: str,
    place: Place,
    warnings: list[str],
) -> None:
    """Fill in `values` of the cells with thousands separators."""
    for i in invalid:
        values[i] = grouped_number(cells[i], decimal)
    grouped = [i for i in invalid if values[i] is not None]
    if grouped:
        first = grouped[0]
        count = f"{len(grouped)} value{'s' if len(grouped) > 1 else ''} with thousands separators"
        warnings.append(f"{place(first)}: {_quoted(cells[first])} is read as {values[first]:.15g} ({count})")


def _dates(cells: Sequence[str], present: Sequence[bool], place: Place) -> np.ndarray:
    """All cells as dates of one format, converted to UTC where they have a time zone."""
    first = next(i for i, there in enumerate(present) if there and date_format(cells[i]))
    form = date_format(cells[first])
    month_first = form == "slashes" and _month_first(cells, present, place)
    dates = np.full(len(cells), "NaT", dtype="datetime64[us]")
    for i, cell in enumerate(cells):
        if not present[i]:
            continue
        if date_format(cell) != form:
            raise TableError(
                f"{place(i)}: {_quoted(cell)} differs in format from {_quoted(cells[first])} in {place(first)}; "
                f"expected dates of one format, preferably 2020-12-31T23:59:59"
            )
        try:
            dates[i] = np.datetime64(_datetime(cell, form, month_first=month_first), "us")
        except ValueError:
            raise TableError(
                f"{place(i)}: {_quoted(cell)} is not a valid date; expected a date such as 2020-12-31T23:59:59"
            ) from None
    return dates


def _month_first(cells: Sequence[str], present: Sequence[bool], place: Place) -> bool:
    """Whether dates with slashes have the month first, from values above 12. Raises TableError if ambiguous."""
    matches = {i: match for i, cell in enumerate(cells) if present[i] and (match := _SLASHES.match(cell))}
    if any(int(match[1]) > 12 for match in matches.values()):
        return False
    if any(int(match[2]) > 12 for match in matches.values()):
        return True
    first = min(matches)
    raise TableError(
        f"{place(first)}: {_quoted(cells[first])} is ambiguous, the day or the month may come first; "
        f"expected a date such as 2020-12-31"
    )


def _datetime(text: str, form: str, *, month_first: bool) -> datetime:
    """The datetime without time zone, in UTC. Raises ValueError for an invalid date."""
    if form == "year first":
        date, _, clock = text.replace("/", "-").replace("T", " ").partition(" ")
        year, month, day = date.split("-")
    else:
        match = (_DAY_DOTS if form == "day.month.year" else _SLASHES).match(text)
        day, month, year, clock = match.groups()
        day, month = (month, day) if month_first else (day, month)
    iso = f"{year}-{int(month):02d}-{int(day):02d}"
    moment = datetime.fromisoformat(f"{iso}T{clock.strip().replace(',', '.')}" if clock else iso)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _quoted(text: str) -> str:
    """A cell in quotes, shortened to 40 characters."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
