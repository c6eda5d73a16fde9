"""Fake experiment with slow data generation and progress reports, for the tests of the Data page."""

import time
from collections.abc import Callable

import xarray as xr

from tests.fakes import decay
from tests.fakes.decay import model, report  # noqa: F401  (parts of the experiment)
from workbench.experiments import protocol
from workbench.experiments.protocol import setting

name = "slow"
title = "Slow"
summary = "A data set that is slow to generate."


class Config(protocol.Config):
    count: int = setting(400, "Number of progress reports.")


RECORDS = {"To 400": {}, "To 4": {"count": 4}, "Not counted": {"count": 0}}


def is_immediate(config: Config) -> bool:
    return config.count == 0


def prepare(config: Config, report_progress: Callable[..., None]) -> None:
    if config.count < 0:
        raise ValueError("count must not be negative")
    for i in range(config.count):
        report_progress(share=i / config.count, words="counting")
        time.sleep(0.02)


def data(config: Config) -> xr.Dataset:
    return decay.data(decay.Config())
