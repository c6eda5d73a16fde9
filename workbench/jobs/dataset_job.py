"""Cancellable data-set generation in a subprocess, with results cached as NetCDF."""

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

TIME_LIMIT = 4 * 3600.0
"""Time limit for generating a data set, seconds."""


class DatasetJob:
    """Generation of one data set.

    `state` is "waiting", "making", "done", "cancelled" or "failed"; `share` is the completed fraction in 0 .. 1, None
    if unknown; `version` grows with every change.
    """

    def __init__(self, experiment: str, config: Config) -> None:
        self.experiment = experiment
        self.config = config
        self.path = record_path(experiment, config)
        self.state = "waiting"
        self.message = ""
        self.share: float | None = None
        self.version = 0
        self.started = time.monotonic()
        self._stop = threading.Event()

    def start(self) -> None:
        """Start, in a thread that supervises the process."""
        threading.Thread(target=self._work, name=f"dataset-{self.experiment}", daemon=True).start()

    def cancel(self) -> None:
        """End the process; nothing is saved."""
        self._stop.set()

    @property
    def active(self) -> bool:
        """Whether the job is waiting or running."""
        return self.state in ("waiting", "making")

    def _work(self) -> None:
        self._set("making")
        arguments = {
            "module": experiments.get(self.experiment).__name__,
            "settings": self.config.model_dump(mode="json"),
            "path": str(self.path),
        }
        try:
            with Sandbox() as sandbox:
                outcome = sandbox.run(
                    "workbench.jobs.dataset_job:generate_in_worker",
                    arguments,
                    Budget(seconds=TIME_LIMIT),
                    self._stop,
                    on_message=self._update_progress,
                )
        except RuntimeError as error:
            self._set("failed", str(error))
            return
        if outcome.cancelled:
            self._set("cancelled")
        elif outcome.status is JobStatus.OK:
            self._set("done")
        else:
            self._set("failed", outcome.message)

    def _update_progress(self, progress: dict[str, Any]) -> None:
        self.share, self.message = progress.get("share", self.share), progress.get("words", self.message)
        self.version += 1

    def _set(self, state: str, message: str = "") -> None:
        self.state, self.message = state, message
        self.version += 1


class DatasetJobs:
    """Data-set jobs of this server, the newest of each data set."""

    def __init__(self) -> None:
        self._last: dict[Path, DatasetJob] = {}
        self._lock = threading.Lock()

    def start(self, experiment: str, config: Config) -> DatasetJob:
        """Start a job; if one of the same data set is active, return that one."""
        with self._lock:
            last = self.get(experiment, config)
            if last is not None and last.active:
                return last
            job = self._last[record_path(experiment, config)] = DatasetJob(experiment, config)
        job.start()
        return job

    def get(self, experiment: str, config: Config) -> DatasetJob | None:
        """Newest job of this data set, None if there is none."""
        return self._last.get(record_path(experiment, config))


dataset_jobs = DatasetJobs()


def record_path(experiment: str, config: Config) -> Path:
    """Path of the data set of this configuration, below `records` in the data folder."""
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:10]
    return data_folder() / "records" / f"{experiment}-{digest}.nc"


def load_record(experiment: str, config: Config) -> xr.Dataset | None:
    """Data set of this configuration; None if it has not been generated or cannot be read."""
    path = record_path(experiment, config)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as record:
            return record.load()
    except (OSError, ValueError, KeyError):
        return None


def generate_in_worker(report_progress: Callable[..., None], module: str, settings: dict[str, Any], path: str) -> None:
    """Write the `data` of an experiment to `path`, after calling its `prepare` if it has one; runs in the worker."""
    experiment = experiments.at(module)
    config = experiment.Config(**settings)
    report_progress(begin=True)
    if hasattr(experiment, "prepare"):
        experiment.prepare(config, report_progress)
    record = experiment.data(config)
    with replacing(Path(path)) as part:
        record.to_netcdf(part, engine="h5netcdf")
