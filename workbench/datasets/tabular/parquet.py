"""Parquet files, by fastparquet."""

import io

import numpy as np

from workbench.datasets.tabular.convert import column, words
from workbench.datasets.tabular.sheet import CELLS, MOST_COLUMNS, Sheet, TableError, distinct


def read(file: str, content: bytes, repairs: list[str]) -> list[Sheet]:
    """The one sheet of a Parquet file. Raises Refused for a broken file, too many values, values of no use."""
    import fastparquet  # slow to import, and only those who have such files need it

    try:
        opened = fastparquet.ParquetFile(io.BytesIO(content))
        rows, columns = int(opened.count()), [str(name) for name in opened.columns]
    except Exception as error:  # what is broken breaks the reader in any way
        raise TableError(f"{file} cannot be read as Parquet: {words(error)}") from None
    # a packed file may promise more than any memory holds
    if len(columns) > MOST_COLUMNS or rows * len(columns) > CELLS:
        expected = f"expected at most {MOST_COLUMNS} columns and {CELLS:,} values"
        raise TableError(f"{file}: {expected}, found {len(columns)} columns of {rows:,} rows")
    if rows == 0 or not columns:
        raise TableError(f"{file} has {len(columns)} columns and {rows} rows: expected a row for each time")
    try:
        frame = opened.to_pandas(columns=columns, index=False)
    except Exception as error:
        raise TableError(f"{file} cannot be read as Parquet: {words(error)}") from None
    names, units = distinct([str(name) for name in frame.columns], file, repairs)
    made = {
        name: column(frame.iloc[:, place].to_numpy(), f"{file}: column {name}", repairs)
        for place, name in enumerate(names)
    }
    return [Sheet(file, made, np.arange(1, rows + 1), units)]
