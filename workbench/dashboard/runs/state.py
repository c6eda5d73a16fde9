"""The state of the Runs page in one session: filter, order, what is ticked, and what is done with it. No widgets."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from pydantic import field_validator

from workbench.dashboard.forms import settings
from workbench.dashboard.forms.page_state import Notice, PageConfig, PageState
from workbench.dashboard.runs import exports
from workbench.experiments.protocol import setting
from workbench.jobs.buffer import Cursor
from workbench.jobs.job import ACTIVE, GOES_ON
from workbench.jobs.registry import Registry, registry
from workbench.jobs.run_index import RunEntry, RunIndex, listing
from workbench.training import run_file

COLUMNS = ("run", "experiment", "mode", "status", "steps", "last", "best", "rmse", "created", "tags")
SHOWN = ("all", "active", "interrupted", "finished", "stopped", "failed")
MOST_CURVES = 8
MOST_POINTS = 1500
MOST_ROWS = 200


class RunsConfig(PageConfig):
    """What the address of the Runs page holds."""

    search: str = setting("", "Only runs whose name, experiment, mode, tags or settings hold this text.")
    status: Literal[SHOWN] = setting("all", "Only runs in this state.")
    sort: str = setting("-created", "The column that orders the table, after a minus sign if it descends.")
    select: str = setting("", "The runs that are ticked, with commas between them.")
    curve: str = setting("loss", "The metric of the curves.")
    over: Literal["step", "seconds"] = setting("step", "What the curves are drawn over.")
    scale: Literal["log", "linear"] = setting("log", "The scale of the curves.")

    @field_validator("sort")
    @classmethod
    def _known(cls, value: str) -> str:
        if value.removeprefix("-") not in COLUMNS:
            raise ValueError(f"one of {', '.join(COLUMNS)} is needed, not {value}")
        return value


class RunsState(PageState):
    """The runs that one session looks at."""

    Config = RunsConfig
    title = "the Runs page"

    def __init__(self, search: str = "", jobs: Registry = registry, runs_known: RunIndex = listing) -> None:
        super().__init__()
        self.jobs = jobs
        self.rows = {}
        self._listing = runs_known
        self.look()
        self.read(search)

    def look(self) -> None:
        """Look at the folder and the jobs again; `revision` grows if something has changed."""
        rows = self._listing.rows()
        if rows != self.rows:
            self.rows = rows
            self.revision += 1

    # the table

    def read(self, search: str) -> None:
        """See `PageState.read`; a run that is not there is named, too."""
        super().read(search)
        missing = [name for name in self._names() if name not in self.rows]
        if missing:
            self.tell(Notice("warning", f"The address asks for runs that are not there: {', '.join(missing)}."))
            self.select([name for name in self._names() if name in self.rows])

    def visible(self) -> list[RunEntry]:
        """The rows that pass the filter, in order; at most MOST_ROWS."""
        config = self.config or RunsConfig()
        found = [row for row in self.rows.values() if _passes(row, config)]
        name = config.sort.removeprefix("-")
        found.sort(key=lambda row: _key(row, name), reverse=config.sort.startswith("-"))
        return found[:MOST_ROWS]

    def select(self, names: Sequence[str]) -> None:
        """Tick these runs and no other."""
        self.enter("select", ",".join(names))

    def selected(self) -> list[RunEntry]:
        """The ticked runs in view, in the order in which they were: what a filter hides is not acted upon."""
        seen = {row.id: row for row in self.visible()}
        return [seen[name] for name in self._names() if name in seen]

    def _names(self) -> list[str]:
        return [name for name in dict.fromkeys(str(self.shown()["select"]).split(",")) if name]

    def interrupted(self) -> list[RunEntry]:
        """The runs that a stop of a server has cut short."""
        return [row for row in self.rows.values() if row.state == "interrupted" and not row.held]

    # what can be done with what is ticked

    def enabled(self) -> dict[str, bool]:
        """Which buttons make sense now."""
        chosen = self.selected()
        one = len(chosen) == 1 and chosen[0].state != "unreadable"
        return {
            "open": one,
            "resume": any(row.state in GOES_ON for row in chosen),
            "export": one and chosen[0].path.exists(),
            "delete": bool(chosen) and all(row.state not in ACTIVE for row in chosen),
            "tag": bool(chosen),
        }

    def resume(self, rows: Sequence[RunEntry] | None = None) -> list[str]:
        """Go on with those of the ticked (or these) runs that can; the ids of those that do."""
        resumed = []
        for row in self.selected() if rows is None else rows:
            if row.state not in GOES_ON:
                continue
            try:
                job = self.jobs.find(row.id)
                job.resume()
                resumed.append(row.id)
            except Exception as error:
                self.tell(Notice("error", f"Run {row.id} cannot go on: {error}", repr(error)))
        self.look()
        return resumed

    def delete(self) -> None:
        """Delete the files of the ticked runs, and let go of their jobs; one that is active stays."""
        for row in self.selected():
            self.jobs.forget(row.id)
            if self.jobs.get(row.id) is not None:
                self.tell(Notice("warning", f"Run {row.id} is active; stop it first."))
                continue
            row.path.unlink(missing_ok=True)
        self.look()
        self.select([name for name in self._names() if name in self.rows])

    def tags(self) -> list[str]:
        """The tags that every ticked run has."""
        own = [row.tags for row in self.selected()]
        return [tag for tag in own[0] if all(tag in tags for tags in own)] if own else []

    def tag(self, text: str) -> None:
        """Give every ticked run these tags (with commas between them) in place of those that all have; what only some
        have stays with them."""
        common, chosen = self.tags(), self.selected()
        wanted = [word for word in dict.fromkeys(part.strip() for part in text.split(",")) if word]
        kept = {row.id: [tag for tag in row.tags if tag not in common] for row in chosen}
        given = {name: list(dict.fromkeys([*own, *wanted])) for name, own in kept.items()}
        run_file.write_tags(run_file.runs_folder(), {**run_file.read_tags(run_file.runs_folder()), **given})
        self.look()

    def export(self, kind: str) -> tuple[str, bytes]:
        """Name and content of a file made of the ticked run: one of `exports.KINDS`."""
        row = self.selected()[0]
        suffix, make = exports.KINDS[kind]
        return f"{row.id}{suffix}", make(row.path)

    # what is shown of what is ticked

    def metrics(self) -> list[str]:
        """The metrics that any ticked run has records of."""
        return sorted({name for row in self.selected()[:MOST_CURVES] for name in self._columns(row)} - {"seconds"})

    def curves(self) -> list[tuple[RunEntry, np.ndarray, np.ndarray]]:
        """Of every ticked run: step or seconds, and the chosen metric."""
        config = self.config or RunsConfig()
        found = []
        for row in self.selected()[:MOST_CURVES]:
            columns = self._columns(row)
            if config.curve in columns:
                found.append((row, columns[config.over], columns[config.curve]))
        return found

    def _columns(self, row: RunEntry) -> dict[str, np.ndarray]:
        job = self.jobs.get(row.id)
        if job is not None and job.snapshot().step:
            records = job.read(Cursor())[0]
            names = records[-1].metrics if records else {}
            columns = {name: np.array([r.metrics.get(name, math.nan) for r in records]) for name in names}
            return columns | {name: np.array([getattr(r, name) for r in records]) for name in ("step", "seconds")}
        return _columns_of_file(row)

    def difference(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The ids of the ticked runs, and every setting in which they differ (of one run: every setting) with its
        values."""
        chosen = [row for row in self.selected() if row.state != "unreadable"]
        given = [{"experiment": row.experiment, **row.config} for row in chosen]
        names = dict.fromkeys(name for config in given for name in config)
        lines = [(name, [settings.written(c[name]) if name in c else "–" for c in given]) for name in names]
        if len(chosen) > 1:
            lines = [(name, values) for name, values in lines if len(set(values)) > 1]
        return [row.id for row in chosen], lines


