"""A researcher's own files as a record: CSV, Parquet, HDF5 and NetCDF.

    files -> sheets (what stands there) -> roles (time, trajectory, variables) -> pieces (times put right) -> record

What is wrong is either put right and said in a sentence (`record.attrs["repairs"]`, one per line), or refused with
`TableError`, whose message names the row and the column. Nothing in a file is ever run, and nothing in it is taken for
a path.
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
