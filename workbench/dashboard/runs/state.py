"""State of the Runs page in one session: filter, order, selection, actions on the selected runs. No widgets."""

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
from workbench.jobs.registry import Registry, registry
from workbench.jobs.run_index import RunEntry, RunIndex, listing
from workbench.jobs.state import ACTIVE, RESUMABLE
from workbench.training import run_file

COLUMNS = ("run", "experiment", "mode", "status", "steps", "last", "best", "rmse", "created", "tags")
STATUSES = ("all", "active", "interrupted", "finished", "stopped", "failed")
MAX_CURVES = 8
MAX_POINTS = 1500
MAX_ROWS = 200


class RunsConfig(PageConfig):
    """Settings of the Runs page, stored in its URL."""

    search: str = setting("", "Show only runs whose name, experiment, mode, tags or settings contain this text.")
    status: Literal[STATUSES] = setting("all", "Show only runs with this status.")
    sort: str = setting("-created", "Sort column, prefixed with a minus sign for descending order.")
    select: str = setting("", "Selected runs, separated by commas.")
    curve: str = setting("loss", "Metric of the curves.")
    over: Literal["step", "seconds"] = setting("step", "Horizontal axis of the curves.")
    scale: Literal["log", "linear"] = setting("log", "Vertical scale of the curves.")

    @field_validator("sort")
    @classmethod
    def _column_exists(cls, value: str) -> str:
        if value.removeprefix("-") not in COLUMNS:
            raise ValueError(f"expected one of {', '.join(COLUMNS)}, not {value}")
        return value


