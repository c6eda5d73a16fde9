"""What the Train page says in words and numbers."""

import math
import traceback
from collections.abc import Sequence
from html import escape

from workbench.dashboard.forms.page_state import Notice
from workbench.dashboard.train.state import TrainState
from workbench.jobs.job import Snapshot
from workbench.jobs.run_index import RunEntry
from workbench.plots.scrolled import scrolled

INTRO = """<div class="intro">
<h2>Find the equations behind the data</h2>
<p>Press <b>Start</b>. The run reads the record that is shown here, and you watch what it learns from it, next to the
truth where that is known: equations within seconds, or a forecast for waves and oceans.</p>
<ol>
<li>Choose a data set and how to train on the left. Every setting has a default that works.</li>
<li><b>Start</b> runs to the end; <b>Step</b> does one step and waits.</li>
<li>While it runs: equations, learning curve, trajectory or field, and every coefficient against the truth.</li>
</ol>
<p class="caption">The address of this page holds all settings and the run: reload it, or send it to someone, and they
see the same.</p>
</div>"""

OWN = """<div class="intro">
<h2>Find the equations in your own data</h2>
<p><b>Upload</b> a CSV, Parquet, HDF5 or NetCDF file on the left: a time column, and a column for each variable. Below
stands what was read; it is an example until you do. Then press <b>Start</b>: every setting is told from the data.</p>
</div>"""

STATES = {
    "running": "Running",
    "queued": "Queued",
    "paused": "Paused",
    "stopped": "Stopped",
    "interrupted": "Interrupted",
    "finished": "Finished",
    "failed": "Failed",
}
SETTLING = {"pausing": "Pausing", "stopping": "Stopping"}


def chip(snapshot: Snapshot | None) -> str:
    """The state of the run as a coloured word."""
    if snapshot is None:
        return '<span class="chip" role="status">Ready</span>'
    word = SETTLING.get(snapshot.settling, STATES[snapshot.state])
    return f'<span class="chip {snapshot.state}" role="status">{word}</span>'


def numbers(snapshot: Snapshot | None, *, wrong: bool, changed: bool, replays: bool = False) -> str:
    """Step, time and memory of the run, what to do next, and how far it is."""
    hint = "Correct the marked setting, then press Start." if wrong else ""
    if snapshot is None:
        moves = " What moves below is a stored run, with settings of its own." if replays else ""
        return f'<div class="numbers"><span class="unit">{hint or "Press Start." + moves}</span></div>'
    if changed and not wrong:
        hint = "The settings differ from those of this run."
    if snapshot.state in ("stopped", "interrupted") and not hint:
        hint = "The best state is kept. Resume goes on." if snapshot.step else "No step was made. Resume begins."
    if snapshot.state == "running" and not snapshot.total:
        hint = "Making the data and the model …"
    if snapshot.position:
        ahead = "next" if snapshot.position == 1 else f"number {snapshot.position}"
        hint = f"Waiting for other runs to halt: {ahead} in line."
    upto = "of ≤" if snapshot.state == "finished" and snapshot.step < snapshot.total else "of"
    parts = [
        f"<span>step <b>{snapshot.step:,}</b> <span class='unit'>{upto} {snapshot.total:,}</span></span>",
        f"<span><b>{snapshot.seconds:.1f}</b> <span class='unit'>s</span></span>",
        f"<span><b>{_short(snapshot.ms_per_step)}</b> <span class='unit'>ms/step</span></span>",
        f"<span><b>{snapshot.memory_mb:,.0f}</b> <span class='unit'>MB</span></span>",
        f"<span class='unit hint'>{hint}</span>" if hint else "",
    ]
    return f'<div class="numbers">{"".join(parts)}</div>{_progress(snapshot)}'


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def _progress(snapshot: Snapshot) -> str:
    """How far the run is, as a bar; a run that finished early is at its end."""
    if snapshot.total == 0:
        return ""
    share = 1.0 if snapshot.state == "finished" else min(1.0, snapshot.step / snapshot.total)
    values = f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * share:.0f}"'
    return (
        f'<div class="progress" role="progressbar" aria-label="steps" {values}><i style="width:{share:.2%}"></i></div>'
    )


def notices(state: TrainState) -> str:
    """The notices of the session, what is wrong with its data, and why the watched run failed, as HTML."""
    shown = list(state.notices)
    if "" in state.errors:
        shown.append(Notice("warning", state.errors[""]))
    if state.job is None and state.preview.error:
        shown.append(Notice("error", state.preview.error))
    if state.job is not None and (snapshot := state.job.snapshot()).state == "failed":
        advice = "Change a setting and press Start for a new run; nothing else on this server is affected."
        shown.append(
            Notice(
                "error", f"The run failed after step {snapshot.step}: {snapshot.message}. {advice}", snapshot.details
            )
        )
    return listed(shown)


def listed(notices: Sequence[Notice]) -> str:
    """Notices as HTML."""
    return "".join(_notice(notice) for notice in notices)


def failed(what: str, error: Exception) -> Notice:
    """The notice of something that went wrong; the traceback folds away."""
    text = str(error) or type(error).__name__
    return Notice("error", f"{what}: {text}", "".join(traceback.format_exception(error)))


def run_cells(row: RunEntry) -> dict[str, str]:
    """What the table of runs says of one."""
    position = f", {row.position} to wait" if row.position else ""
    steps = f"{row.steps:,} of {row.total:,}" if row.total else f"{row.steps:,}"
    return {
        "id": row.id,
        "link": f"?run={row.id}",
        "state": row.state,
        "run": row.id,
        "experiment": row.title,
        "mode": row.mode,
        "status": row.state + position,
        "steps": "" if row.state == "unreadable" else steps,
        "last": small(row.last),
        "best": small(row.best),
        "rmse": small(row.metrics.get("rmse", math.nan)),
        "created": row.created[:16].replace("T", " "),
        "tags": ", ".join(row.tags) or (row.message[:60] if row.state in ("failed", "unreadable") else ""),
    }


def small(value: float) -> str:
    """A number in a few characters, a dash where there is none."""
    return f"{value:.3g}" if math.isfinite(value) else "–"


def comparison(names: Sequence[str], lines: Sequence[tuple[str, Sequence[str]]]) -> str:
    """An HTML table: a row per setting, a column per run."""
    if not lines:
        return "<p>They have the same settings.</p>" if names else ""
    head = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>"
        for name, values in lines
    )
    head = f"<thead><tr><th scope='col'>setting</th>{head}</tr></thead>"
    return scrolled(f"<table class='plain'>{head}<tbody>{rows}</tbody></table>", "settings")


def _notice(notice: Notice) -> str:
    fold = f"<details><summary>Details</summary><pre>{escape(notice.details)}</pre></details>" if notice.details else ""
    return f'<div class="notice {notice.severity}" role="alert">{escape(notice.text)}{fold}</div>'
