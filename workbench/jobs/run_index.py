"""Index of all runs: jobs of this server, and run files, which are read when they change."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.jobs.registry import Registry, registry
from workbench.training import run_file
from workbench.training.run_file import Summary


@dataclass(frozen=True)
class RunEntry:
    """Summary of one run. `state` is that of its job, else of its file; "unreadable" if the file cannot be read.

    held: whether the registry has a job of this run.
    """

    id: str
    path: Path
    experiment: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    message: str = ""
    created: str = ""
    steps: int = 0
    total: int = 0
    best: float = float("nan")
    last: float = float("nan")
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    position: int = 0
    held: bool = False

    @property
    def mode(self) -> str:
        """Training mode, "" if the experiment has none."""
        return str(self.config.get("mode", ""))

    @property
    def title(self) -> str:
        """Title of the experiment; its name if there is no such experiment."""
        return experiments.get(self.experiment).title if self.experiment in experiments.names() else self.experiment


class RunIndex:
    """Runs of the folder of runs and of a registry, shared by all sessions of the server."""

    def __init__(self, jobs: Registry) -> None:
        self._jobs = jobs
        self._cache: dict[Path, tuple[int, Summary]] = {}
        self._lock = threading.Lock()

    def rows(self) -> dict[str, RunEntry]:
        """All runs by id, newest first."""
        folder = run_file.runs_folder()
        tags = run_file.read_tags(folder)
        entries = {path.stem: _from_file(summary) for path, summary in self._summaries(folder).items()}
        interrupted = self._jobs.interrupted({name: entry.state for name, entry in entries.items()})
        entries |= {name: replace(entries[name], state="interrupted") for name in interrupted}
        for job in self._jobs:
            entries[job.id] = _from_job(job, entries.get(job.id))
        tagged = [replace(entry, tags=tuple(tags.get(name, ()))) for name, entry in entries.items()]
        return {entry.id: entry for entry in sorted(tagged, key=lambda entry: (entry.created, entry.id), reverse=True)}

    def _summaries(self, folder: Path) -> dict[Path, Summary]:
        with self._lock:
            current = {}
            for path in folder.glob("*.nc"):
                try:
                    modified = path.stat().st_mtime_ns
                    cached = self._cache.get(path)
                    if cached is None or cached[0] != modified:
                        cached = modified, run_file.summarise(path)
                    current[path] = cached
                except FileNotFoundError:  # deleted since the listing
                    continue
            self._cache = current
            return {path: summary for path, (_, summary) in current.items()}


listing = RunIndex(registry)


def _from_file(summary: Summary) -> RunEntry:
    if summary.error:
        return RunEntry(summary.path.stem, summary.path, state="unreadable", message=summary.error)
    shared = ("experiment", "config", "message", "created", "steps", "total", "best", "last", "metrics")
    return RunEntry(
        summary.path.stem, summary.path, state=summary.status, **{name: getattr(summary, name) for name in shared}
    )


def _from_job(job: Any, file: RunEntry | None) -> RunEntry:
    """Entry of a job, completed from that of its file."""
    snapshot = job.snapshot()
    entry = file or RunEntry(job.id, job.path, best=snapshot.best, created=job.created)
    return replace(
        entry,
        experiment=job.experiment.name,
        config=job.config.model_dump(mode="json"),
        state=snapshot.state,
        message=snapshot.message or entry.message,
        steps=snapshot.step,
        total=snapshot.total,
        last=snapshot.loss,
        best=min(snapshot.best, entry.best) if entry.best == entry.best else snapshot.best,
        metrics=job.report.metrics if job.report is not None else entry.metrics,
        position=snapshot.position,
        held=True,
    )
