"""Every run: those this server holds as they are now, all others as their files say; a file is read when it changes."""

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
    """One run, in numbers; `state` as of its job, else of its file, "unreadable" where the file is."""

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
        """The training mode, "" where the experiment has none."""
        return str(self.config.get("mode", ""))

    @property
    def title(self) -> str:
        """The title of the experiment; its name where it is not known here."""
        return experiments.get(self.experiment).title if self.experiment in experiments.names() else self.experiment


class RunIndex:
    """The runs of a folder and of a registry. Kept by the server, used by all of its sessions."""

    def __init__(self, jobs: Registry) -> None:
        self._jobs = jobs
        self._known = {}
        self._lock = threading.Lock()

    def rows(self) -> dict[str, RunEntry]:
        """Every run by its id, newest first."""
        folder = run_file.runs_folder()
        tags = run_file.read_tags(folder)
        found = {path.stem: _row(summary) for path, summary in self._summaries(folder).items()}
        cut = self._jobs.interrupted({name: row.state for name, row in found.items()})
        found |= {name: replace(found[name], state="interrupted") for name in cut}
        for job in self._jobs:
            found[job.id] = _live(job, found.get(job.id))
        rows = [replace(row, tags=tuple(tags.get(name, ()))) for name, row in found.items()]
        return {row.id: row for row in sorted(rows, key=lambda row: (row.created, row.id), reverse=True)}

    def _summaries(self, folder: Path) -> dict[Path, Summary]:
        with self._lock:
            there = {}
            for path in folder.glob("*.nc"):
                try:
                    stamp = path.stat().st_mtime_ns
                    known = self._known.get(path)
                    there[path] = known if known and known[0] == stamp else (stamp, run_file.summarise(path))
                except FileNotFoundError:  # deleted since the listing
                    continue
            self._known = there
            return {path: summary for path, (_, summary) in there.items()}


listing = RunIndex(registry)


def _row(summary: Summary) -> RunEntry:
    if summary.error:
        return RunEntry(summary.path.stem, summary.path, state="unreadable", message=summary.error)
    same = ("experiment", "config", "message", "created", "steps", "total", "best", "last", "metrics")
    return RunEntry(
        summary.path.stem, summary.path, state=summary.status, **{name: getattr(summary, name) for name in same}
    )


def _live(job: Any, file: RunEntry | None) -> RunEntry:
    """The row of a job; what only its file knows is taken from there."""
    snapshot = job.snapshot()
    row = file or RunEntry(job.id, job.path, best=snapshot.best, created=job.created)
    return replace(
        row,
        experiment=job.experiment.name,
        config=job.config.model_dump(mode="json"),
        state=snapshot.state,
        message=snapshot.message or row.message,
        steps=snapshot.step,
        total=snapshot.total,
        last=snapshot.loss,
        best=min(snapshot.best, row.best) if row.best == row.best else snapshot.best,
        metrics=job.report.metrics if job.report is not None else row.metrics,
        position=snapshot.position,
        held=True,
    )
