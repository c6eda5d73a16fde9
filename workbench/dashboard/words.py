"""What the Train page says in words and numbers."""

from html import escape

from workbench.dashboard.jobs import Snapshot
from workbench.dashboard.session import Notice, TrainState

INTRO = """<div class="intro">
<h2>Find the equations behind the data</h2>
<p>Press <b>Start</b>. The run reads the record beside this text, and within seconds you read the equations that
made it, next to the true ones.</p>
<ol>
<li>Choose a data set and how to train on the left. Every setting has a default that works.</li>
<li><b>Start</b> runs to the end; <b>Step</b> does one step and waits.</li>
<li>While it runs: equations, learning curve, trajectory and every coefficient against the truth.</li>
</ol>
<p class="caption">The address of this page holds all settings and the run: reload it, or send it to someone, and they
see the same.</p>
</div>"""

OWN = """<div class="intro">
<h2>Find the equations in your own data</h2>
<p><b>Upload</b> a CSV, Parquet, HDF5 or NetCDF file on the left: a time column, and a column for each variable. Below
stands what was read; it is an example until you do. Then press <b>Start</b>: every setting is told from the data.</p>
</div>"""

STATES = {"running": "Running", "paused": "Paused", "stopped": "Stopped", "finished": "Finished", "failed": "Failed"}
SETTLING = {"pausing": "Pausing", "stopping": "Stopping"}


def chip(snapshot: Snapshot | None) -> str:
    """The state of the run as a coloured word."""
    if snapshot is None:
        return '<span class="chip" role="status">Ready</span>'
    word = SETTLING.get(snapshot.settling, STATES[snapshot.state])
    return f'<span class="chip {snapshot.state}" role="status">{word}</span>'


def numbers(snapshot: Snapshot | None, *, wrong: bool, changed: bool) -> str:
    """Step, time and memory of the run, what to do next, and how far it is."""
    hint = "Correct the marked setting, then press Start." if wrong else ""
    if snapshot is None:
        return f'<div class="numbers"><span class="unit">{hint or "Press Start."}</span></div>'
    if changed and not wrong:
        hint = "The settings differ from those of this run."
    if snapshot.state == "stopped" and not hint:
        hint = "The best state is kept. Resume goes on."
    parts = [
        f"<span>step <b>{snapshot.step:,}</b> <span class='unit'>of {snapshot.total:,}</span></span>",
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
    return "".join(_notice(notice) for notice in shown)


def _notice(notice: Notice) -> str:
    fold = f"<details><summary>Details</summary><pre>{escape(notice.details)}</pre></details>" if notice.details else ""
    return f'<div class="notice {notice.severity}" role="alert">{escape(notice.text)}{fold}</div>'
