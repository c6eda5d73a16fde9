"""Two bodies: the law of their motion, or a network that continues it, learned from the first orbits; then rolled out.

Source: the two-body example of "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench.datasets import windows
from workbench.datasets.ode import reference
from workbench.datasets.ode.systems import TwoBody
from workbench.diagnostics import metrics
from workbench.discovery.engine.tangent import Rows
from workbench.experiments import discovery_base
from workbench.experiments.protocol import Model, setting
from workbench.experiments.report import Report
from workbench.experiments.systems import Recovery, config_of, discovery_report, system_of
from workbench.models.ode.window_network import Continuation, WindowNetworkConfig

WINDOW = 50
"""Grid points that the network sees, where none are asked for."""
ORBITS = (1, 5, 10)
"""After so many the error of the roll-out is told."""


class TwoBodyConfig(discovery_base.DiscoveryConfig):
    """The settings of one run on two bodies."""

    mode: Literal["auto", "projection", "smoothing", "network"] = setting(
        "auto",
        "How to learn: auto, projection and smoothing discover the law of the motion and integrate it; network sees a "
        "window and makes an ODE for it and what comes next, again and again, as published.",
    )
    learn: int = setting(
        1200, "Points to learn from, at the beginning; the rest is rolled out and compared.", unit="grid points", ge=50
    )
    hidden: int = setting(
        200, "Units in the hidden layer of the network.", group="training", modes=("network",), ge=1, le=2000
    )
    passes: int = setting(
        10, "Passes over all windows, each moved a little anew.", group="training", modes=("network",), ge=1, le=1000
    )

    @model_validator(mode="after")
    def _leaves_some(self) -> "TwoBodyConfig":
        if self.learn >= self.points:
            raise ValueError(f"learn ({self.learn} grid points) leaves none of the {self.points} points to roll out")
        if self.mode == "network" and self.learn < 2 * (self.window or WINDOW):
            raise ValueError(f"learn ({self.learn} grid points) is too short: expected two windows or more")
        return self


class TwoBodies(Recovery):
    """Predict and roll out."""

    def __init__(self) -> None:
        super().__init__("two_body")
        self.Config = config_of(TwoBody, TwoBodyConfig)

    def data(self, config: Any) -> xr.Dataset:
        """The whole record; the number of points to learn from and the period stand among the attributes."""
        return super().data(config).assign_attrs(learned=config.learn, period=system_of(TwoBody, config).period)

    def model(self, config: Any, data: xr.Dataset) -> Model:
        """A fresh model, which has seen the noisy beginning only."""
        seen = data.isel(time=slice(config.learn))
        if config.mode != "network":
            return super().model(config, seen)
        course = WindowNetworkConfig(config.window or WINDOW, config.hidden, config.passes, config.seed)
        return Continuation(windows.tensor(seen), course, Rows(config.derivatives, 2, config.backend, config.method))

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """What was discovered, and the roll-out from the end of what was seen, beside the truth."""
        learned = int(data.attrs["learned"])
        trajectory = rolled_out(model, data, learned)
        errors = roll_out_errors(trajectory.isel(time=slice(learned, None)), float(data.attrs["period"]))
        if isinstance(model, Continuation):
            return Report(trajectory=trajectory, metrics=errors)
        return discovery_report(model, data, trajectory, errors)


def rolled_out(model: Any, data: xr.Dataset, learned: int) -> xr.Dataset:
    """`truth`, `data`, and after the first `learned` points `estimate`, made from these alone."""
    positions = np.full(data["truth"].shape, np.nan)
    if isinstance(model, Continuation):
        seen = windows.tensor(data)[learned - model.course.window : learned]
        positions[learned:] = model.roll_out(seen, len(positions) - learned).numpy()
    else:
        flow = model.library.right_hand_side(model.coefficients())
        last, times = model.result().states[0][-1], data["time"].values[learned - 1 :]
        limit = 20 * float(np.abs(last).max())
        states = reference.guarded(flow, last, times, limit=limit)
        positions[learned:] = states[1:, : positions.shape[1]]
    about = {"units": data["truth"].attrs["units"], "long_name": "roll-out"}
    return data[["truth", "data"]].assign(estimate=(("time", "variable"), positions, about))


def roll_out_errors(rolled: xr.Dataset, period: float) -> dict[str, float]:
    """The largest distance of a body from where it should be, over the mean distance of the two, up to so many orbits;
    inf where the roll-out went astray. And how long the roll-out stays within a tenth of a deviation of the truth.
    """
    truth, estimate = (rolled[name].values.reshape(-1, 2, 2) for name in ("truth", "estimate"))
    apart = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1).mean()
    off = np.nan_to_num(np.linalg.norm(estimate - truth, axis=2).max(axis=1) / apart, nan=np.inf)
    times = rolled["time"].values - rolled["time"].values[0]
    there = [orbits for orbits in ORBITS if orbits * period <= times[-1]]
    found = {f"rolled_{orbits}": float(off[times <= orbits * period].max()) for orbits in there}
    return found | {"followed": metrics.horizon(rolled, exponent=1.0)}


two_body = TwoBodies()
