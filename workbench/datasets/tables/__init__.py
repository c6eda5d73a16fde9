"""A researcher's own files as a record: CSV, Parquet, HDF5 and NetCDF.

    files -> sheets (what stands there) -> roles (time, trajectory, variables) -> pieces (times put right) -> record

What is wrong is either put right and said in a sentence (`record.attrs["repairs"]`, one per line), or refused with
`Refused`, whose message names the row and the column. Nothing in a file is ever run, and nothing in it is taken for a
path.
"""

from workbench.datasets.tables.keeping import keep, kept
from workbench.datasets.tables.reading import LIMIT, Source, read
from workbench.datasets.tables.sheet import Refused

__all__ = ["LIMIT", "Refused", "Source", "keep", "kept", "read"]
