"""Read delimited text files; encoding, delimiter, decimal sign and header are detected."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.datasets.tabular import parse
from workbench.datasets.tabular.sheet import MAX_COLUMNS, Sheet, TableError, more, unique_names

SAMPLE_LINES = 200
"""Lines from which delimiter and decimal sign are detected."""
DELIMITERS = ("\t", ";", ",", "|", " ")
MAX_RAGGED = 0.05
"""Fraction of lines that may have another number of fields and are then dropped."""
_COMMENT = re.compile(r"\s*(?:#|%|//)")
_BINARY = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_Rows = list[tuple[int, list[str]]]
"""Line number and fields of each row."""


@dataclass(frozen=True)
class Dialect:
    """Field delimiter and decimal sign."""

    delimiter: str
    decimal: str


def read(file: str, content: bytes, warnings: list[str]) -> Sheet:
    """The sheet of a text file. Raises TableError naming the line and, where applicable, the column."""
    text = _decode(file, content, warnings)
    lines = [(i, line) for i, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1) if line.strip()]
    table = [(i, line) for i, line in lines if not _COMMENT.match(line)]
    # numpy.savetxt writes the header as a comment
    if table and len(table) < len(lines):
        last = max((i for i, _ in lines if i < table[0][0]), default=0)
        comment = next((line for i, line in lines if i == last), "")
        table = _with_commented_header(last, comment, table)
    if not table:
        raise TableError(f"{file} is empty: expected a header line and one line of numbers per time")
    dialect = _detect_dialect(file, [line for _, line in table[:SAMPLE_LINES]])
    rows = _drop_ragged(file, _split(file, table, dialect.delimiter), dialect, warnings)
    headings, rows = _headings(file, rows, dialect, warnings)
    try:
        return _sheet(file, headings, rows, dialect.decimal, warnings)
    except TableError as error:
        raise TableError(f"{file}: {error}") from None


def _decode(file: str, content: bytes, warnings: list[str]) -> str:
    """Decode by byte order mark, as UTF-8, or else as Windows-1252. Raises TableError for binary content."""
    for mark, name in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            try:
                return content.decode(name)
            except UnicodeDecodeError as error:
                raise TableError(
                    f"{file}: byte {error.start} is not valid {name}, the encoding of its byte order mark"
                ) from None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        text = content.decode("cp1252", errors="replace")
        before = re.search(rb"[^\s,;|\t]*$", content[: error.start])[0].decode("cp1252", errors="replace")
        word = re.match(r"[^\s,;|\t]*", text[error.start - len(before) :])[0]
        if not _BINARY.search(text):
            warnings.append(f"{file}: line {line} is not valid UTF-8; decoded as Windows-1252 ({word!r})")
    if match := _BINARY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        byte = f"byte {ord(match[0]):#04x} in line {line}"
        raise TableError(f"{file} is not a text file ({byte}): expected CSV, Parquet, HDF5 or NetCDF")
    return text


def _with_commented_header(number: int, comment: str, lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines with `comment` as their header if it holds as many names as there are columns: `# t x y`."""
    text = _COMMENT.sub("", comment, count=1).strip()
    for delimiter in DELIMITERS:
        names, numbers = _fields(text, delimiter), _fields(lines[0][1], delimiter)
        if len(names) == len(numbers) > 1 and not any(parse.number(name, ".") is not None for name in names):
            return [(number, text), *lines]
    return lines


def _detect_dialect(file: str, lines: Sequence[str]) -> Dialect:
    """The delimiter and decimal sign with which most cells are numbers. Raises TableError for a single column."""
    best, dialect = 0.0, None
    for delimiter in DELIMITERS:
        split = [_fields(line, delimiter) for line in lines]
        width, count = Counter(map(len, split[1:] or split)).most_common(1)[0]
        if width < 2:
            continue
        cells = [cell for row in split[1:] for cell in row if len(row) == width]
        for decimal in (".", ","):
            numeric = sum(_score(cell, decimal) for cell in cells) / max(len(cells), 1)
            score = (0.01 + numeric) * count / len(split)
            if score > best + 1e-9:
                best, dialect = score, Dialect(delimiter, decimal)
    if dialect is None:
        raise TableError(
            f"{file} has one column, {lines[0].strip()[:40]!r}: expected a time column and at least one variable, "
            f"separated by commas, semicolons, tabs, bars or spaces"
        )
    return dialect


