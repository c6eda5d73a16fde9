"""Fake experiment without torch and solver, for the tests of the dashboard: quick, slow, failing or with NaN.

It has three equations and the true ones; `decay` has one variable and no true equations.
"""

import time
from typing import Any, Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report

name = "rossler"
title = "Rössler"
summary = "Chaotic system with three variables; library of five terms."

CANDIDATES = ("1", "x", "y", "z", "x z")
TRUTH = np.array([[0, 0, 0.2], [0, 1, 0], [-1, 0.2, 0], [-1, 0, -5.7], [0, 0, 1.0]])


class Config(protocol.Config):
    mode: Literal["quick", "slow"] = setting("quick", "Training mode.")
    noise: float = setting(0.0, "Standard deviation of the noise.", ge=0)
    window: int = setting(50, "Points per window, at most the points of the record.", ge=2)
    points: int = setting(600, "Points of the record.", group="data", ge=10, le=5000)
    step: float = setting(0.05, "Time step.", group="data", unit="s", gt=0)
    method: Literal["qr", "cholesky"] = setting("qr", "Solver method.", group="solver")
    steps: int = setting(8, "Training steps.", group="training", ge=1)
    delay: float = setting(0.0, "Duration of a step.", group="training", unit="s", modes=("slow",), ge=0)
    fail_at: int = setting(0, "Step that fails; 0: none.", group="training", ge=0)
    nan_at: int = setting(0, "Step with a loss of NaN; 0: none.", group="training", ge=0)
    mode_defaults = {"slow": {"steps": 400, "delay": 0.02, "window": 20}}

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        if self.window > self.points:
            raise ValueError(f"window is {self.window}, longer than the record of {self.points} points")
        return self


def derivative(state: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    x, y, z = state
    return np.array([1.0, x, y, z, x * z]) @ coefficients


def simulate(coefficients: np.ndarray, points: int, step: float) -> np.ndarray:
    states = np.full((points, 3), np.nan)
    states[0] = (1.0, 1.0, 0.0)
    for i in range(1, points):
        middle = states[i - 1] + 0.5 * step * derivative(states[i - 1], coefficients)
        states[i] = states[i - 1] + step * derivative(middle, coefficients)
        if not np.isfinite(states[i]).all() or np.abs(states[i]).max() > 1e3:
            states[i] = np.nan
            break
    return states


def data(config: Config) -> xr.Dataset:
    truth = simulate(TRUTH, config.points, config.step)
    noise = np.random.default_rng(config.seed).normal(0, config.noise, truth.shape) if config.noise else 0.0
    time_axis = ("time", config.step * np.arange(config.points), {"units": "s"})
    both = {name: (("time", "variable"), values) for name, values in (("truth", truth), ("data", truth + noise))}
    return xr.Dataset(both, coords={"time": time_axis, "variable": list("xyz")})


class Approach:
    """Coefficients whose error decreases by 40 % per step; small ones are set to zero."""

    monitored_metric = "loss"

    def __init__(self, config: Any, truth: np.ndarray) -> None:
        self.config = config
        self.total_steps = config.steps
        self.count = 0
        self.truth = truth
        self.values = np.random.default_rng(config.seed).normal(0, 2, truth.shape)

    @property
    def done(self) -> bool:
        return self.count >= self.total_steps

    def step(self) -> dict[str, float]:
        time.sleep(self.config.delay)
        self.count += 1
        if self.count == self.config.fail_at:
            raise FloatingPointError("the step length became negative")
        self.values = self.truth + 0.6 * (self.values - self.truth)
        if self.count > 5:
            self.values = np.where(np.abs(self.values) < 0.1, 0.0, self.values)
        loss = float(np.mean((self.values - self.truth) ** 2)) + 1e-6
        return {"loss": np.nan if self.count == self.config.nan_at else loss, "rmse": loss**0.5}

    def coefficients(self) -> np.ndarray:
        return self.values.copy()

    def state(self) -> dict[str, np.ndarray]:
        return {"values": self.values.copy(), "count": np.array(self.count)}

    def restore(self, state: Any) -> None:
        self.values, self.count = np.array(state["values"]), int(state["count"])


def model(config: Config, data: xr.Dataset) -> Approach:
    return Approach(config, TRUTH)


def equations(values: np.ndarray, candidates: tuple[str, ...], variables: str) -> tuple[Equation, ...]:
    result = []
    for j, name in enumerate(variables):
        terms = [(float(c), text, text) for c, text in zip(values[:, j], candidates, strict=True) if c]
        result.append(Equation(rf"\dot {name}", f"{name}'", tuple(terms)))
    return tuple(result)


def report(model: Approach, data: xr.Dataset) -> Report:
    config = model.config
    both = {name: (("candidate", "variable"), v) for name, v in (("estimate", model.values), ("truth", TRUTH))}
    selected, true = model.values != 0, TRUTH != 0
    metrics = {
        "rmse": float(np.sqrt(np.mean((model.values - TRUTH)[true] ** 2))),
        "precision": float((selected & true).sum() / max(1, selected.sum())),
        "recall": float((selected & true).sum() / true.sum()),
    }
    estimate = simulate(model.values, config.points, config.step)
    return Report(
        equations=equations(model.values, CANDIDATES, "xyz"),
        true_equations=equations(TRUTH, CANDIDATES, "xyz"),
        coefficients=xr.Dataset(both, coords={"candidate": list(CANDIDATES), "variable": list("xyz")}),
        trajectory=data.assign(estimate=(("time", "variable"), estimate)),
        metrics=metrics,
    )
