"""Race of two solvers: the same training with each, in lockstep."""

import threading
from typing import Any

from workbench import experiments
from workbench.jobs.buffer import Cursor
from workbench.jobs.job import Job
from workbench.jobs.registry import Registry
from workbench.jobs.state import ACTIVE, RESUMABLE

POLL_INTERVAL = 0.2
"""Seconds between checks whether the other job still runs."""


def race_options() -> tuple[str, ...]:
    """Available races: "experiment mode" for every experiment whose Config has a `backend`."""
    options = []
    for name in experiments.names():
        fields = experiments.get(name).Config.model_fields
        if "backend" not in fields:
            continue
        modes = getattr(fields["mode"].annotation, "__args__", ()) if "mode" in fields else ()
        options += [f"{name} {mode}" for mode in modes] or [name]
    return tuple(options)


class Lockstep:
    """Blocks a job before a step while another running job has executed fewer steps. Thread-safe."""

    def __init__(self) -> None:
        self._steps = {}
        self._jobs = []
        self._changed = threading.Condition()

    def add(self, job: Job) -> None:
        """Add a job."""
        self._jobs.append(job)
        job.pace = self

    def __call__(self, job: Job) -> None:
        """Wait before the next step of `job` until no running job is behind it."""
        with self._changed:
            self._steps[job.id] = job.snapshot().step
            self._changed.notify_all()
            while any(self._is_behind(other, job) for other in self._jobs if other is not job):
                self._changed.wait(POLL_INTERVAL)

    def _is_behind(self, other: Job, job: Job) -> bool:
        return other.state == "running" and self._steps.get(other.id, 0) < self._steps[job.id]


class Race:
    """Two runs, `jobs`, of a training ("experiment mode") with different backends, same seed and data.

    Raises ValueError for an unknown experiment, pydantic.ValidationError for an invalid backend or mode.
    """

    def __init__(self, registry: Registry, training: str, backends: tuple[str, str]) -> None:
        name, _, mode = training.partition(" ")
        experiment = experiments.get(name)
        self.training, self.backends = training, backends
        settings = {"mode": mode} if mode else {}
        pace = Lockstep()
        self.jobs = [registry.create(experiment, experiment.Config(**settings, backend=b)) for b in backends]
        self._cursors = [Cursor(), Cursor()]
        for job in self.jobs:
            pace.add(job)

    def start(self) -> None:
        """Start both."""
        for job in self.jobs:
            job.start()

    def toggle(self) -> None:
        """Pause both if either is active, else resume those that can be resumed."""
        is_active = any(job.state in ACTIVE for job in self.jobs)
        for job in self.jobs:
            if is_active:
                job.pause()
            elif job.state in RESUMABLE:
                job.resume()

    def stop(self) -> None:
        """Stop both; their files are kept."""
        for job in self.jobs:
            job.stop()

    @property
    def version(self) -> tuple[int, ...]:
        """Changes with either job."""
        return tuple(job.version for job in self.jobs)

    @property
    def state(self) -> str:
        """State of the race: "running" if either job is active, else "paused" if either is paused, else "over"."""
        states = {job.state for job in self.jobs}
        if states & set(ACTIVE):
            return "running"
        return "paused" if "paused" in states else "over"

    def records(self, index: int) -> tuple[list[Any], bool]:
        """New records of one job, and whether to clear its curves first."""
        records, self._cursors[index], restart = self.jobs[index].read(self._cursors[index])
        return records, restart

    def rewind(self, index: int) -> None:
        """Make `records` of one job start from the first."""
        self._cursors[index] = Cursor()
