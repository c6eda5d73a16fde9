"""Scaling studies: time and peak memory of a solve, forward and backward, against the number of grid points or systems.

    from workbench.scaling import Budget, Case, grid, measure, variants
    cases = [Case(T=2, B=8, backend=name, method=method) for name, method in variants()]
    for point in measure(cases, axis="T", sizes=grid(10, 20), budget=Budget(seconds=2)):
        print(point.case.label, point.case.T, point.status, point.seconds, point.memory)

Every point is measured in a fresh process under a time and a memory budget. A case that exceeds it gives a Point with
that `status` and does not affect the calling process. `slope` fits a power law, `limit` predicts the largest size
within the budgets, `save` and `load` store a study as NetCDF, `write_csv` and `read_csv` as text.
"""

from workbench._deprecated import moved_names
from workbench.jobs.budget import Budget, JobStatus
from workbench.scaling.case import Case, Point, machine, variants
from workbench.scaling.fit import Limit, Slope, by_variant, limit, slope
from workbench.scaling.measuring import Host, grid, measure
from workbench.scaling.study import from_dataset, load, read_csv, save, to_dataset, write_csv

__all__ = [
    "Budget",
    "Case",
    "Host",
    "JobStatus",
    "Limit",
    "Point",
    "Slope",
    "by_variant",
    "from_dataset",
    "grid",
    "limit",
    "load",
    "machine",
    "measure",
    "read_csv",
    "save",
    "slope",
    "to_dataset",
    "variants",
    "write_csv",
]

__getattr__ = moved_names(__name__, {"Status": "jobs.budget:JobStatus"})
