"""The dashboard: jobs that belong to the server, sessions without widgets, pages without arithmetic."""

import dask.base  # noqa: F401  (xarray imports it in whatever thread comes first; two at once get half of it each)
