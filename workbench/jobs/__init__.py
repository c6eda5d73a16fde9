"""Jobs: trainings and data sets computed in the background, independent of any page.

Nothing here imports Panel: a command line or a notebook can use it as the dashboard does.
"""

import dask.base  # noqa: F401  (xarray imports it in the first thread that needs it; two at once get half of it each)
