"""A data set that takes its time and says how far it is, for the tests of the Data page."""

import time
from collections.abc import Callable

import xarray as xr

from tests.fakes import decay
from tests.fakes.decay import model, report  # noqa: F401  the other parts of an experiment
from workbench.experiments import protocol
from workbench.experiments.protocol import setting

name = "slow"
title = "Slow"
summary = "A record that is counted to."


class Config(protocol.Config):
    count: int = setting(400, "What is counted to.")


RECORDS = {"To 400": {}, "To 4": {"count": 4}, "Not counted": {"count": 0}}


def at_once(config: Config) -> bool:
    return config.count == 0


def prepare(config: Config, tell: Callable[..., None]) -> None:
    if config.count < 0:
        raise ValueError("there is nothing to count")
    for i in range(config.count):
        tell(share=i / config.count, words="counting")
        time.sleep(0.02)


def data(config: Config) -> xr.Dataset:
    return decay.data(decay.Config())
