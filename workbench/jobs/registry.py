"""Registry of the jobs of this server, by id, saved when the server ends."""

import atexit
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from workbench import experiments
from workbench.experiments.protocol import Config, Experiment
from workbench.jobs.job import Job
from workbench.jobs.queue import JobQueue, device, places
from workbench.jobs.state import ACTIVE, HALTED
from workbench.training import run_file

logger = logging.getLogger(__name__)

STALE_SECONDS = 60.0
"""Seconds without a write after which a run file with status "running" counts as abandoned."""


class Registry:
    """Jobs of this server by id. If more than `keep` have ended, the oldest are dropped; their files remain."""

    def __init__(self, keep: int = 20) -> None:
        self._jobs: dict[str, Job] = {}
        self._keep = keep
        self._queues: dict[str, JobQueue] = {}
        self._lock = threading.RLock()

    def create(self, experiment: Experiment, config: Config) -> Job:
        """Create a job without starting it."""
        path = run_file.new_run_path(experiment.name, run_file.runs_folder())
        with self._lock:
            job = Job(experiment, config, path=path, queue=self._queue(config))
            self._jobs[job.id] = job
            self._drop_ended()
        return job

    def get(self, name: str) -> Job | None:
        """Job with this id, None if it is not in the registry."""
        with self._lock:
            return self._jobs.get(name)

    def find(self, name: str) -> Job | None:
        """Job with this id, opened from its run file if it is not in the registry; None if there is no such file.

        Raises ValueError for a file that cannot be read, an unknown experiment or invalid settings.
        """
        with self._lock:
            job = self._jobs.get(name)
            path = run_file.runs_folder() / f"{name}.nc"
            if job is not None or not re.fullmatch(r"[\w-]+", name) or not path.exists():
                return job
            run = run_file.read_run(path)
            experiment = experiments.get(run.experiment)
            config = experiment.Config(**run.config)
            job = self._jobs[name] = Job(experiment, config, path=path, run=run, queue=self._queue(config))
            job.open()
            return job

    def interrupted(self, states: Mapping[str, str] | None = None) -> list[str]:
        """Ids of runs interrupted by the end of a server: status "interrupted", or "running" without a recent write.

        states: status of every run by id; None: read from the files.
        """
        folder = run_file.runs_folder()
        if states is None:
            states = {run.path.stem: run.status for run in run_file.list_runs(folder)}
        return [
            name for name, state in states.items() if self.get(name) is None and _was_interrupted(folder, name, state)
        ]

    def forget(self, name: str) -> None:
        """Remove a job that is not active."""
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and job.state not in ACTIVE:
                job.stop()
                del self._jobs[name]

    def close(self, seconds: float = 10.0) -> None:
        """Interrupt every run, and wait at most `seconds` in total until their files are written."""
        jobs = [job for job in self if job.state in (*ACTIVE, "paused")]
        for job in jobs:
            job.interrupt()
        end = time.monotonic() + seconds
        for job in jobs:
            if not job.wait(max(0.0, end - time.monotonic())):
                logger.warning("run %s was not saved in time; its file has the last saved state", job.id)
        for job in self:
            job.end_process()

    def _queue(self, config: Config) -> JobQueue:
        return self._queues.setdefault(device(config), JobQueue(places()))

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def _drop_ended(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.state in HALTED]
        for name in ended[: max(0, len(ended) - self._keep)]:
            del self._jobs[name]


def _was_interrupted(folder: Path, name: str, state: str) -> bool:
    if state != "running":
        return state == "interrupted"
    path = folder / f"{name}.nc"
    return path.exists() and time.time() - path.stat().st_mtime > STALE_SECONDS


registry = Registry()


@cache
def close_at_exit() -> None:
    """Register `registry.close` for the exit of this process, which must be a server; once per process.

    At exit the interpreter stops daemon threads inside compiled code without releasing their locks, and has been
    observed to wait for such a lock forever. The process therefore exits as soon as the runs are saved.
    """

    def save_and_exit() -> None:
        registry.close()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    atexit.register(save_and_exit)
