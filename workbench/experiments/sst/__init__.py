"""Sea-surface temperature: a forced, damped linear ODE per ocean cell and its out-of-sample forecasts.

Sources: "Scalable Mechanistic Neural Networks", ICLR 2025; Yao et al., NeurIPS 2024 (the mechanistic identifier).
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import xarray as xr
from pydantic import model_validator

from workbench.datasets import download, windows
from workbench.datasets.sst import dataset, loaders, synthetic
from workbench.datasets.sst.dataset import DAYS_PER_YEAR
from workbench.datasets.store import data_folder
from workbench.experiments import protocol
from workbench.experiments.protocol import BACKEND, METHOD, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.experiments.sst.reports import direct_report, identifier_report
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.identifier import GIVEN, Identifier, IdentifierSettings

logger = logging.getLogger(__name__)

name = "sst"
title = "Sea-surface temperature"
summary = "Measured ocean data: period, damping and forcing of a linear ODE per cell, and out-of-sample forecasts."

NETWORKS = ("identifier", "invariant")
HOLDOUT = {"month": 48, "week": 208}
YEAR = {"month": 12, "week": 52}
LEADS = {"month": (1, 3, 6, 12, 24, 36), "week": (4, 13, 26, 52, 104, 156)}
SEGMENT_YEARS, HISTORY_YEARS = 10, {"month": 20, "week": 10}
GRIDDED = ("ersst", "oisst", "synthetic")
FILES = {"nino": ("nino",), "ersst": ("ersst",), "oisst": ("oisst", "oisst_mask")}
"""Files of a source, as in `download.SOURCES`."""


class SSTConfig(protocol.Config):
    """Settings of one SST run. Temperatures are in degC, times in years, steps are months or weeks."""

    mode: Literal["direct", "identifier", "invariant"] = setting(
        "direct",
        "Training mode: direct fits a library of linear ODEs to all cells, without a network; identifier is the "
        "network of the paper, with time-varying coefficients; invariant has constant coefficients.",
    )
    source: Literal["elnino", "ersst", "oisst", "nino", "synthetic"] = setting(
        "elnino",
        "Data set: elnino is the included monthly Nino 1+2 series 1950-2010; ersst (monthly), oisst (weekly, 450 MB) "
        "and nino (four regions, weekly) are NOAA files; synthetic is simulated.",
    )
    region: Literal["world", "pacific", "nino34"] = setting(
        "world", "Region of a gridded source: 60 S to 60 N, the tropical Pacific, or the Nino 3.4 box."
    )
    holdout: int = setting(
        0,
        "Test period: last months (or weeks), held out; 0: four years.",
        unit="grid points",
        ge=0,
        le=5000,
    )
    harmonics: int = setting(3, "Annual harmonics of the forcing.", group="training", modes=("direct",), ge=1, le=5)
    chunk: int = setting(
        0,
        "Sequence length of the networks; 0: that of the test period.",
        group="training",
        unit="grid points",
        modes=NETWORKS,
        ge=0,
        le=5000,
    )
    hidden: int = setting(
        128, "Width of the hidden layers; published: 1024.", group="training", modes=NETWORKS, ge=1, le=8192
    )
    depth: int = setting(5, "Hidden layers of the encoder.", group="training", modes=NETWORKS, ge=1, le=20)
    epochs: int = setting(10, "Epochs over all cells.", group="training", modes=NETWORKS, ge=1, le=100_000)
    batch: int = setting(
        64, "Cells per training step; published: 6480.", group="training", modes=NETWORKS, ge=1, le=100_000
    )
    learning_rate: float = setting(
        1e-3, "Learning rate of Adam; published: 1e-5.", group="training", modes=NETWORKS, gt=0, le=1
    )
    backend: Backend = setting("auto", BACKEND, group="solver")
    method: Literal["qr", "cholesky"] = setting("qr", METHOD, group="solver")
    download: bool = setting(False, "Download a missing file from NOAA into data/sst.", group="data")

    mode_defaults = {mode: {"source": "synthetic"} for mode in NETWORKS}

    @model_validator(mode="after")
    def _check_source(self) -> "SSTConfig":
        if self.mode in NETWORKS and self.source not in GRIDDED:
            raise ValueError(
                f"the source {self.source} has no neighboring cells, which {self.mode} compares: expected one of "
                f"{', '.join(GRIDDED)}"
            )
        if 0 < self.chunk <= GIVEN:
            raise ValueError(f"the chunk ({self.chunk} grid points) is too short: expected 0 or more than {GIVEN}")
        return self


Config = SSTConfig


RECORDS = {
    "El Nino region 1+2, monthly, 1950 to 2010": {},
    "Four Nino regions, weekly: 0.1 MB from NOAA": {"source": "nino", "download": True},
    "ERSST v5, monthly, tropical Pacific: 130 MB from NOAA": {"source": "ersst", "region": "pacific", "download": True},
    "OISST v2, weekly, tropical Pacific: 450 MB from NOAA": {"source": "oisst", "region": "pacific", "download": True},
    "Synthetic field": {"source": "synthetic"},
}


def is_immediate(config: SSTConfig) -> bool:
    """Whether the source needs no download."""
    return config.source not in FILES


def prepare(config: SSTConfig, report_progress: Callable[..., None]) -> None:
    """Download missing files that `data` reads; calls report_progress(share=..., words=...)."""
    for name in FILES.get(config.source, ()):
        text = f"downloading {download.SOURCES[name].name}"

        def on_progress(received: int, total: int, text: str = text) -> None:
            share = {"share": received / total} if total else {}
            report_progress(words=f"{text}, {received / 1e6:.1f} MB", **share)

        _file(name, config, on_progress)


def data(config: SSTConfig) -> xr.Dataset:
    """One variable per ice-free ocean cell or region, with the attribute `training`: grid points before the test."""
    source = _open(config)
    points = source.sizes["time"]
    holdout = config.holdout or HOLDOUT[source.attrs["cadence"]]
    if points < holdout + 2 * YEAR[source.attrs["cadence"]]:
        raise ValueError(
            f"the record ({points} grid points) is too short to hold out {holdout} and to train on at least two years"
        )
    if config.source in GRIDDED:
        record = dataset.from_field(source, dataset.REGIONS[config.region], training=points - holdout)
    else:
        record = dataset.from_series(source)
    record.attrs["training"] = points - holdout
    return record


def _open(config: SSTConfig) -> xr.Dataset:
    if config.source == "elnino":
        return loaders.elnino()
    if config.source == "synthetic":
        return synthetic.field(seed=config.seed)
    if config.source == "nino":
        return loaders.read_nino(_file("nino", config))
    if config.source == "ersst":
        return loaders.open_ersst(_file("ersst", config))
    return loaders.open_oisst(*(_file(name, config) for name in FILES["oisst"]))


def _file(name: str, config: SSTConfig, progress: download.Progress | None = None) -> Path:
    """Path of a file in data/sst, downloaded if missing. Raises FileNotFoundError if downloads are disabled."""
    source = download.SOURCES[name]
    path = data_folder() / "sst" / source.name
    if not path.exists() and not config.download:
        raise FileNotFoundError(f"{source.description} is missing. Enable Download, or save {source.url} as {path}")
    return download.fetch(source, progress=progress or _LogProgress(source.name))


class _LogProgress:
    """Log the progress of a download at every tenth, or every 50 MB if the size is unknown."""

    def __init__(self, file: str) -> None:
        self._file, self._logged = file, -1

    def __call__(self, received: int, total: int) -> None:
        tenth = 10 * received // total if total else received // 50_000_000
        if tenth != self._logged:
            self._logged = tenth
            logger.info("%s: %.1f of %s MB", self._file, received / 1e6, f"{total / 1e6:.1f}" if total else "?")


def model(config: SSTConfig, data: xr.Dataset) -> Model:
    """An untrained model, which reads the test period only up to the origin of each forecast."""
    cadence, training = data.attrs["cadence"], data.attrs["training"]
    values = windows.tensor(data)
    if config.mode == "direct":
        plan = ForecastSettings(
            training=training,
            harmonics=config.harmonics,
            leads=tuple(lead for lead in LEADS[cadence] if training + lead < len(values)),
            segment=SEGMENT_YEARS * YEAR[cadence],
            history=HISTORY_YEARS[cadence] * YEAR[cadence],
            backend=config.backend,
            method=config.method,
        )
        return SeasonalForecaster(days(data), values, area(data), plan)
    shared = ("hidden", "depth", "epochs", "batch", "learning_rate", "seed", "backend", "method")
    settings = IdentifierSettings(
        chunk=config.chunk or len(values) - training,
        training=training,
        varying=config.mode == "identifier",
        **{field: getattr(config, field) for field in shared},
    )
    latitude, longitude = (torch.from_numpy(data[axis].values.copy()) for axis in ("latitude", "longitude"))
    return Identifier(values, latitude, longitude, settings)


def days(data: xr.Dataset) -> torch.Tensor:
    """Times as integer days since the start of the first year."""
    times = data["time"].values
    return torch.from_numpy(np.rint((times - np.floor(times[0])) * DAYS_PER_YEAR).astype(np.int64))


def area(data: xr.Dataset) -> torch.Tensor:
    """Area weight of every variable; 1 without the coordinate `area`."""
    weights = data["area"].values if "area" in data.coords else np.ones(data.sizes["variable"])
    return torch.from_numpy(np.array(weights, dtype=np.float64))


def report(model: Model, data: xr.Dataset) -> Report:
    """Equations, maps, skill of the model and the baselines, and the forecast of the test period."""
    return direct_report(model, data) if isinstance(model, SeasonalForecaster) else identifier_report(model, data)
