"""Forecasts of KdV waves by networks that predict one linear ODE per grid point from ten frames.

Sources: the KdV example of "Scalable Mechanistic Neural Networks", ICLR 2025; the data of Brandstetter, Welling and
Worrall, "Lie Point Symmetry Data Augmentation for Neural PDE Solvers", ICML 2022.
"""

import logging
from collections.abc import Callable
from typing import Literal

import numpy as np
import xarray as xr
from pydantic import model_validator

from workbench.datasets import schema, windows
from workbench.datasets.pde import hdf5
from workbench.diagnostics import metrics
from workbench.experiments import protocol
from workbench.experiments.protocol import BACKEND, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.kdv.augmentation import Ranges
from workbench.models.kdv.forecast import Forecast, TrainingPlan, Waves
from workbench.models.kdv.networks import FRAMES

name = "kdv"
title = "KdV: forecast"
summary = "Autoregressive forecasts of waves, ten frames at a time, by one linear ODE per grid point."

logger = logging.getLogger(__name__)
HORIZONS = (20, 40, 100)
"""Lead times of the errors, in frames."""
SPLITS = ("train", "valid", "test")


class KdVConfig(protocol.Config):
    """Settings of one forecast of KdV waves. All quantities are dimensionless."""

    mode: Literal["small", "paper"] = setting(
        "small",
        "Size of the networks: small (0.2 million parameters) trains within minutes on two cores; paper (10.4 million) "
        "needs a GPU and hours.",
    )
    updates: int = setting(
        5000,
        "Steps of Adam; with the paper preset, 1,952 steps are one epoch of 512 trajectories.",
        ge=1,
        le=10_000_000,
    )
    backend: Backend = setting("auto", BACKEND)
    batch: int = setting(16, "Samples per step.", group="training", ge=1, le=1024)
    learning_rate: float = setting(1e-3, "Initial learning rate of Adam.", group="training", gt=0, le=1)
    every: int = setting(100, "Steps between validations.", unit="steps", group="training", ge=1, le=1_000_000)
    patience: int = setting(
        3,
        "Validations without improvement before the learning rate is halved.",
        group="training",
        ge=1,
        le=1000,
    )
    stop: int = setting(15, "Validations without improvement before training stops.", group="training", ge=1, le=10_000)
    shift: float = setting(
        0.0,
        "Augmentation: largest random shift, as a share of the interval. The networks are equivariant to shifts by "
        "whole grid points, so only fractional shifts add information.",
        group="training",
        ge=0,
        le=1,
    )
    boost: float = setting(
        0.0,
        "Augmentation: largest velocity of a random Galilean boost; published: 0.4.",
        group="training",
        ge=0,
        le=5,
    )
    scale: float = setting(
        0.0, "Augmentation: largest relative change of scale; published: 0.1.", group="training", ge=0, lt=1
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32", "Precision of the networks; the solver always computes in float64.", group="training"
    )
    device: Literal["cpu", "cuda"] = setting("cpu", "Device.", group="training")
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    waves: Literal["kdv-easy", "kdv"] = setting(
        "kdv-easy", "Data set: the easy waves of the paper, or the default waves, twice as long.", group="data"
    )
    train: int = setting(128, "Training trajectories, simulated once and cached.", group="data", ge=1, le=100_000)
    valid: int = setting(16, "Validation trajectories.", group="data", ge=1, le=100_000)
    test: int = setting(16, "Test trajectories.", group="data", ge=1, le=100_000)

    mode_defaults = {
        "paper": {
            "updates": 19_520,
            "batch": 32,
            "learning_rate": 1e-4,
            "every": 1952,
            "patience": 2,
            "stop": 50,
            "train": 512,
            "valid": 512,
            "test": 512,
        }
    }

    @model_validator(mode="after")
    def _check_backend(self) -> "KdVConfig":
        if self.device == "cuda" and self.backend == "native":
            raise ValueError("the backend native computes on the cpu: choose another for device cuda")
        return self


Config = KdVConfig


def data(config: KdVConfig) -> xr.Dataset:
    """Fields of all splits: `data` over (trajectory, frame, point), with the coordinate `split`."""
    parts = []
    for split, count in zip(SPLITS, (config.train, config.valid, config.test), strict=True):
        path = hdf5.generate(config.waves, split, count, seed=config.seed, progress=_log(split))
        part = hdf5.read(path, count=count).drop_attrs(deep=False)
        parts.append(part.assign_coords(split=("trajectory", [split] * part.sizes["trajectory"])))
    return xr.concat(parts, "trajectory").assign_attrs(title="Korteweg-de Vries", equation="kdv")