class RunsState(PageState):
    """Filter, order and selection of one session."""

    Config = RunsConfig
    title = "the Runs page"

    def __init__(self, search: str = "", jobs: Registry = registry, run_index: RunIndex = listing) -> None:
        super().__init__()
        self.jobs = jobs
        self.rows = {}
        self._run_index = run_index
        self.reload()
        self.read(search)

    def bind(self, widget: Any, field: str, parameter: str = "value") -> None:
        """Set `field` when a parameter of a widget changes."""

        def changed(event: Any) -> None:
            if event.new is not None and event.new != self.values()[field]:
                self.enter(field, event.new)

        widget.param.watch(changed, parameter)

    def reload(self) -> None:
        """Update the rows from the folder and the jobs; `revision` increases if they have changed."""
        rows = self._run_index.rows()
        if rows != self.rows:
            self.rows = rows
            self.revision += 1

    # table

    def read(self, search: str) -> None:
        """See `PageState.read`; runs that do not exist become a notice."""
        super().read(search)
        missing = [name for name in self._names() if name not in self.rows]
        if missing:
            self.notify(Notice("warning", f"The URL requests runs that do not exist: {', '.join(missing)}."))
            self.select([name for name in self._names() if name in self.rows])

    def visible(self) -> list[RunEntry]:
        """Runs that match the filter, in order; at most MAX_ROWS."""
        config = self.config or RunsConfig()
        rows = [row for row in self.rows.values() if _matches(row, config)]
        name = config.sort.removeprefix("-")
        rows.sort(key=lambda row: _sort_key(row, name), reverse=config.sort.startswith("-"))
        return rows[:MAX_ROWS]

    def select(self, names: Sequence[str]) -> None:
        """Select exactly these runs."""
        self.enter("select", ",".join(names))

    def selected(self) -> list[RunEntry]:
        """Selected runs in order of selection, without those hidden by the filter."""
        visible = {row.id: row for row in self.visible()}
        return [visible[name] for name in self._names() if name in visible]

    def _names(self) -> list[str]:
        return [name for name in dict.fromkeys(str(self.values()["select"]).split(",")) if name]

    def interrupted(self) -> list[RunEntry]:
        """Runs interrupted by a stop of the server."""
        return [row for row in self.rows.values() if row.state == "interrupted" and not row.held]

    # actions on the selected runs

    def enabled(self) -> dict[str, bool]:
        """Whether each action is available."""
        runs = self.selected()
        is_single = len(runs) == 1 and runs[0].state != "unreadable"
        return {
            "open": is_single,
            "resume": any(row.state in RESUMABLE for row in runs),
            "export": is_single and runs[0].path.exists(),
            "delete": bool(runs) and all(row.state not in ACTIVE for row in runs),
            "tag": bool(runs),
        }

    def resume(self, rows: Sequence[RunEntry] | None = None) -> list[str]:
        """Resume the given runs, by default the selected ones, where possible; return the ids of the resumed runs."""
        resumed = []
        for row in self.selected() if rows is None else rows:
            if row.state not in RESUMABLE:
                continue
            try:
                job = self.jobs.find(row.id)
                job.resume()
                resumed.append(row.id)
            except Exception as error:
                self.notify(Notice("error", f"Run {row.id} cannot be resumed: {error}", repr(error)))
        self.reload()
        return resumed

    def delete(self) -> None:
        """Delete the files and jobs of the selected runs, except active ones."""
        for row in self.selected():
            self.jobs.forget(row.id)
            if self.jobs.get(row.id) is not None:
                self.notify(Notice("warning", f"Run {row.id} is active; stop it first."))
                continue
            row.path.unlink(missing_ok=True)
        self.reload()
        self.select([name for name in self._names() if name in self.rows])

    def tags(self) -> list[str]:
        """Tags common to all selected runs."""
        tags = [row.tags for row in self.selected()]
        return [tag for tag in tags[0] if all(tag in other for other in tags)] if tags else []

    def tag(self, text: str) -> None:
        """Replace the common tags of the selected runs by comma-separated tags; other tags are kept."""
        common, folder = self.tags(), run_file.runs_folder()
        new = [tag for tag in map(str.strip, text.split(",")) if tag]
        others = {row.id: [tag for tag in row.tags if tag not in common] for row in self.selected()}
        tags = {name: list(dict.fromkeys([*own, *new])) for name, own in others.items()}
        run_file.write_tags(folder, {**run_file.read_tags(folder), **tags})
        self.reload()

    def export(self, name: str) -> tuple[str, bytes]:
        """File name and content of the selected run in one of `exports.FORMATS`."""
        row = self.selected()[0]
        suffix, export = exports.FORMATS[name]
        return f"{row.id}{suffix}", export(row.path)

    # curves and settings of the selected runs

    def metrics(self) -> list[str]:
        """Metrics recorded by any selected run."""
        return sorted({name for row in self.selected()[:MAX_CURVES] for name in self._columns(row)} - {"seconds"})

    def curves(self) -> list[tuple[RunEntry, np.ndarray, np.ndarray]]:
        """Run, step or time, and selected metric of every selected run."""
        config = self.config or RunsConfig()
        curves = []
        for row in self.selected()[:MAX_CURVES]:
            columns = self._columns(row)
            if config.curve in columns:
                curves.append((row, columns[config.over], columns[config.curve]))
        return curves

    def _columns(self, row: RunEntry) -> dict[str, np.ndarray]:
        job = self.jobs.get(row.id)
        if job is not None and job.snapshot().step:
            records = job.read(Cursor())[0]
            names = records[-1].metrics if records else {}
            columns = {name: np.array([r.metrics.get(name, math.nan) for r in records]) for name in names}
            return columns | {name: np.array([getattr(r, name) for r in records]) for name in ("step", "seconds")}
        return _columns_of_file(row)

    def difference(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Ids of the selected runs, and the settings in which they differ (all settings of a single run)."""
        runs = [row for row in self.selected() if row.state != "unreadable"]
        configs = [{"experiment": row.experiment, **row.config} for row in runs]
        names = dict.fromkeys(name for config in configs for name in config)
        rows = [(name, [settings.format_value(c[name]) if name in c else "–" for c in configs]) for name in names]
        if len(runs) > 1:
            rows = [(name, values) for name, values in rows if len(set(values)) > 1]
        return [row.id for row in runs], rows


def _columns_of_file(row: RunEntry) -> dict[str, np.ndarray]:
    try:
        records = run_file.read_run(row.path).records
    except (FileNotFoundError, ValueError):
        return {}
    if "step" not in records.coords:
        return {}
    thin = records.isel(step=slice(None, None, -(-records.sizes["step"] // MAX_POINTS)))
    names = [str(name) for name in thin.data_vars if thin[name].dims == ("step",)]
    return {name: thin[name].values for name in ("step", *names) if name not in ("total", "memory_mb")}


def _matches(row: RunEntry, config: RunsConfig) -> bool:
    if config.status != "all" and not (
        row.state == config.status or (config.status == "active" and row.state in ACTIVE)
    ):
        return False
    text = " ".join([row.id, row.title, row.mode, *row.tags, *(f"{k}={v}" for k, v in row.config.items())])
    return all(term in text.lower() for term in config.search.lower().split())


def _sort_key(row: RunEntry, name: str) -> tuple[bool, Any]:
    """Sort key of a column; missing values sort to one end."""
    value = {
        "run": row.id,
        "experiment": row.title,
        "status": row.state,
        "rmse": row.metrics.get("rmse", math.nan),
        "tags": " ".join(row.tags),
    }.get(name, getattr(row, name, ""))
    missing = isinstance(value, float) and not math.isfinite(value)
    return missing, 0.0 if missing else value