def _score(cell: str, decimal: str) -> float:
    """Score of a cell under a decimal sign, from 0 to 1 (a number or a date)."""
    if parse.is_missing(cell):
        return 0.5
    if parse.number(cell, decimal) is not None or parse.date_format(cell):
        return 1.0
    return 0.5 if parse.grouped_number(cell, decimal) is not None else 0.0


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of a single line."""
    if delimiter == " ":
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    except csv.Error:  # raised again with its line number by _split
        return [line]


def _split(file: str, lines: list[tuple[int, str]], delimiter: str) -> _Rows:
    """All lines as fields. Raises TableError for an invalid line."""
    if delimiter == " ":
        return [(number, line.split()) for number, line in lines]
    numbers = [number for number, _ in lines]
    reader = csv.reader((f"{line}\n" for _, line in lines), delimiter=delimiter, skipinitialspace=True)
    rows, position = [], 0
    try:
        for row in reader:
            rows.append((numbers[position], [cell.strip() for cell in row]))
            position = reader.line_num
    except csv.Error as error:
        raise TableError(f"{file}: line {numbers[position]} cannot be split into fields: {error}") from None
    return rows


def _drop_ragged(file: str, rows: _Rows, dialect: Dialect, warnings: list[str]) -> _Rows:
    """The rows with the most frequent number of fields. Raises TableError if many rows have another number."""
    width = Counter(len(row) for _, row in rows[1:] or rows).most_common(1)[0][0]
    if all(len(row) == width for _, row in rows):
        return rows
    if len(rows[0][1]) == width - 1 and dialect.delimiter != " " and all(row[-1] == "" for _, row in rows[1:]):
        # a trailing delimiter on every line but the header
        rows = [rows[0], *((number, row[:-1]) for number, row in rows[1:])]
        width -= 1
    ragged = [(number, len(row)) for number, row in rows if len(row) != width]
    if not ragged:
        return rows
    # title lines above the header
    while rows and len(rows[0][1]) != width and len(rows[0][1]) == 1:
        number, row = rows[0]
        warnings.append(f"{file}: line {number}, {row[0][:40]!r}, is not a table row; dropped")
        rows, ragged = rows[1:], ragged[1:]
    if ragged:
        number, count = ragged[0]
        problem = f"line {number} has {count} field{'s' if count != 1 else ''}, most lines have {width}"
        if len(ragged) > max(MAX_RAGGED * len(rows), 1) or number == rows[0][0]:
            affected = f"{len(ragged)} of {len(rows)} lines differ"
            raise TableError(f"{file}: {problem} ({affected}): expected the same number of fields in every line")
        warnings.append(f"{file}: {problem}; dropped{more(len(ragged) - 1)}")
    return [(number, row) for number, row in rows if len(row) == width]


def _headings(file: str, rows: _Rows, dialect: Dialect, warnings: list[str]) -> tuple[list[str], _Rows]:
    """Column headings, with the units of a separate units line in brackets; and the remaining rows."""
    first = rows[0][1]
    values = [_is_value(cell, dialect.decimal) for cell in first]
    if any(values) and all(value or parse.is_missing(cell) for value, cell in zip(values, first, strict=True)):
        names = f"column_1 to column_{len(first)}"
        warnings.append(f"{file}: line {rows[0][0]} has numbers instead of names; columns are named {names}")
        return [f"column_{i}" for i in range(1, len(first) + 1)], rows
    rest = rows[1:]
    if len(rest) > 1 and _are_units(rest[0][1], rest[1][1], dialect.decimal):
        number, units = rest[0]
        warnings.append(f"{file}: line {number} is read as units: {', '.join(filter(None, units))[:80]}")
        first = [
            f"{name} [{unit.strip('[]()')}]" if unit.strip("[]()-") else name
            for name, unit in zip(first, units, strict=True)
        ]
        rest = rest[1:]
    return first, rest


def _are_units(row: Sequence[str], below: Sequence[str], decimal: str) -> bool:
    """Whether a row under the header has no values while the row below has."""
    if any(_is_value(cell, decimal) for cell in row) or all(parse.is_missing(cell) for cell in row):
        return False
    return sum(_is_value(cell, decimal) for cell in below) > 1


def _is_value(cell: str, decimal: str) -> bool:
    """Whether a cell is a number or a date."""
    return parse.number(cell, decimal) is not None or bool(parse.date_format(cell))


def _sheet(file: str, headings: list[str], rows: _Rows, decimal: str, warnings: list[str]) -> Sheet:
    if len(headings) > MAX_COLUMNS:
        raise TableError(f"expected at most {MAX_COLUMNS} columns, found {len(headings)}")
    if not rows:
        raise TableError("a header but no values: expected one line of numbers per time")
    names, units = unique_names(headings, file, warnings)
    lines = np.array([number for number, _ in rows])
    if decimal == ",":
        warnings.append(f"{file}: decimal commas are read as decimal points, from line {lines[0]}")
    messages: list[str] = []
    columns = {}
    for i, name in enumerate(names):
        columns[name] = parse.parse_column([row[i] for _, row in rows], decimal, _place(lines, name), messages)
    warnings += [f"{file}: {message}" for message in messages]
    unnamed = [name for name, h in zip(names, headings, strict=True) if not h.strip() and _is_index(columns[name])]
    return Sheet(file, {k: v for k, v in columns.items() if k not in unnamed}, lines, units, "line")


def _place(lines: np.ndarray, name: str) -> parse.Place:
    return lambda row: f"line {lines[row]}, column {name}"


def _is_index(values: np.ndarray) -> bool:
    """Whether an unnamed column is empty or a row index, as spreadsheets and data frames write it."""
    if values.dtype.kind == "f" and len(values) > 1:
        return bool(np.isnan(values).all() or ((np.diff(values) == 1).all() and values[0] in (0, 1)))
    return values.dtype.kind == "O" and not (values != "").any()
