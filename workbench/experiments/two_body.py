"""Two-body problem: discovery of the law of motion, or a window network, trained on the first orbits and rolled out.

Source: the two-body example of "Mechanistic Neural Networks for Scientific Machine Learning", ICML 2024.
"""

from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench import diagnostics
from workbench.datasets import windows
from workbench.datasets.ode.systems import TwoBody
from workbench.diagnostics import metrics
from workbench.discovery.engine.tangent import Rows
from workbench.experiments import discovery_base
from workbench.experiments.protocol import Model, setting
from workbench.experiments.report import Report
from workbench.experiments.systems import Recovery, config_of, discovery_report, system_of
from workbench.models.ode.window_network import Continuation, WindowNetworkConfig

WINDOW = 50
"""Default window of the network, in grid points."""
ORBITS = (1, 5, 10)
"""Numbers of orbits for the errors of the roll-out."""


class TwoBodyConfig(discovery_base.DiscoveryConfig):
    """Settings of one run on two bodies."""

    mode: Literal["auto", "projection", "smoothing", "network"] = setting(
        "auto",
        "Training mode: auto, projection and smoothing discover and integrate the law of motion; network predicts an "
        "ODE from a window, whose solution is the next window, as published.",
    )
    learn: int = setting(
        1200, "Training points at the start; the rest is compared with the roll-out.", unit="grid points", ge=50
    )
    hidden: int = setting(200, "Hidden units of the network.", group="training", modes=("network",), ge=1, le=2000)
    passes: int = setting(
        10,
        "Epochs over all windows, each with new random shifts.",
        group="training",
        modes=("network",),
        ge=1,
        le=1000,
    )

    @model_validator(mode="after")
    def _check_learn(self) -> "TwoBodyConfig":
        if self.learn >= self.points:
            raise ValueError(f"learn ({self.learn} grid points) leaves none of the {self.points} points to roll out")
        if self.mode == "network" and self.learn < 2 * (self.window or WINDOW):
            raise ValueError(f"learn ({self.learn} grid points) is too short: expected at least two windows")
        return self


class TwoBodies(Recovery):
    """The two-body experiment: training on the first orbits, roll-out over the rest."""

    def __init__(self) -> None:
        super().__init__("two_body")
        self.Config = config_of(TwoBody, TwoBodyConfig)

    def data(self, config: Any) -> xr.Dataset:
        """Simulated data, with the attributes `learned` (training points) and `period`."""
        return super().data(config).assign_attrs(learned=config.learn, period=system_of(TwoBody, config).period)

    def model(self, config: Any, data: xr.Dataset) -> Model:
        """An untrained model of the noisy training points."""
        training = data.isel(time=slice(config.learn))
        if config.mode != "network":
            return super().model(config, training)
        network = WindowNetworkConfig(config.window or WINDOW, config.hidden, config.passes, config.seed)
        rows = Rows(config.derivatives, 2, config.backend, config.method)
        return Continuation(windows.tensor(training), network, rows)

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """Discovered equations, if any, and the roll-out from the last training point with its errors."""
        learned = int(data.attrs["learned"])
        trajectory = roll_out(model, data, learned)
        errors = roll_out_errors(trajectory.isel(time=slice(learned, None)), float(data.attrs["period"]))
        if isinstance(model, Continuation):
            return Report(trajectory=trajectory, metrics=errors)
        return discovery_report(model, data, trajectory, errors)


def roll_out(model: Any, data: xr.Dataset, learned: int) -> xr.Dataset:
    """`truth`, `data` and, after the first `learned` points, `estimate`, predicted from these points only."""
    positions = np.full(data["truth"].shape, np.nan)
    if isinstance(model, Continuation):
        start = windows.tensor(data)[learned - model.config.window : learned]
        positions[learned:] = model.roll_out(start, len(positions) - learned).numpy()
    else:
        vector_field = model.library.right_hand_side(model.coefficients())
        last, times = model.result().states[0][-1], data["time"].values[learned - 1 :]
        limit = 20 * float(np.abs(last).max())
        states = diagnostics.simulate_bounded(vector_field, last, times, limit=limit)
        positions[learned:] = states[1:, : positions.shape[1]]
    attributes = {"units": data["truth"].attrs["units"], "long_name": "roll-out"}
    return data[["truth", "data"]].assign(estimate=(("time", "variable"), positions, attributes))


def roll_out_errors(trajectory: xr.Dataset, period: float) -> dict[str, float]:
    """Errors of a roll-out after each number of ORBITS, and its horizon.

    rolled_n: largest position error of a body within n orbits, over the mean distance of the bodies; inf after
    divergence. followed: time until the error exceeds a tenth of a standard deviation.
    """
    truth, estimate = (trajectory[name].values.reshape(-1, 2, 2) for name in ("truth", "estimate"))
    distance = np.linalg.norm(truth[:, 1] - truth[:, 0], axis=1).mean()
    error = np.nan_to_num(np.linalg.norm(estimate - truth, axis=2).max(axis=1) / distance, nan=np.inf)
    times = trajectory["time"].values - trajectory["time"].values[0]
    reached = [orbits for orbits in ORBITS if orbits * period <= times[-1]]
    errors = {f"rolled_{orbits}": float(error[times <= orbits * period].max()) for orbits in reached}
    return errors | {"followed": metrics.horizon(trajectory, exponent=1.0)}


two_body = TwoBodies()
