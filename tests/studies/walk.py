"""Fake experiment for the tests of studies: a slow random walk that logs every step to a file."""

import os
import time
from pathlib import Path

import numpy as np
import xarray as xr

from workbench.experiments import protocol
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report

name = "walk"
title = "Walk"
summary = "Random walk."


class Config(protocol.Config):
    length: int = setting(6, "Number of steps.", ge=1)
    drift: float = setting(0.0, "Drift per step.", ge=-10, le=10)
    delay: float = setting(0.0, "Duration of a step.", unit="s", ge=0)
    fail_at: int = setting(0, "Step that fails; 0: none.", ge=0)
    diary: str = setting("", "File to which every step appends a line.")


class Walk:
    monitored_metric = None
    stage = 0

    def __init__(self, config: Config) -> None:
        self.config = config
        self.total_steps = config.length
        self.count = 0
        self.numbers = np.random.default_rng(config.seed).normal(size=3)

    @property
    def done(self) -> bool:
        return self.count >= self.total_steps

    def step(self) -> dict[str, float]:
        begin = time.monotonic()
        time.sleep(self.config.delay)
        self.count += 1
        if self.config.drift == -9:
            os._exit(1)
        if self.count == self.config.fail_at:
            raise ArithmeticError("the ground gave way")
        self.numbers = 3.9 * self.numbers % 1 + self.config.drift  # chaotic: detects a wrong number of steps
        if self.config.diary:
            with Path(self.config.diary).open("a", encoding="utf-8") as diary:
                diary.write(f"{os.getpid()} {self.config.seed} {self.count} {begin} {time.monotonic()}\n")
        return {"loss": float(np.abs(self.numbers).sum())}

    def coefficients(self) -> np.ndarray:
        return self.numbers.reshape(-1, 1).copy()

    def state(self) -> dict[str, np.ndarray]:
        return {"numbers": self.numbers.copy(), "count": np.array(self.count)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.numbers, self.count = np.array(state["numbers"]), int(state["count"])


def data(config: Config) -> xr.Dataset:
    if config.drift == -10:
        raise FileNotFoundError("there are no data so far out")
    return xr.Dataset({"data": (("time", "variable"), np.zeros((4, 1)))})


def model(config: Config, data: xr.Dataset) -> Walk:
    return Walk(config)


def report(model: Walk, data: xr.Dataset) -> Report:
    return Report(metrics={"distance": float(np.linalg.norm(model.numbers)), "loss": float(model.numbers.sum())})
