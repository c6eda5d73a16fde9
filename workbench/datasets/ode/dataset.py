"""Dataset of a simulated trajectory."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from workbench.datasets.schema import check


def simulated(
    time: np.ndarray,
    variables: Sequence[str],
    arrays: Mapping[str, tuple[np.ndarray, str]],
    attributes: Mapping[str, Any],
    *,
    unit: str = "1",
    time_unit: str = "1",
    label: str = "variable",
) -> xr.Dataset:
    """A record of `arrays`, name -> (values (time, variable), long name), with their units.

    unit, time_unit: units of all arrays and of time ("1": dimensionless). label: long name of the variables.
    """
    over = ("time", "variable")
    return check(
        xr.Dataset(
            {name: (over, values, {"units": unit, "long_name": text}) for name, (values, text) in arrays.items()},
            coords={
                "time": ("time", time, {"units": time_unit, "long_name": "time"}),
                "variable": ("variable", list(variables), {"long_name": label}),
            },
            attrs=attributes,
        )
    )
