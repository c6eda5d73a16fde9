"""Two trainings, same seed and data, another solver each, in step: neither begins a step before the other is as far."""

import threading
from typing import Any

from workbench import experiments
from workbench.jobs.buffer import Cursor
from workbench.jobs.job import ACTIVE, GOES_ON, Job
from workbench.jobs.registry import Registry

LOOK = 0.2
"""Seconds after which who waits looks whether the other still runs."""


def courses() -> tuple[str, ...]:
    """What can be raced: "experiment mode" for every experiment whose Config has a `backend`."""
    found = []
    for name in experiments.names():
        fields = experiments.get(name).Config.model_fields
        if "backend" not in fields:
            continue
        modes = getattr(fields["mode"].annotation, "__args__", ()) if "mode" in fields else ()
        found += [f"{name} {mode}" for mode in modes] or [name]
    return tuple(found)


class Lockstep:
    """Holds the faster one. Safe to call from the threads of the jobs."""

    def __init__(self) -> None:
        self._done = {}
        self._jobs = []
        self._changed = threading.Condition()

    def join(self, job: Job) -> None:
        """Let a job take part."""
        self._jobs.append(job)
        job.pace = self

    def __call__(self, job: Job) -> None:
        """The job is about to begin a step: wait while another that runs has done fewer."""
        with self._changed:
            self._done[job.id] = job.snapshot().step
            self._changed.notify_all()
            while any(self._behind(other, job) for other in self._jobs if other is not job):
                self._changed.wait(LOOK)

    def _behind(self, other: Job, job: Job) -> bool:
        return other.state == "running" and self._done.get(other.id, 0) < self._done[job.id]


class Race:
    """A race over a course ("experiment mode"); `jobs` are its two runs.

    Raises ValueError for an unknown experiment, and pydantic's error for a backend or mode that it does not have.
    """

    def __init__(self, registry: Registry, course: str, backends: tuple[str, str]) -> None:
        name, _, mode = course.partition(" ")
        experiment = experiments.get(name)
        self.course, self.backends = course, backends
        settings = {"mode": mode} if mode else {}
        pace = Lockstep()
        self.jobs = [registry.create(experiment, experiment.Config(**settings, backend=b)) for b in backends]
        self._cursors = [Cursor(), Cursor()]
        for job in self.jobs:
            pace.join(job)

    def start(self) -> None:
        """Let both go."""
        for job in self.jobs:
            job.start()

    def toggle(self) -> None:
        """Pause both, or let those go on that can."""
        active = any(job.state in ACTIVE for job in self.jobs)
        for job in self.jobs:
            if active:
                job.pause()
            elif job.state in GOES_ON:
                job.resume()

    def stop(self) -> None:
        """Stop both; their files stay."""
        for job in self.jobs:
            job.stop()

    @property
    def version(self) -> tuple[int, ...]:
        """Changes with either job."""
        return tuple(job.version for job in self.jobs)

    @property
    def state(self) -> str:
        """ "running" while either runs, else "paused" while either can go on, else "over"."""
        states = {job.state for job in self.jobs}
        if states & set(ACTIVE):
            return "running"
        return "paused" if "paused" in states else "over"

    def records(self, index: int) -> tuple[list[Any], bool]:
        """The records of one job that were not read yet, and whether to clear what was drawn first."""
        fresh, self._cursors[index], restart = self.jobs[index].read(self._cursors[index])
        return fresh, restart

    def again(self, index: int) -> None:
        """Let `records` of one job begin again with the first."""
        self._cursors[index] = Cursor()
