"""Compute one cell of a study on a worker: a pure function of its settings that writes a run file."""

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

HALT_POLL = 0.5
"""Polling interval of the halt file, seconds."""


@dataclass(frozen=True)
class Task:
    """Arguments of `run_cell`.

    module: path of the experiment, for `experiments.at`. key: key of the study's folder, by which a worker checks
    whether it sees this folder.
    """

    id: str
    module: str
    config: Mapping[str, Any]
    folder: str
    key: str
    threads: int = 1


@dataclass(frozen=True)
class TaskOutcome:
    """Outcome of a cell: status "finished", "failed" (for the reason in `message`) or "stopped" (study cancelled).

    content: the run file, if the worker does not see the folder of the study.
    """

    id: str
    status: str
    message: str = ""
    content: bytes | None = None


class _LocalDask:
    """Context in which dask and xarray do not use the scheduler of the study.

    Otherwise xarray requests a lock from the scheduler whenever a file is written, so that a run fails if the scheduler
    does, and dask computations of a run go to the workers, which are busy with runs.
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


_local_dask = _LocalDask()


def run_cell(task: Task) -> TaskOutcome:
    """Train to the end with these settings. Errors of the run are part of the outcome, not raised.

    The run file appears in the study's folder atomically and only if there is none, so that a cell that is begun more
    than once (lost worker, two clients) is completed once. An interrupted cell continues from its last save. If the
    worker does not see the folder, the file is returned as bytes.
    """
    torch.set_num_threads(task.threads)
    folder = Path(task.folder)
    with _local_dask:
        if _sees(folder, task.key):
            return _complete(task, folder)
        return _complete_elsewhere(task)


def _complete_elsewhere(task: Task) -> TaskOutcome:
    """Complete the cell in a temporary folder; the outcome contains the run file."""
    with TemporaryDirectory(prefix="workbench-") as folder:
        outcome = _complete(task, Path(folder))
        path = cell_path(Path(folder), task.id)
        return replace(outcome, content=path.read_bytes() if path.exists() else None)


def cell_path(folder: Path, name: str) -> Path:
    """Path of the run file of a complete cell."""
    return folder / "cells" / f"{name}.nc"


def outcome_of(path: Path) -> TaskOutcome:
    """Outcome of a cell from its run file."""
    summary = run_file.summarise(path)
    return TaskOutcome(path.stem, summary.status or "failed", summary.message or summary.error)


def publish(attempt: Path, final: Path) -> None:
    """Move a complete file to its final path unless that exists; `attempt` is removed in any case."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(attempt, final)
    except (FileExistsError, FileNotFoundError):  # another attempt with the same settings was first
        if not final.exists():
            raise
    finally:
        attempt.unlink(missing_ok=True)


def record_failure(task: Task, folder: Path, message: str) -> TaskOutcome:
    """Write a run file with settings and error message only, for a run that could not write one."""
    attempt = _attempt(folder, task.id)
    experiment = task.id.rpartition("-")[0]
    run_file.write_run(
        Run(attempt, experiment, task.config, "failed", message, created=run_file.now(), versions=run_file.versions())
    )
    publish(attempt, cell_path(folder, task.id))
    return outcome_of(cell_path(folder, task.id))


def _sees(folder: Path, key: str) -> bool:
    """Whether this machine sees the study's folder, not another one of the same path."""
    try:
        return (folder / "key").read_text(encoding="ascii") == key
    except (OSError, ValueError):
        return False


def _attempt(folder: Path, name: str) -> Path:
    return folder / "attempts" / f"{name}.{secrets.token_hex(4)}.nc"


def _complete(task: Task, folder: Path) -> TaskOutcome:
    final = cell_path(folder, task.id)
    if final.exists():
        return outcome_of(final)
    attempt = _attempt(folder, task.id)
    try:
        if not _finished(_begin(task, folder, attempt), folder / HALT):
            return TaskOutcome(task.id, "stopped")
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        if not attempt.exists():
            return record_failure(task, folder, message)
        run_file.write_run(replace(run_file.read_run(attempt), status="failed", message=message))
    publish(attempt, final)
    for path in (folder / "attempts").glob(f"*{task.id}.*"):
        path.unlink(missing_ok=True)
    return outcome_of(final)


def _begin(task: Task, folder: Path, attempt: Path) -> Training:
    """Training that resumes from the most advanced readable attempt."""
    experiment = experiments.at(task.module)
    previous = max(_readable(folder / "attempts", task.id), key=lambda run: run.state_step, default=None)
    return Training(experiment, experiment.Config(**task.config), path=attempt, resume_from=previous)


def _readable(attempts: Path, name: str) -> Iterator[Run]:
    for path in attempts.glob(f"{name}.*.nc"):
        try:
            yield run_file.read_run(path)
        except (OSError, ValueError):  # deleted by a completed attempt, or incomplete
            continue


def _finished(training: Training, halt: Path) -> bool:
    """Train to the end; if `halt` appears before, save the run as stopped and return False."""
    if training.model.done:
        training.save("finished")
    next_poll = time.monotonic()
    for _ in training:
        if time.monotonic() >= next_poll and not training.model.done:
            if halt.exists():
                training.save("stopped")
                return False
            next_poll = time.monotonic() + HALT_POLL
    return True
