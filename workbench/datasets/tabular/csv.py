"""Text files: encoding, separator, decimal sign and header are told from what stands there."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.tabular import parse
from workbench.datasets.tabular.sheet import MOST_COLUMNS, Sheet, TableError, distinct

LOOKED_AT = 200
"""Lines from which separator and decimal sign are told."""
SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", " ": "space"}
RAGGED = 0.05
"""The share of lines that may have another number of fields than the others, and are then left out."""
_COMMENT = re.compile(r"\s*(?:#|%|//)")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_Rows = list[tuple[int, list[str]]]
"""(line, fields) of each."""


@dataclass(frozen=True)
class Layout:
    """What parts the fields, and which sign the decimals have."""

    separator: str
    decimal: str


def read(file: str, content: bytes, repairs: list[str]) -> Sheet:
    """The sheet of a text file. Raises Refused naming the line and, where there is one, the column."""
    text = _decoded(file, content, repairs)
    lines = [(i, line) for i, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1) if line.strip()]
    kept = [(i, line) for i, line in lines if not _COMMENT.match(line)]
    # a header that is commented out, as numpy writes it
    if kept and len(kept) < len(lines):
        first = max((i for i, _ in lines if i < kept[0][0]), default=0)
        heading = next((line for i, line in lines if i == first), "")
        kept = _commented_header(first, heading, kept)
    if not kept:
        raise TableError(f"{file} is empty: expected a line of column names, and a line of numbers for each time")
    layout = _layout(file, [line for _, line in kept[:LOOKED_AT]])
    rows = _even(file, _split(file, kept, layout.separator), layout, repairs)
    headings, rows = _headings(file, rows, layout, repairs)
    try:
        return _sheet(file, headings, rows, layout.decimal, repairs)
    except TableError as refusal:
        raise TableError(f"{file}: {refusal}") from None


def _decoded(file: str, content: bytes, repairs: list[str]) -> str:
    """The text, by its byte order mark, as UTF-8, or else as Windows-1252. Raises Refused for what is no text."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            try:
                return content.decode(name)
            except UnicodeDecodeError as error:
                raise TableError(
                    f"{file}: byte {error.start} cannot be read as {name}, which the file says it is"
                ) from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        text = content.decode("cp1252", errors="replace")
        word = re.search(rb"[^\s,;|\t]*$", content[: error.start])[0].decode("cp1252", errors="replace")
        found = re.match(r"[^\s,;|\t]*", text[error.start - len(word) :])[0]
        if not _BINARY.search(text):
            repairs.append(f"{file}: line {line} is not written in UTF-8; read as Windows-1252, which gives {found!r}")
    if match := _BINARY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        found = f"a byte {ord(match[0]):#04x} stands in line {line}"
        raise TableError(f"{file} is no text: {found}; expected CSV, Parquet, HDF5 or NetCDF")
    return text


