"""Fake experiment for the tests of training and run files: a random walk of any length and size, or failing."""

import numpy as np
import xarray as xr

from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report

name = "fake"
title = "Fake"
summary = "Random walk."


class Config(protocol.Config):
    length: int = setting(10, "Number of steps.", ge=1)
    size: int = setting(3, "Size of the state.", ge=1)
    fail_at: int = setting(0, "Step that fails; 0: none.", ge=0)
    nan_at: int = setting(0, "Step with a distance of NaN; 0: none.", ge=0)
    give_up_at: int = setting(0, "First step of a new stage; 0: none.", ge=0)


class Walk:
    """Random walk; the monitored `distance` from zero is reported in every second step."""

    monitored_metric = "distance"

    def __init__(self, config: Config) -> None:
        self.config = config
        self.total_steps = config.length
        self.count = 0
        self.stage = 0
        self.random = np.random.default_rng(config.seed)
        self.numbers = np.ones(config.size)

    @property
    def done(self) -> bool:
        return self.count >= self.total_steps

    def step(self) -> dict[str, float]:
        self.count += 1
        self.numbers = self.numbers + self.random.normal(size=self.numbers.shape)
        if self.count == self.config.fail_at:
            self.numbers[:] = np.nan
            raise MemoryError("no memory for a matrix of 8 GB")
        self.stage += self.count == self.config.give_up_at
        distance = float(np.linalg.norm(self.numbers))
        if self.count == self.config.nan_at:
            self.numbers[:] = distance = np.nan
        return {"loss": 1.0 / self.count, **({"distance": distance} if self.count % 2 else {})}

    def coefficients(self) -> np.ndarray:
        return self.numbers[:3].reshape(-1, 1).copy()

    def state(self) -> dict[str, np.ndarray]:
        generator = self.random.bit_generator.state["state"]
        halves = [generator[key] >> shift & (2**64 - 1) for key in ("state", "inc") for shift in (64, 0)]
        counts = np.array([self.count, self.stage])
        return {"numbers": self.numbers.copy(), "counts": counts, "random": np.array(halves, dtype=np.uint64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.numbers = np.array(state["numbers"])
        self.count, self.stage = (int(value) for value in state["counts"])
        a, b, c, d = (int(value) for value in state["random"])
        generator = self.random.bit_generator
        generator.state = {**generator.state, "state": {"state": a << 64 | b, "inc": c << 64 | d}}


def data(config: Config) -> xr.Dataset:
    return xr.Dataset({"data": (("time", "variable"), np.zeros((4, 1)))})


def model(config: Config, data: xr.Dataset) -> Walk:
    return Walk(config)


def report(model: Walk, data: xr.Dataset) -> Report:
    values = model.coefficients()
    terms = tuple((float(value), str(i), str(i)) for i, value in enumerate(values[:, 0]))
    coefficients = xr.Dataset({"estimate": (("candidate", "variable"), values)})
    return Report(
        (Equation("w", "w", terms),), coefficients=coefficients, metrics={"rmse": float(np.abs(values).max())}
    )
