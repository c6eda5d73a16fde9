"""Read HDF5 files, one sheet per group with columns; links to other files are refused."""

import io
from collections.abc import Iterator

import h5py
import numpy as np

from workbench.datasets.tabular.convert import Part, error_text, to_columns
from workbench.datasets.tabular.sheet import MAX_COLUMNS, MAX_EXPANDED, MAX_VALUES, Sheet, TableError

MAX_OBJECTS = 1000
"""Groups and datasets of a file."""
MAX_DEPTH = 8
"""Levels of nested groups."""


def open_checked(file: str, content: bytes) -> h5py.File:
    """Open a file after checking all of its contents.

    Raises TableError for a corrupt file, links to other files, datasets stored in other files (external or virtual),
    and more values than `MAX_VALUES`.
    """
    try:
        opened = h5py.File(io.BytesIO(content), "r")
        _check_contents(file, opened)
    except TableError:
        raise
    except Exception as error:  # a corrupt file can raise any exception
        raise TableError(f"{file} cannot be read as HDF5, it may be truncated: {error_text(error)}") from None
    return opened


def is_netcdf(opened: h5py.File) -> bool:
    """Whether the file follows NetCDF-4: it has the attribute `_NCProperties`, or a dataset has named dimensions."""
    return "_NCProperties" in opened.attrs or any("DIMENSION_LIST" in dataset.attrs for dataset in _datasets(opened))


def read(file: str, opened: h5py.File, warnings: list[str]) -> list[Sheet]:
    """One sheet per group with columns. Raises TableError naming the dataset."""
    sheets: list[Sheet] = []
    for group in (opened, *_groups(opened)):
        columns, units = _columns(file, group, warnings)
        if columns:
            rows = np.arange(1, len(next(iter(columns.values()))) + 1)
            sheets.append(Sheet(file, columns, rows, units, label=group.name.strip("/")))
    if not sheets:
        raise TableError(f"{file} has no dataset of one or two dimensions: expected time and variables")
    if len(sheets) > 1 and not sheets[0].label:
        sheets = _with_root_columns(sheets)
    return sheets


def _check_contents(file: str, opened: h5py.File) -> None:
    """Raise TableError for links to other files and for contents beyond the limits."""
    count = values = 0
    stack: list[tuple[h5py.Group, int]] = [(opened, 0)]
    while stack:
        group, depth = stack.pop()
        for name in group:
            link, path = group.get(name, getlink=True), f"{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise TableError(f"{file}: {path} is a link to another file: expected the values in this file")
            if isinstance(link, h5py.SoftLink):
                continue
            item, count = group[name], count + 1
            if isinstance(item, h5py.Group):
                stack.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise TableError(f"{file}: {path} is stored in another file: expected the values in this file")
                values += item.size or 0
            if count > MAX_OBJECTS or depth > MAX_DEPTH or values > MAX_VALUES:
                limits = f"{MAX_OBJECTS} datasets, {MAX_DEPTH} levels of groups and {MAX_VALUES:,} values"
                raise TableError(f"{file}: expected at most {limits}; exceeded at {path}")


def _groups(group: h5py.Group) -> Iterator[h5py.Group]:
    """All groups below a group."""
    for item in _members(group):
        if isinstance(item, h5py.Group):
            yield item
            yield from _groups(item)


def _datasets(opened: h5py.File) -> Iterator[h5py.Dataset]:
    """All datasets of a file."""
    for group in (opened, *_groups(opened)):
        yield from (item for item in _members(group) if isinstance(item, h5py.Dataset))


def _members(group: h5py.Group) -> Iterator[h5py.Group | h5py.Dataset]:
    """Groups and datasets of a group, without soft and external links."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield group[name]


def _columns(file: str, group: h5py.Group, warnings: list[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The columns of a group, of equal length, and their units."""
    parts: list[Part] = []
    for dataset in (item for item in _members(group) if isinstance(item, h5py.Dataset)):
        parts += _parts(file, dataset)
    if not parts:
        return {}, {}
    lengths = [len(values) for _, values, _ in parts]
    length = max(set(lengths), key=lengths.count)
    for _, values, where in parts:
        if len(values) != length:
            raise TableError(
                f"{file}: {where} has {len(values)} values, the others have {length}: expected equal lengths"
            )
    return to_columns(parts, file, warnings)


def _parts(file: str, dataset: h5py.Dataset) -> list[Part]:
    """The columns of a dataset: itself, its fields, or those of a matrix."""
    name, where = dataset.name.rsplit("/", 1)[-1], f"dataset {dataset.name}"
    if dataset.ndim == 0 or dataset.shape is None:
        return []
    if dataset.ndim > 2:
        raise TableError(f"{file}: {where} has shape {dataset.shape}: expected one value or one row per time")
    if h5py.check_ref_dtype(dataset.dtype) or (
        dataset.dtype.kind == "O" and not h5py.check_string_dtype(dataset.dtype)
    ):
        raise TableError(f"{file}: {where} has elements of type {dataset.dtype}: expected numbers, or dates as text")
    unit = _text(dataset.attrs.get("units", ""))
    heading = f"{name} [{unit}]" if unit else name
    values = dataset[()]
    if values.dtype.names:
        return [(field, values[field].ravel(), f"{where}, field {field}") for field in values.dtype.names]
    if values.ndim == 1:
        return [(heading, values, where)]
    values = values.T if values.shape[0] < values.shape[1] else values
    if values.shape[1] > min(MAX_EXPANDED, MAX_COLUMNS):
        raise TableError(f"{file}: {where} has shape {dataset.shape}: expected at most {MAX_EXPANDED} columns")
    labels = [_text(label) for label in np.ravel(dataset.attrs.get("columns", []))]
    if len(labels) != values.shape[1]:
        labels = [name] if values.shape[1] == 1 else [f"{name}_{i}" for i in range(1, values.shape[1] + 1)]
    return [(label, values[:, i], f"{where}, column {i + 1}") for i, label in enumerate(labels)]


def _text(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _with_root_columns(sheets: list[Sheet]) -> list[Sheet]:
    """Add the columns of the root group, such as a common time, to every group if all have as many rows."""
    root, *others = sheets
    if any(len(other.rows) != len(root.rows) for other in others):
        return sheets
    return [
        Sheet(o.file, {**root.columns, **o.columns}, o.rows, {**root.units, **o.units}, label=o.label) for o in others
    ]