def _columns_of_file(row: RunEntry) -> dict[str, np.ndarray]:
    try:
        records = run_file.read_run(row.path).records
    except (FileNotFoundError, ValueError):
        return {}
    if "step" not in records.coords:
        return {}
    thin = records.isel(step=slice(None, None, -(-records.sizes["step"] // MOST_POINTS)))
    names = [str(name) for name in thin.data_vars if thin[name].dims == ("step",)]
    left_out = {"total", "memory_mb"}
    return {name: thin[name].values for name in ("step", *names) if name not in left_out}


def _passes(row: RunEntry, config: RunsConfig) -> bool:
    if config.status != "all" and not (
        row.state == config.status or (config.status == "active" and row.state in ACTIVE)
    ):
        return False
    words = " ".join([row.id, row.title, row.mode, *row.tags, *(f"{k}={v}" for k, v in row.config.items())])
    return all(part in words.lower() for part in config.search.lower().split())


def _key(row: RunEntry, name: str) -> tuple[bool, Any]:
    """What a column orders by; what is missing stands at one end."""
    value = {
        "run": row.id,
        "experiment": row.title,
        "status": row.state,
        "rmse": row.metrics.get("rmse", math.nan),
        "tags": " ".join(row.tags),
    }.get(name, getattr(row, name, ""))
    missing = isinstance(value, float) and not math.isfinite(value)
    return missing, 0.0 if missing else value
