"""Read Parquet files with fastparquet."""

import io

import numpy as np

from workbench.datasets.tabular.convert import error_text, to_column
from workbench.datasets.tabular.sheet import MAX_COLUMNS, MAX_VALUES, Sheet, TableError, unique_names


def read(file: str, content: bytes, warnings: list[str]) -> list[Sheet]:
    """The single sheet of a Parquet file. Raises TableError for a corrupt or too large file or unsupported types."""
    import fastparquet  # imported here because it is slow and rarely needed

    try:
        parquet = fastparquet.ParquetFile(io.BytesIO(content))
        rows, columns = int(parquet.count()), [str(name) for name in parquet.columns]
    except Exception as error:  # a corrupt file can raise any exception
        raise TableError(f"{file} cannot be read as Parquet: {error_text(error)}") from None
    # checked before decompression, which may need more memory than there is
    if len(columns) > MAX_COLUMNS or rows * len(columns) > MAX_VALUES:
        expected = f"expected at most {MAX_COLUMNS} columns and {MAX_VALUES:,} values"
        raise TableError(f"{file}: {expected}, found {len(columns)} columns of {rows:,} rows")
    if rows == 0 or not columns:
        raise TableError(f"{file} has {len(columns)} columns and {rows} rows: expected one row per time")
    try:
        frame = parquet.to_pandas(columns=columns, index=False)
    except Exception as error:
        raise TableError(f"{file} cannot be read as Parquet: {error_text(error)}") from None
    names, units = unique_names([str(name) for name in frame.columns], file, warnings)
    values = {
        name: to_column(frame.iloc[:, i].to_numpy(), f"{file}: column {name}", warnings) for i, name in enumerate(names)
    }
    return [Sheet(file, values, np.arange(1, rows + 1), units)]
