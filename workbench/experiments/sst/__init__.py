"""Sea-surface temperature: a forced, damped linear ODE for every place of the ocean, and an honest forecast from it.

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
from workbench.experiments.protocol import BACKEND, Backend, Model, setting
from workbench.experiments.report import Report
from workbench.experiments.sst.reports import direct_report, identifier_report
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.identifier import GIVEN, Identifier, IdentifierSettings

logger = logging.getLogger(__name__)

name = "sst"
title = "Sea-surface temperature"
summary = (
    "Real ocean data: period, damping and forcing of a linear ODE per place, and a forecast that sees nothing ahead."
)

NETWORKS = ("identifier", "invariant")
HOLDOUT = {"month": 48, "week": 208}
YEAR = {"month": 12, "week": 52}
LEADS = {"month": (1, 3, 6, 12, 24, 36), "week": (4, 13, 26, 52, 104, 156)}
PIECE_YEARS, MEMORY_YEARS = 10, {"month": 20, "week": 10}
GRIDDED = ("ersst", "oisst", "synthetic")
FILES = {"nino": ("nino",), "ersst": ("ersst",), "oisst": ("oisst", "oisst_mask")}
"""What has to be fetched for a source, as in `download.SOURCES`."""


class SSTConfig(protocol.Config):
    """The settings of one SST run. Temperatures are in degC, times in years, steps are months or weeks."""

    mode: Literal["direct", "identifier", "invariant"] = setting(
        "direct",
        "How to learn: direct judges a library of linear ODEs for every place at once, without a network; identifier "
        "is the network of the paper, with coefficients that change in time; invariant the same with constant ones.",
    )
    source: Literal["elnino", "ersst", "oisst", "nino", "synthetic"] = setting(
        "elnino",
        "Which data: elnino is the monthly Nino 1+2 series 1950-2010, which needs no network; ersst (monthly), oisst "
        "(weekly, 450 MB) and nino (four regions, weekly) are files of NOAA; synthetic is made here, not measured.",
    )
    region: Literal["world", "pacific", "nino34"] = setting(
        "world", "Which part of a gridded source: 60 S to 60 N, the tropical Pacific, or the Nino 3.4 box."
    )
    holdout: int = setting(
        0,
        "How many last months (or weeks) to hold out and forecast; 0: four years.",
        unit="grid points",
        ge=0,
        le=5000,
    )
    harmonics: int = setting(
        3, "How many harmonics of the year force the ODE.", group="training", modes=("direct",), ge=1, le=5
    )
    chunk: int = setting(
        0,
        "Sequence length of the networks; 0: as long as what is held out.",
        group="training",
        unit="grid points",
        modes=NETWORKS,
        ge=0,
        le=5000,
    )
    hidden: int = setting(
        128, "Width of the hidden layers; 1024 in the paper.", group="training", modes=NETWORKS, ge=1, le=8192
    )
    depth: int = setting(5, "Hidden layers of the encoder.", group="training", modes=NETWORKS, ge=1, le=20)
    epochs: int = setting(10, "Passes over all places.", group="training", modes=NETWORKS, ge=1, le=100_000)
    batch: int = setting(
        64, "Places per training step; 6480 in the paper.", group="training", modes=NETWORKS, ge=1, le=100_000
    )
    learning_rate: float = setting(
        1e-3, "Step size of Adam; 1e-5 in the paper.", group="training", modes=NETWORKS, gt=0, le=1
    )
    backend: Backend = setting("auto", BACKEND, group="solver")
    method: Literal["qr", "cholesky"] = setting(
        "qr", "How each system is factored: qr is accurate, cholesky is the published way.", group="solver"
    )
    download: bool = setting(
        False, "Fetch the file of the source from NOAA if it is not there yet; it is kept in data/sst.", group="data"
    )

    mode_defaults = {mode: {"source": "synthetic"} for mode in NETWORKS}

    @model_validator(mode="after")
    def _fits(self) -> "SSTConfig":
        if self.mode in NETWORKS and self.source not in GRIDDED:
            raise ValueError(
                f"the source {self.source} has no neighbouring places, which {self.mode} compares: expected one of "
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
    "Synthetic field, made here": {"source": "synthetic"},
}


def at_once(config: SSTConfig) -> bool:
    """Whether nothing has to come from elsewhere."""
    return config.source not in FILES


def prepare(config: SSTConfig, tell: Callable[..., None]) -> None:
    """Fetch the files that `data` reads, if they are not there; tell(share=..., words=...) says how far that is."""
    for which in FILES.get(config.source, ()):
        words = f"fetching {download.SOURCES[which].name}"

        def told(received: int, total: int, words: str = words) -> None:
            known = {"share": received / total} if total else {}
            tell(words=f"{words}, {received / 1e6:.1f} MB", **known)

        _file(which, config, told)


def data(config: SSTConfig) -> xr.Dataset:
    """The record: a variable per ice-free ocean cell or region; `training` among its attributes, the points to learn
    from.
    """
    source = _open(config)
    points = source.sizes["time"]
    held = config.holdout or HOLDOUT[source.attrs["cadence"]]
    if points < held + 2 * YEAR[source.attrs["cadence"]]:
        raise ValueError(
            f"the record ({points} grid points) is too short to hold out {held} and to learn from two years or more"
        )
    if config.source in GRIDDED:
        record = dataset.from_field(source, dataset.REGIONS[config.region], training=points - held)
    else:
        record = dataset.from_series(source)
    record.attrs["training"] = points - held
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
    return loaders.open_oisst(*(_file(which, config) for which in FILES["oisst"]))


def _file(which: str, config: SSTConfig, progress: download.Progress | None = None) -> Path:
    """The file of a source: as it lies in data/sst, else fetched if the configuration wants that."""
    wanted = download.SOURCES[which]
    path = data_folder() / "sst" / wanted.name
    if not path.exists() and not config.download:
        raise FileNotFoundError(
            f"{wanted.what} is not there yet. Switch Download on, or fetch {wanted.url} by hand and put it at {path}"
        )
    return download.fetch(wanted, progress=progress or _Lines(wanted.name))


class _Lines:
    """Progress of a download as a log line every tenth."""

    def __init__(self, file: str) -> None:
        self._file, self._told = file, -1

    def __call__(self, received: int, total: int) -> None:
        tenth = 10 * received // total if total else received // 50_000_000
        if tenth != self._told:
            self._told = tenth
            logger.info("%s: %.1f of %s MB", self._file, received / 1e6, f"{total / 1e6:.1f}" if total else "?")


def model(config: SSTConfig, data: xr.Dataset) -> Model:
    """A fresh model: of the test period it reads only what a forecast's origin has behind it."""
    cadence, training = data.attrs["cadence"], data.attrs["training"]
    values = windows.tensor(data)
    if config.mode == "direct":
        plan = ForecastSettings(
            training=training,
            harmonics=config.harmonics,
            leads=tuple(lead for lead in LEADS[cadence] if training + lead < len(values)),
            piece=PIECE_YEARS * YEAR[cadence],
            memory=MEMORY_YEARS[cadence] * YEAR[cadence],
            backend=config.backend,
            method=config.method,
        )
        return SeasonalForecaster(days(data), values, area(data), plan)
    shared = ("hidden", "depth", "epochs", "batch", "learning_rate", "seed", "backend", "method")
    schedule = IdentifierSettings(
        chunk=config.chunk or len(values) - training,
        training=training,
        varying=config.mode == "identifier",
        **{field: getattr(config, field) for field in shared},
    )
    latitude, longitude = (torch.from_numpy(data[axis].values.copy()) for axis in ("latitude", "longitude"))
    return Identifier(values, latitude, longitude, schedule)


def days(data: xr.Dataset) -> torch.Tensor:
    """The times as whole days since the first year began."""
    times = data["time"].values
    return torch.from_numpy(np.rint((times - np.floor(times[0])) * DAYS_PER_YEAR).astype(np.int64))


def area(data: xr.Dataset) -> torch.Tensor:
    """The area weight of every variable; 1 where there is none."""
    given = data["area"].values if "area" in data.coords else np.ones(data.sizes["variable"])
    return torch.from_numpy(np.array(given, dtype=np.float64))


def report(model: Model, data: xr.Dataset) -> Report:
    """Equations, maps, skill beside the simple forecasts, and the test period beside the forecast of it."""
    return direct_report(model, data) if isinstance(model, SeasonalForecaster) else identifier_report(model, data)
