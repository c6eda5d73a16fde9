"""Read tabular files (CSV, Parquet, HDF5, NetCDF) as records.

    files -> sheets (columns as stored) -> columns (time, trajectory, variables) -> sorted trajectories -> record

Problems that can be corrected are corrected and listed in `record.attrs["repairs"]`, one warning per line; others raise
`TableError` naming the row and the column. No content of a file is executed or used as a path.
"""

from workbench._deprecated import moved_names
from workbench.datasets.tabular.cache import keep, kept
from workbench.datasets.tabular.read import LIMIT, Source, read
from workbench.datasets.tabular.sheet import TableError

__all__ = ["LIMIT", "Source", "TableError", "keep", "kept", "read"]

__getattr__ = moved_names(
    __name__,
    {
        "Refused": "datasets.tabular.sheet:TableError",
    },
)