def prepare(config: KdVConfig, report_progress: Callable[..., None]) -> None:
    """Simulate the files that `data` reads, split by split; calls report_progress(share=..., words=...)."""
    counts = (config.train, config.valid, config.test)
    before, total = 0, max(1, sum(counts))
    for split, count in zip(SPLITS, counts, strict=True):

        def on_progress(done: int, size: int, split: str = split, count: int = count, before: int = before) -> None:
            share = (before + count * done / max(1, size)) / total
            report_progress(share=share, words=f"simulating waves ({split})")

        hdf5.generate(config.waves, split, count, seed=config.seed, progress=on_progress)
        before += count


def _log(split: str) -> hdf5.Progress:
    return lambda done, total: logger.info("%s: %d of %d trajectories", split, done, total)


def model(config: KdVConfig, data: xr.Dataset) -> Model:
    """An untrained model of the training and validation split."""
    plan = TrainingPlan(
        preset=config.mode,
        steps=config.updates,
        rate=config.learning_rate,
        ranges=Ranges(config.shift, config.boost, config.scale),
        half=config.precision == "bfloat16",
        **{
            field: getattr(config, field)
            for field in ("batch", "every", "patience", "stop", "device", "backend", "method", "seed")
        },
    )
    train, valid = (Waves(*windows.fields(select_split(data, split))) for split in ("train", "valid"))
    return Forecast(train, valid, plan)


def select_split(data: xr.Dataset, split: str) -> xr.Dataset:
    """The trajectories of one split."""
    return data.isel(trajectory=np.flatnonzero(data.split.values == split))


def report(model: Forecast, data: xr.Dataset) -> Report:
    """Errors of the rolled-out test trajectories and of persistence, the first trajectory as an image, and its ODEs."""
    test = select_split(data, "test")
    u = test.data.values
    ahead = u.shape[1] - FRAMES
    truth, forecast = u[:, FRAMES:], model.predict(u[:, :FRAMES], ahead)
    persistence = np.broadcast_to(u[:, FRAMES - 1 : FRAMES], truth.shape)
    errors = {}
    for frames in (frames for frames in HORIZONS if frames <= ahead):
        pair = (truth[:, :frames], forecast[:, :frames])
        errors[f"nmse_{frames}"] = metrics.nmse(*pair)
        errors[f"published_nmse_{frames}"] = metrics.nmse(*pair, by="prediction")
        errors[f"persistence_{frames}"] = metrics.nmse(pair[0], persistence[:, :frames])
    profile = xr.Dataset(
        {
            "forecast": ("frame", metrics.nmse_by_frame(truth, forecast), {"long_name": "forecast"}),
            "persistence": ("frame", metrics.nmse_by_frame(truth, persistence), {"long_name": "persistence"}),
        },
        coords={"frame": np.arange(1, ahead + 1)},
    )
    return Report(image=image(test, forecast[0]), profile=profile, maps=maps(model, test), metrics=errors)


def image(test: xr.Dataset, forecast: np.ndarray) -> xr.Dataset:
    """`truth` and `estimate` of the first test trajectory over (time, x), from the first forecast frame on."""
    first = schema.one(test, 0).isel(time=slice(FRAMES, None)).rename(data="truth")
    return first.assign(estimate=(("time", "x"), forecast, {"units": "1", "long_name": "forecast"}))


def maps(model: Forecast, test: xr.Dataset) -> xr.Dataset:
    """ODEs of the first forecast of the first test trajectory: `coefficients` over (order, frame, x), `forcing`."""
    first = schema.one(test, 0)
    odes = model.odes(first.data.values[:FRAMES])
    # convert from derivatives in the internal time of the ODE, in which a frame lasts `step`, to those per frame
    step = float(odes["step"][0])
    c = np.moveaxis(odes["coefficients"] / step ** np.arange(odes["coefficients"].shape[-1]), -1, 0)
    return xr.Dataset(
        {
            "coefficients": (
                ("order", "frame", "x"),
                c,
                {"long_name": "coefficient of the derivative of this order, per frame"},
            ),
            "forcing": (("frame", "x"), odes["forcing"], {"long_name": "right-hand side"}),
        },
        coords={"order": np.arange(len(c)), "frame": np.arange(c.shape[1]), "x": first.x},
        attrs={"step": step},
    )
