"""Cells of a text file as numbers and dates. A column is one or the other; what does not fit is told with its line."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np

from workbench.datasets.tabular.sheet import TableError

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "*"})
"""What people write where there is no value, in small letters."""
ODD = 0.1
"""The share of a column that may be something else than numbers and is then taken as missing."""
Place = Callable[[int], str]
"""Where a cell of the column stands, `line 7, column x`."""

_THOUSANDS = {
    ".": re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[+-]?[1-9]\d{0,2}(?:[ '\u00a0\u202f]\d{3})+(?:\.\d*)?"),
    ",": re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?|[+-]?[1-9]\d{0,2}(?:[ '\u00a0\u202f]\d{3})+(?:,\d*)?"),
}
_YEAR_FIRST = re.compile(r"\d{4}[-/]\d{1,2}[-/]\d{1,2}(?:[T ].*)?$")
_DAY_DOTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[T ]+(.*))?$")
_SLASHES = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?:[T ]+(.*))?$")


def number(text: str, decimal: str) -> float | None:
    """The number of a cell, None for anything else; `inf` is a number here, `nan` and 1_000 are not."""
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


def grouped(text: str, decimal: str) -> float | None:
    """The number of a cell whose thousands are set apart: 1,234.5 or 1 234.5, with a decimal comma 1.234,5."""
    if not _THOUSANDS[decimal].fullmatch(text):
        return None
    separators = r"[ ,'\u00a0\u202f]" if decimal == "." else r"[ .'\u00a0\u202f]"
    return float(re.sub(separators, "", text).replace(",", "."))


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.lower() in MISSING


def style(text: str) -> str:
    """How a cell writes a date: "year first", "day.month.year", "slashes", "" for no date."""
    if _YEAR_FIRST.match(text):
        return "year first"
    if _DAY_DOTS.match(text):
        return "day.month.year"
    return "slashes" if _SLASHES.match(text) else ""


def column(cells: Sequence[str], decimal: str, place: Place, repairs: list[str]) -> np.ndarray:
    """A column of cells: numbers, dates or texts.

    Raises Refused for numbers mixed with text, or dates of which some are written otherwise than the others.
    """
    if decimal == ".":
        try:
            return np.array(cells, dtype=np.str_).astype(float)
        except ValueError:
            pass  # not all are plain numbers: one after the other
    there = [not is_missing(cell) for cell in cells]
    values = [number(cell, decimal) if here else math.nan for cell, here in zip(cells, there, strict=True)]
    odd = [i for i, value in enumerate(values) if value is None]
    if odd:
        _ungroup(cells, values, odd, decimal, place, repairs)
        odd = [i for i in odd if values[i] is None]
    if not odd:
        return np.array(values, dtype=float)
    present = sum(there)
    if sum(bool(style(cells[i])) for i in odd) > present / 2:
        return _dates(cells, there, place)
    numbers = present - len(odd)
    if numbers <= ODD * present:
        return np.array([cell if here else "" for cell, here in zip(cells, there, strict=True)], dtype=object)
    found = f"{place(odd[0])}: {_short(cells[odd[0]])} is no number"
    if len(odd) > max(ODD * present, 1):
        raise TableError(f"{found}, as are {len(odd)} of the {present} values of this column: expected numbers in all")
    more = f", nor are {len(odd) - 1} more" if len(odd) > 1 else ""
    repairs.append(f"{found}{more}; taken as missing")
    return np.array([math.nan if value is None else value for value in values])


def _ungroup(
    cells: Sequence[str], values: list[float | None], odd: list[int], decimal: str, place: Place, repairs: list[str]
) -> None:
    """Fill in the numbers whose thousands are set apart."""
    for i in odd:
        values[i] = grouped(cells[i], decimal)
    apart = [i for i in odd if values[i] is not None]
    if apart:
        found = f"{_short(cells[apart[0]])} is read as {values[apart[0]]:.15g}"
        repairs.append(f"{place(apart[0])}: {found}, its thousands being set apart; so are {len(apart)} values in all")


def _dates(cells: Sequence[str], there: Sequence[bool], place: Place) -> np.ndarray:
    """All cells as dates of one style, in UTC where they name a time zone."""
    first = next(i for i, here in enumerate(there) if here and style(cells[i]))
    kind = style(cells[first])
    month_first = kind == "slashes" and _month_first(cells, there, place)
    made = np.full(len(cells), "NaT", dtype="datetime64[us]")
    for i, cell in enumerate(cells):
        if not there[i]:
            continue
        if style(cell) != kind:
            raise TableError(
                f"{place(i)}: {_short(cell)} is written otherwise than {_short(cells[first])} in {place(first)}; "
                f"expected dates of one form, best 2020-12-31T23:59:59"
            )
        try:
            made[i] = np.datetime64(_moment(cell, kind, month_first=month_first), "us")
        except ValueError:
            raise TableError(
                f"{place(i)}: {_short(cell)} is no date; expected one such as 2020-12-31T23:59:59"
            ) from None
    return made


def _month_first(cells: Sequence[str], there: Sequence[bool], place: Place) -> bool:
    """Whether dates with slashes name the month first, as far as any of them tells."""
    found = {i: match for i, cell in enumerate(cells) if there[i] and (match := _SLASHES.match(cell))}
    if any(int(match[1]) > 12 for match in found.values()):
        return False
    if any(int(match[2]) > 12 for match in found.values()):
        return True
    at = min(found)
    raise TableError(f"{place(at)}: {_short(cells[at])} may be read day or month first; expected such as 2020-12-31")


def _moment(text: str, kind: str, *, month_first: bool) -> datetime:
    """The moment without a time zone: that of UTC. Raises ValueError for what is none."""
    if kind == "year first":
        date, _, clock = text.replace("/", "-").replace("T", " ").partition(" ")
        year, month, day = date.split("-")
    else:
        match = (_DAY_DOTS if kind == "day.month.year" else _SLASHES).match(text)
        day, month, year, clock = match.groups()
        day, month = (month, day) if month_first else (day, month)
    written = f"{year}-{int(month):02d}-{int(day):02d}"
    moment = datetime.fromisoformat(f"{written}T{clock.strip().replace(',', '.')}" if clock else written)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _short(text: str) -> str:
    """A cell as it is quoted."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
