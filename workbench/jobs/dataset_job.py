"""Records made or downloaded in a process of their own: seen as they come, ended when asked, kept as NetCDF."""

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from workbench import experiments
from workbench.datasets.store import data_folder, replacing
from workbench.experiments.protocol import Config
from workbench.jobs.budget import Budget, JobStatus
from workbench.jobs.sandbox import Sandbox

LONGEST = 4 * 3600.0
"""Seconds after which making a record is given up."""


class DatasetJob:
    """One record being made. `share` is 0 .. 1, or None where nobody knows; `version` grows with every change."""

    def __init__(self, experiment: str, config: Config) -> None:
        self.experiment = experiment
        self.config = config
        self.path = record_path(experiment, config)
        self.state = "waiting"
        self.words = ""
        self.share = None
        self.version = 0
        self.begun = time.monotonic()
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin, in a thread that watches the process."""
        threading.Thread(target=self._work, name=f"making-{self.experiment}", daemon=True).start()

    def cancel(self) -> None:
        """End the process; nothing is kept."""
        self._stop.set()

    @property
    def active(self) -> bool:
        """Whether it is still being made."""
        return self.state in ("waiting", "making")

    def _work(self) -> None:
        self._set("making")
        arguments = {
            "place": experiments.get(self.experiment).__name__,
            "settings": self.config.model_dump(mode="json"),
            "path": str(self.path),
        }
        try:
            with Sandbox() as sandbox:
                outcome = sandbox.run(
                    "workbench.jobs.dataset_job:make_in_worker",
                    arguments,
                    Budget(seconds=LONGEST),
                    self._stop,
                    heard=self._hear,
                )
        except RuntimeError as error:
            self._set("failed", str(error))
            return
        if outcome.cancelled:
            self._set("cancelled")
        elif outcome.status is JobStatus.OK:
            self._set("done")
        else:
            self._set("failed", outcome.words)

    def _hear(self, told: dict[str, Any]) -> None:
        self.share, self.words = told.get("share", self.share), told.get("words", self.words)
        self.version += 1

    def _set(self, state: str, words: str = "") -> None:
        self.state, self.words = state, words
        self.version += 1


class DatasetJobs:
    """What this server makes or has made, by record; the newest counts."""

    def __init__(self) -> None:
        self._last = {}
        self._lock = threading.Lock()

    def start(self, experiment: str, config: Config) -> DatasetJob:
        """Make a record, unless it is being made: then that one."""
        with self._lock:
            last = self.get(experiment, config)
            if last is not None and last.active:
                return last
            making = self._last[record_path(experiment, config)] = DatasetJob(experiment, config)
        making.start()
        return making

    def get(self, experiment: str, config: Config) -> DatasetJob | None:
        """The newest one of this record, None if there is none."""
        return self._last.get(record_path(experiment, config))


dataset_jobs = DatasetJobs()


def record_path(experiment: str, config: Config) -> Path:
    """Where the record of this configuration is kept: `records` in the data folder."""
    mark = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:10]
    return data_folder() / "records" / f"{experiment}-{mark}.nc"


def kept_record(experiment: str, config: Config) -> xr.Dataset | None:
    """The record of this configuration, if it has been made; a file that cannot be read counts as none."""
    path = record_path(experiment, config)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as record:
            return record.load()
    except (OSError, ValueError, KeyError):
        return None


def make_in_worker(tell: Callable[..., None], place: str, settings: dict[str, Any], path: str) -> None:
    """The job of the process: `data` of the experiment, written to `path`.

    `prepare` of the experiment, where it has one, is called before.
    """
    experiment = experiments.at(place)
    config = experiment.Config(**settings)
    tell(begin=True)
    if hasattr(experiment, "prepare"):
        experiment.prepare(config, tell)
    record = experiment.data(config)
    with replacing(Path(path)) as part:
        record.to_netcdf(part, engine="h5netcdf")
