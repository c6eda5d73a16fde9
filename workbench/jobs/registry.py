"""The jobs of this server: made, found again by their ids, and kept when the server ends."""

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
from workbench.jobs.job import ACTIVE, HALTED, Job
from workbench.jobs.queue import JobQueue, device, places
from workbench.training import run_file

logger = logging.getLogger(__name__)

LONG_UNWRITTEN = 60.0
"""Seconds after which a run file that says "running" belongs to nobody any more."""


class Registry:
    """The jobs of this server by id. Beyond `keep` jobs at an end, the oldest are let go: their files stay."""

    def __init__(self, keep: int = 20) -> None:
        self._jobs = {}
        self._keep = keep
        self._lines = {}
        self._lock = threading.RLock()

    def create(self, experiment: Experiment, config: Config) -> Job:
        """A new job, not started."""
        path = run_file.new_run_path(experiment.name, run_file.runs_folder())
        with self._lock:
            job = Job(experiment, config, path=path, line=self._line(config))
            self._jobs[job.id] = job
            self._let_go()
        return job

    def get(self, name: str) -> Job | None:
        """The job of this id, None if this server does not hold it."""
        with self._lock:
            return self._jobs.get(name)

    def find(self, name: str) -> Job | None:
        """The job of this id; one that the server does not hold is opened from its run file, None if there is none.

        Raises what `runs.read_run` raises for a file that cannot be read.
        """
        with self._lock:
            job = self._jobs.get(name)
            path = run_file.runs_folder() / f"{name}.nc"
            if job is not None or not re.fullmatch(r"[\w-]+", name) or not path.exists():
                return job
            run = run_file.read_run(path)
            experiment = experiments.get(run.experiment)
            config = experiment.Config(**run.config)
            job = self._jobs[name] = Job(experiment, config, path=path, run=run, line=self._line(config))
            job.open()
            return job

    def interrupted(self, states: Mapping[str, str] | None = None) -> list[str]:
        """The runs that a stop of the server has cut short: those that say so, and those that say "running" although
        nothing has written them for a while. states: of every run by its id; None: the files are asked."""
        folder = run_file.runs_folder()
        if states is None:
            states = {run.path.stem: run.status for run in run_file.list_runs(folder)}
        return [name for name, state in states.items() if self.get(name) is None and _is_cut(folder, name, state)]

    def forget(self, name: str) -> None:
        """Let go of a job that is not active."""
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and job.state not in ACTIVE:
                job.stop()
                del self._jobs[name]

    def close(self, seconds: float = 10.0) -> None:
        """Interrupt every run and wait until their files are written, at most so long in all."""
        jobs = [job for job in self if job.state in (*ACTIVE, "paused")]
        for job in jobs:
            job.interrupt()
        end = time.monotonic() + seconds
        for job in jobs:
            if not job.wait(max(0.0, end - time.monotonic())):
                logger.warning("run %s was not saved in time; its file holds what was saved before", job.id)
        for job in self:
            job.end_process()

    def _line(self, config: Config) -> JobQueue:
        return self._lines.setdefault(device(config), JobQueue(places()))

    def __iter__(self) -> Iterator[Job]:
        with self._lock:
            return iter(list(self._jobs.values()))

    def _let_go(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.state in HALTED]
        for name in ended[: max(0, len(ended) - self._keep)]:
            del self._jobs[name]


def _is_cut(folder: Path, name: str, state: str) -> bool:
    if state != "running":
        return state == "interrupted"
    path = folder / f"{name}.nc"
    return path.exists() and time.time() - path.stat().st_mtime > LONG_UNWRITTEN


registry = Registry()


@cache
def close_at_exit() -> None:
    """Once per process, which must be a server: let its end interrupt its runs, keep them, and be the end.

    The interpreter's own end stops daemon threads in the middle of compiled code, with the locks that they hold, and
    was seen to wait for such a lock for ever. Nothing is left to do after the runs are kept, so it is cut short.
    """

    def end() -> None:
        registry.close()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

    atexit.register(end)
