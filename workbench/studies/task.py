"""One cell of a study, where it is computed: a pure function of its settings that leaves a run file."""

import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
import torch

from workbench import experiments
from workbench.studies.study import HALT
from workbench.training import Training, run_file
from workbench.training.run_file import Run

LOOK = 0.5
"""Seconds between two looks whether the study was cancelled."""


@dataclass(frozen=True)
class Task:
    """What a worker is told. `place` is that of the experiment (see `experiments.at`); `key` tells whether the worker
    sees the study's folder."""

    id: str
    place: str
    config: Mapping[str, Any]
    folder: str
    key: str
    threads: int = 1


@dataclass(frozen=True)
class TaskOutcome:
    """How a cell ended: "finished", "failed" (`message` says why) or "stopped" (the study was cancelled).

    content: the run file itself, where the worker does not see the folder of the study.
    """

    id: str
    status: str
    message: str = ""
    content: bytes | None = None


class _Alone:
    """While a run is computed, dask and xarray in its process keep to themselves.

    Otherwise xarray asks the scheduler of the study for a lock whenever a file is written, and a run fails when the
    scheduler does; and what a run computes with dask would go to the workers that are busy with runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._setting = None

    def __enter__(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs == 1:
                self._setting = dask.config.set(scheduler="synchronous")

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs == 0:
                self._setting.__exit__(*error)


_alone = _Alone()


def run_cell(job: Task) -> TaskOutcome:
    """Train to the end with these settings. What goes wrong in the run is its outcome, not an error.

    The run file appears in the study's folder in one step and only if none is there, so however often a cell is begun
    (a worker was lost, two clients asked), it is completed once. A cell that was interrupted goes on from what its last
    attempt has saved. Where the worker does not see the folder, the file comes back as bytes.
    """
    torch.set_num_threads(job.threads)
    folder = Path(job.folder)
    with _alone:
        if _sees(folder, job.key):
            return _complete(job, folder)
        return _brought(job)


def _brought(job: Task) -> TaskOutcome:
    """The outcome with the run file in it."""
    with TemporaryDirectory(prefix="workbench-") as own:
        outcome = _complete(job, Path(own))
        path = cell_path(Path(own), job.id)
        return replace(outcome, content=path.read_bytes() if path.exists() else None)


def cell_path(folder: Path, name: str) -> Path:
    """The run file of a cell at its end."""
    return folder / "cells" / f"{name}.nc"


def outcome_of(path: Path) -> TaskOutcome:
    """The outcome that a run file tells."""
    told = run_file.summarise(path)
    return TaskOutcome(path.stem, told.status or "failed", told.message or told.error)


def publish(attempt: Path, final: Path) -> None:
    """Give a complete file its final name, unless something is there by that name; `attempt` is gone in any case."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(attempt, final)
    except (FileExistsError, FileNotFoundError):  # another attempt was first: the same settings, the same numbers
        if not final.exists():
            raise
    finally:
        attempt.unlink(missing_ok=True)


def record_failure(job: Task, folder: Path, message: str) -> TaskOutcome:
    """A run file that holds nothing but settings and message, for a run that could not leave one of its own."""
    attempt = _attempt(folder, job.id)
    experiment = job.id.rpartition("-")[0]
    run_file.write_run(
        Run(attempt, experiment, job.config, "failed", message, created=run_file.now(), versions=run_file.versions())
    )
    publish(attempt, cell_path(folder, job.id))
    return outcome_of(cell_path(folder, job.id))


def _sees(folder: Path, key: str) -> bool:
    """Whether this machine sees the study's folder, and not another one of the same name."""
    try:
        return (folder / "key").read_text(encoding="ascii") == key
    except (OSError, ValueError):
        return False


def _attempt(folder: Path, name: str) -> Path:
    return folder / "attempts" / f"{name}.{secrets.token_hex(4)}.nc"


def _complete(job: Task, folder: Path) -> TaskOutcome:
    final = cell_path(folder, job.id)
    if final.exists():
        return outcome_of(final)
    attempt = _attempt(folder, job.id)
    try:
        if not _finished(_begin(job, folder, attempt), folder / HALT):
            return TaskOutcome(job.id, "stopped")
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        if not attempt.exists():
            return record_failure(job, folder, message)
        run_file.write_run(replace(run_file.read_run(attempt), status="failed", message=message))
    publish(attempt, final)
    for path in (folder / "attempts").glob(f"*{job.id}.*"):
        path.unlink(missing_ok=True)
    return outcome_of(final)


def _begin(job: Task, folder: Path, attempt: Path) -> Training:
    """The training, from where the furthest readable attempt was saved."""
    experiment = experiments.at(job.place)
    before = max(_readable(folder / "attempts", job.id), key=lambda run: run.state_step, default=None)
    return Training(experiment, experiment.Config(**job.config), path=attempt, resume_from=before)


def _readable(attempts: Path, name: str) -> Iterator[Run]:
    for path in attempts.glob(f"{name}.*.nc"):
        try:
            yield run_file.read_run(path)
        except (OSError, ValueError):  # deleted by an attempt that came to its end, or cut short
            continue


def _finished(training: Training, halt: Path) -> bool:
    """Train to the end; False where `halt` is there before: the run is then saved as stopped."""
    if training.model.done:
        training.save("finished")
    look = time.monotonic()
    for _ in training:
        if time.monotonic() >= look and not training.model.done:
            if halt.exists():
                training.save("stopped")
                return False
            look = time.monotonic() + LOOK
    return True
