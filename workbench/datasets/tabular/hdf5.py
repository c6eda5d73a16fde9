"""HDF5 files: every group that holds columns is a sheet. Nothing in them leads out of the file."""

import io
from collections.abc import Iterator

import h5py
import numpy as np

from workbench.datasets.tabular.convert import column, words
from workbench.datasets.tabular.sheet import CELLS, MOST_COLUMNS, MOST_EXPANDED, Sheet, TableError, distinct

MOST_OBJECTS = 1000
"""Groups and datasets of a file."""
DEEPEST = 8
"""Groups inside groups."""


def opened(file: str, content: bytes) -> h5py.File:
    """The file, once all that is in it has been looked at.

    Raises Refused for a broken file, for links to other files, for datasets whose values lie in other files (external
    or virtual), and for more values than any table has.
    """
    try:
        found = h5py.File(io.BytesIO(content), "r")
        _inspect(file, found)
    except TableError:
        raise
    except Exception as error:  # what is broken breaks the reader in any way
        raise TableError(f"{file} cannot be read as HDF5, it may be cut off: {words(error)}") from None
    return found


def is_netcdf(found: h5py.File) -> bool:
    """Whether the file follows NetCDF-4: some dataset has named dimensions."""
    return "_NCProperties" in found.attrs or any("DIMENSION_LIST" in dataset.attrs for dataset in _datasets(found))


def read(file: str, found: h5py.File, repairs: list[str]) -> list[Sheet]:
    """A sheet per group with columns. Raises Refused naming the dataset."""
    sheets: list[Sheet] = []
    for group in (found, *_groups(found)):
        columns, units = _columns(file, group, repairs)
        if columns:
            rows = np.arange(1, len(next(iter(columns.values()))) + 1)
            sheets.append(Sheet(file, columns, rows, units, label=group.name.strip("/")))
    if not sheets:
        raise TableError(f"{file} holds no dataset with one or two dimensions: expected a time and variables")
    if len(sheets) > 1 and not sheets[0].label:
        sheets = _inherited(sheets)
    return sheets


def _inspect(file: str, found: h5py.File) -> None:
    count = cells = 0
    waiting: list[tuple[h5py.Group, int]] = [(found, 0)]
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            link, path = group.get(name, getlink=True), f"{group.name.rstrip('/')}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise TableError(f"{file}: {path} is a link to another file; expected the values themselves")
            if isinstance(link, h5py.SoftLink):
                continue
            item, count = group[name], count + 1
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise TableError(f"{file}: the values of {path} lie in another file; expected them in this one")
                cells += item.size or 0
            if count > MOST_OBJECTS or depth > DEEPEST or cells > CELLS:
                limits = f"{MOST_OBJECTS} datasets, {DEEPEST} levels of groups and {CELLS:,} values"
                raise TableError(f"{file}: expected at most {limits}; {path} goes beyond")


def _groups(group: h5py.Group) -> Iterator[h5py.Group]:
    for item in _own(group):
        if isinstance(item, h5py.Group):
            yield item
            yield from _groups(item)


def _datasets(found: h5py.File) -> Iterator[h5py.Dataset]:
    for group in (found, *_groups(found)):
        yield from (item for item in _own(group) if isinstance(item, h5py.Dataset))


def _own(group: h5py.Group) -> Iterator[h5py.Group | h5py.Dataset]:
    """What lies in a group itself, links left out."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink):
            yield group[name]


def _columns(file: str, group: h5py.Group, repairs: list[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The columns of a group, all of one length, and their units."""
    parts: list[tuple[str, np.ndarray, str]] = []
    for dataset in (item for item in _own(group) if isinstance(item, h5py.Dataset)):
        parts += _parts(file, dataset)
    if not parts:
        return {}, {}
    lengths = [len(values) for _, values, _ in parts]
    length = max(set(lengths), key=lengths.count)
    for _, values, where in parts:
        if len(values) != length:
            raise TableError(
                f"{file}: {where} has {len(values)} values, the others have {length}: expected the same of all"
            )
    names, units = distinct([heading for heading, _, _ in parts], file, repairs)
    made = {
        name: column(values, f"{file}: {where}", repairs) for name, (_, values, where) in zip(names, parts, strict=True)
    }
    return made, units


def _parts(file: str, dataset: h5py.Dataset) -> list[tuple[str, np.ndarray, str]]:
    """(heading, values, where) of each column that a dataset holds."""
    name, where = dataset.name.rsplit("/", 1)[-1], f"dataset {dataset.name}"
    if dataset.ndim == 0 or dataset.shape is None:
        return []
    if dataset.ndim > 2:
        raise TableError(
            f"{file}: {where} has the shape {dataset.shape}: expected one value, or one row, for each time"
        )
    if h5py.check_ref_dtype(dataset.dtype) or (
        dataset.dtype.kind == "O" and not h5py.check_string_dtype(dataset.dtype)
    ):
        raise TableError(f"{file}: {where} holds objects ({dataset.dtype}): expected numbers, or texts that are dates")
    unit = _word(dataset.attrs.get("units", ""))
    heading = f"{name} [{unit}]" if unit else name
    values = dataset[()]
    if values.dtype.names:
        return [(field, values[field].ravel(), f"{where}, field {field}") for field in values.dtype.names]
    if values.ndim == 1:
        return [(heading, values, where)]
    values = values.T if values.shape[0] < values.shape[1] else values
    if values.shape[1] > min(MOST_EXPANDED, MOST_COLUMNS):
        expected = f"expected at most {MOST_EXPANDED} columns"
        raise TableError(f"{file}: {where} has the shape {dataset.shape}: {expected}")
    labels = [_word(label) for label in np.ravel(dataset.attrs.get("columns", []))]
    if len(labels) != values.shape[1]:
        labels = [name] if values.shape[1] == 1 else [f"{name}_{i}" for i in range(1, values.shape[1] + 1)]
    return [(label, values[:, i], f"{where}, column {i + 1}") for i, label in enumerate(labels)]


def _word(value: object) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _inherited(sheets: list[Sheet]) -> list[Sheet]:
    """Columns at the root, a time say, belong to every group of as many rows; alone they are no sheet."""
    root, *others = sheets
    if any(len(other.rows) != len(root.rows) for other in others):
        return sheets
    return [
        Sheet(o.file, {**root.columns, **o.columns}, o.rows, {**root.units, **o.units}, label=o.label) for o in others
    ]
