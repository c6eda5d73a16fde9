"""Trainings and data sets computed in background jobs, without Panel: for dashboard, command line and notebooks."""

import dask.base  # noqa: F401  (xarray imports it lazily, and two threads at once get a half-initialised module)