def _commented_header(line: int, heading: str, kept: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """`# t x y` over columns of numbers is their header; anything else stays a comment."""
    words = _COMMENT.sub("", heading, count=1).strip()
    for separator in SEPARATORS:
        names, numbers = _fields(words, separator), _fields(kept[0][1], separator)
        if len(names) == len(numbers) > 1 and not any(parse.number(name, ".") is not None for name in names):
            return [(line, words), *kept]
    return kept


def _layout(file: str, lines: Sequence[str]) -> Layout:
    """The separator and decimal sign under which the lines hold most numbers. Raises Refused if none makes columns."""
    best, found = 0.0, None
    for separator in SEPARATORS:
        split = [_fields(line, separator) for line in lines]
        width, count = Counter(map(len, split[1:] or split)).most_common(1)[0]
        if width < 2:
            continue
        body = [cell for row in split[1:] for cell in row if len(row) == width]
        for decimal in (".", ","):
            worth = sum(_worth(cell, decimal) for cell in body) / max(len(body), 1)
            score = (0.01 + worth) * count / len(split)
            if score > best + 1e-9:
                best, found = score, Layout(separator, decimal)
    if found is None:
        raise TableError(
            f"{file} has one column, {lines[0].strip()[:40]!r}: expected a time column and at least one variable, "
            f"parted by comma, semicolon, tab, bar or spaces"
        )
    return found


def _worth(cell: str, decimal: str) -> float:
    """How well a cell fits a decimal sign."""
    if parse.is_missing(cell):
        return 0.5
    if parse.number(cell, decimal) is not None or parse.style(cell):
        return 1.0
    return 0.5 if parse.grouped(cell, decimal) is not None else 0.0


def _fields(line: str, separator: str) -> list[str]:
    """The fields of a line on its own."""
    if separator == " ":
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    except csv.Error:  # told with its line when the file is split
        return [line]


def _split(file: str, lines: list[tuple[int, str]], separator: str) -> _Rows:
    if separator == " ":
        return [(number, line.split()) for number, line in lines]
    numbers = [number for number, _ in lines]
    reader = csv.reader((f"{line}\n" for _, line in lines), delimiter=separator, skipinitialspace=True)
    rows, before = [], 0
    try:
        for row in reader:
            rows.append((numbers[before], [cell.strip() for cell in row]))
            before = reader.line_num
    except csv.Error as error:
        raise TableError(f"{file}: line {numbers[before]} cannot be parted into fields: {error}") from None
    return rows


def _even(file: str, rows: _Rows, layout: Layout, repairs: list[str]) -> _Rows:
    """The lines of the usual number of fields; few others are left out. Raises Refused for many."""
    width = Counter(len(row) for _, row in rows[1:] or rows).most_common(1)[0][0]
    if all(len(row) == width for _, row in rows):
        return rows
    if len(rows[0][1]) == width - 1 and layout.separator != " " and all(row[-1] == "" for _, row in rows[1:]):
        # a separator at the end of every line but the first
        rows = [rows[0], *((number, row[:-1]) for number, row in rows[1:])]
        width -= 1
    odd = [(number, len(row)) for number, row in rows if len(row) != width]
    if not odd:
        return rows
    # a title over the table
    while rows and len(rows[0][1]) != width and len(rows[0][1]) == 1:
        number, row = rows[0]
        repairs.append(f"{file}: line {number}, {row[0][:40]!r}, is no row of the table; left out")
        rows, odd = rows[1:], odd[1:]
    if odd:
        number, count = odd[0]
        found = f"line {number} has {count} field{'s' if count != 1 else ''}, most lines have {width}"
        if len(odd) > max(RAGGED * len(rows), 1) or number == rows[0][0]:
            raise TableError(f"{file}: {found}; so do {len(odd)} of {len(rows)} lines: expected the same number in all")
        more = f", and so are {len(odd) - 1} more" if len(odd) > 1 else ""
        repairs.append(f"{file}: {found}; it is left out{more}")
    return [(number, row) for number, row in rows if len(row) == width]


def _headings(file: str, rows: _Rows, layout: Layout, repairs: list[str]) -> tuple[list[str], _Rows]:
    """Column names as they stand, with units in brackets where they have a line of their own; and the other lines."""
    first = rows[0][1]
    values = [parse.number(cell, layout.decimal) is not None or bool(parse.style(cell)) for cell in first]
    if any(values) and all(value or parse.is_missing(cell) for value, cell in zip(values, first, strict=True)):
        called = f"the columns are called column_1 to column_{len(first)}"
        repairs.append(f"{file}: line {rows[0][0]} holds numbers, not names: {called}")
        return [f"column_{i}" for i in range(1, len(first) + 1)], rows
    rest = rows[1:]
    if len(rest) > 1 and _are_units(rest[0][1], rest[1][1], layout.decimal):
        number, units = rest[0]
        repairs.append(f"{file}: line {number} holds units, not values: {', '.join(filter(None, units))[:80]}")
        first = [
            f"{name} [{unit.strip('[]()')}]" if unit.strip("[]()-") else name
            for name, unit in zip(first, units, strict=True)
        ]
        rest = rest[1:]
    return first, rest


def _are_units(row: Sequence[str], below: Sequence[str], decimal: str) -> bool:
    """Whether a line under the header holds no number at all, over a line that does."""

    def numbers(cells_of: Sequence[str]) -> int:
        return sum(parse.number(cell, decimal) is not None or bool(parse.style(cell)) for cell in cells_of)

    return numbers(row) == 0 and any(not parse.is_missing(cell) for cell in row) and numbers(below) > 1


def _sheet(file: str, headings: list[str], rows: _Rows, decimal: str, repairs: list[str]) -> Sheet:
    if len(headings) > MOST_COLUMNS:
        raise TableError(f"expected at most {MOST_COLUMNS} columns, found {len(headings)}")
    if not rows:
        raise TableError("a header and no values: expected a line of numbers for each time")
    names, units = distinct(headings, file, repairs)
    lines = np.array([number for number, _ in rows])
    if decimal == ",":
        repairs.append(f"{file}: numbers are written with a decimal comma, from line {lines[0]} on; read as such")
    own: list[str] = []
    columns = {}
    for place, name in enumerate(names):
        columns[name] = parse.column([row[place] for _, row in rows], decimal, _places(lines, name), own)
    repairs += [f"{file}: {sentence}" for sentence in own]
    nameless = [n for n, h in zip(names, headings, strict=True) if not h.strip() and _is_nothing(columns[n])]
    return Sheet(file, {k: v for k, v in columns.items() if k not in nameless}, lines, units, "line")


def _places(lines: np.ndarray, name: str) -> parse.Place:
    return lambda row: f"line {lines[row]}, column {name}"


def _is_nothing(values: np.ndarray) -> bool:
    """Whether a column without a name is empty, or only counts its rows, as spreadsheets and data frames write it."""
    if values.dtype.kind == "f" and len(values) > 1:
        return bool(np.isnan(values).all() or ((np.diff(values) == 1).all() and values[0] in (0, 1)))
    return values.dtype.kind == "O" and not (values != "").any()
