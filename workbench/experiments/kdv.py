"""KdV: a wave forecast by one linear ODE per grid point, whose coefficients networks read off ten frames.

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
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.models.kdv.augmentation import Ranges
from workbench.models.kdv.forecast import Forecast, TrainingPlan, Waves
from workbench.models.kdv.networks import FRAMES

name = "kdv"
title = "KdV: forecast"
summary = "Ten frames of a wave in, the next ones out, again and again: one linear ODE per grid point."

logger = logging.getLogger(__name__)
HORIZONS = (20, 40, 100)
"""Frames over which forecasts are judged."""
FROM_GRID = ("train", "valid", "test")


class KdVConfig(protocol.Config):
    """The settings of one forecast of KdV waves. Everything is dimensionless."""

    mode: Literal["small", "paper"] = setting(
        "small",
        "Size of the networks: small (0.2 million numbers) learns within minutes on two cores; paper (10.4 million) "
        "wants a GPU and hours.",
    )
    updates: int = setting(
        5000, "Steps of Adam; 1,952 of the paper preset are one pass over 512 trajectories.", ge=1, le=10_000_000
    )
    backend: Backend = setting("auto", BACKEND)
    batch: int = setting(16, "Samples per step.", group="training", ge=1, le=1024)
    learning_rate: float = setting(1e-3, "Step size of Adam at the start.", group="training", gt=0, le=1)
    every: int = setting(
        100, "Steps from one validation to the next.", unit="steps", group="training", ge=1, le=1_000_000
    )
    patience: int = setting(
        3, "Validations without a better forecast after which the step size is halved.", group="training", ge=1, le=1000
    )
    stop: int = setting(
        15, "Validations without a better forecast after which training ends.", group="training", ge=1, le=10_000
    )
    shift: float = setting(
        0.0,
        "Augmentation: every sample shifted by up to this part of the interval to either side. The networks know no "
        "place, so that only shifts by parts of a grid point are news to them.",
        group="training",
        ge=0,
        le=1,
    )
    boost: float = setting(
        0.0,
        "Augmentation: every sample seen by an observer in motion, up to this velocity; published: 0.4.",
        group="training",
        ge=0,
        le=5,
    )
    scale: float = setting(
        0.0, "Augmentation: every sample scaled by up to this share; published: 0.1.", group="training", ge=0, lt=1
    )
    precision: Literal["float32", "bfloat16"] = setting(
        "float32", "Numbers of the networks; the solver computes in float64 in any case.", group="training"
    )
    device: Literal["cpu", "cuda"] = setting("cpu", "Where to compute.", group="training")
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    waves: Literal["kdv-easy", "kdv"] = setting(
        "kdv-easy", "Which waves: the gentle ones of the paper, or the default ones, twice as long.", group="data"
    )
    train: int = setting(
        128, "Trajectories to learn from; they are made once and kept.", group="data", ge=1, le=100_000
    )
    valid: int = setting(16, "Trajectories that tell when to stop.", group="data", ge=1, le=100_000)
    test: int = setting(16, "Trajectories that the forecast is judged by.", group="data", ge=1, le=100_000)

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
    def _fits(self) -> "KdVConfig":
        if self.device == "cuda" and self.backend == "native":
            raise ValueError("the backend native computes on the cpu: take another for device cuda")
        return self


Config = KdVConfig


def data(config: KdVConfig) -> xr.Dataset:
    """The fields of all three splits, `data` over (trajectory, frame, point); the coordinate `split` names them."""
    parts = []
    for split, count in zip(FROM_GRID, (config.train, config.valid, config.test), strict=True):
        path = hdf5.generate(config.waves, split, count, seed=config.seed, progress=_log(split))
        part = hdf5.read(path, count=count).drop_attrs(deep=False)
        parts.append(part.assign_coords(split=("trajectory", [split] * part.sizes["trajectory"])))
    return xr.concat(parts, "trajectory").assign_attrs(title="Korteweg-de Vries", equation="kdv")


def prepare(config: KdVConfig, tell: Callable[..., None]) -> None:
    """Make the files that `data` reads, split by split; tell(share=..., words=...) says how far that is."""
    counts = (config.train, config.valid, config.test)
    before, whole = 0, max(1, sum(counts))
    for split, count in zip(FROM_GRID, counts, strict=True):

        def told(done: int, total: int, split: str = split, count: int = count, before: int = before) -> None:
            tell(share=(before + count * done / max(1, total)) / whole, words=f"simulating waves ({split})")

        hdf5.generate(config.waves, split, count, seed=config.seed, progress=told)
        before += count


def _log(split: str) -> hdf5.Progress:
    return lambda done, total: logger.info("%s: %d of %d trajectories", split, done, total)


def model(config: KdVConfig, data: xr.Dataset) -> Model:
    """A fresh model, which has seen the splits train and valid."""
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
    train, valid = (Waves(*windows.fields(of_split(data, split))) for split in ("train", "valid"))
    return Forecast(train, valid, plan)


def of_split(data: xr.Dataset, split: str) -> xr.Dataset:
    """The trajectories of one split."""
    return data.isel(trajectory=np.flatnonzero(data.split.values == split))


def report(model: Forecast, data: xr.Dataset) -> Report:
    """The test trajectories rolled out: errors beside persistence, the first one as an image, and its ODEs."""
    test = of_split(data, "test")
    u = test.data.values
    ahead = u.shape[1] - FRAMES
    truth, found = u[:, FRAMES:], model.predict(u[:, :FRAMES], ahead)
    still = np.broadcast_to(u[:, FRAMES - 1 : FRAMES], truth.shape)
    figures = {}
    for frames in (frames for frames in HORIZONS if frames <= ahead):
        cut = (truth[:, :frames], found[:, :frames])
        figures[f"nmse_{frames}"] = metrics.nmse(*cut)
        figures[f"published_nmse_{frames}"] = metrics.nmse(*cut, by="prediction")
        figures[f"persistence_{frames}"] = metrics.nmse(cut[0], still[:, :frames])
    profile = xr.Dataset(
        {
            "forecast": ("frame", metrics.nmse_by_frame(truth, found), {"long_name": "forecast"}),
            "persistence": ("frame", metrics.nmse_by_frame(truth, still), {"long_name": "last frame held"}),
        },
        coords={"frame": np.arange(1, ahead + 1)},
    )
    return Report(image=image(test, found[0]), profile=profile, maps=maps(model, test), metrics=figures)


def image(test: xr.Dataset, found: np.ndarray) -> xr.Dataset:
    """The first test trajectory over (time, x), from the first frame that is forecast: `truth` and `estimate`."""
    first = schema.one(test, 0).isel(time=slice(FRAMES, None)).rename(data="truth")
    return first.assign(estimate=(("time", "x"), found, {"units": "1", "long_name": "forecast"}))


def maps(model: Forecast, test: xr.Dataset) -> xr.Dataset:
    """The ODEs of the first forecast of the first test trajectory: `coefficients` over (order, frame, x), `forcing`."""
    first = schema.one(test, 0)
    found = model.odes(first.data.values[:FRAMES])
    # of derivatives by the frame: those of the ODE are by its own unit of time, of which a frame lasts `step`
    step = float(found["step"][0])
    c = np.moveaxis(found["coefficients"] / step ** np.arange(found["coefficients"].shape[-1]), -1, 0)
    return xr.Dataset(
        {
            "coefficients": (
                ("order", "frame", "x"),
                c,
                {"long_name": "coefficient of the derivative of that order, by the frame"},
            ),
            "forcing": (("frame", "x"), found["forcing"], {"long_name": "right-hand side"}),
        },
        coords={"order": np.arange(len(c)), "frame": np.arange(c.shape[1]), "x": first.x},
        attrs={"step": step},
    )
