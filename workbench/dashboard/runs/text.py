"""Table cells, legends and comparison tables of the Runs page."""

import math
from collections.abc import Sequence
from html import escape

from workbench.jobs.run_index import RunEntry
from workbench.plots.scrolled import scrolled
from workbench.plots.studies import run_overlay

EMPTY = (
    "<p>No runs yet. Press <b>Start</b> on the Train page, or train on the command line. Runs are stored as files in "
    "the folder of runs and listed here.</p>"
)
ABOUT = (
    "<p class='caption'>All runs of this server and of the command line. Select runs to overlay their curves and "
    "compare their settings; click a name to open the run.</p>"
)
FILTER_HINT = "Text in a run's name, data set, mode, tags or settings, e.g. noise=0.1"


def table_row(run: RunEntry) -> dict[str, str]:
    """Row of `forms.table.Table` for a run."""
    queue = f", {run.position} to wait" if run.position else ""
    steps = f"{run.steps:,} of {run.total:,}" if run.total else f"{run.steps:,}"
    return {
        "id": run.id,
        "link": f"?run={run.id}",
        "state": run.state,
        "run": run.id,
        "experiment": run.title,
        "mode": run.mode,
        "status": run.state + queue,
        "steps": "" if run.state == "unreadable" else steps,
        "last": _format(run.last),
        "best": _format(run.best),
        "rmse": _format(run.metrics.get("rmse", math.nan)),
        "created": run.created[:16].replace("T", " "),
        "tags": ", ".join(run.tags) or (run.message[:60] if run.state in ("failed", "unreadable") else ""),
    }


def _format(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "–"


def comparison(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """HTML table with one row per setting and one column per run."""
    if not rows:
        return "<p>The settings are identical.</p>" if names else ""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        for name, values in rows
    )
    head = f"<thead><tr><th scope='col'>setting</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{body}</tbody></table>", "settings")


def legend(runs: Sequence[RunEntry], metric: str) -> str:
    """HTML legend of the curves of a metric."""
    if not runs:
        return f"<p class='caption'>No selected run has records of {escape(metric)}.</p>"
    entry = "<span class='key' style='--line: {}'>{}</span>"
    return "".join(entry.format(run_overlay.color(index), escape(run.id)) for index, run in enumerate(runs))


def interrupted(runs: Sequence[RunEntry]) -> str:
    """HTML message that names interrupted runs."""
    names = ", ".join(escape(run.id) for run in runs[:5]) + (" and more" if len(runs) > 5 else "")
    return f"<p><b>Interrupted when the server stopped:</b> {names}.</p>"
