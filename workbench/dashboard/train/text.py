"""Texts and progress display of the Train page."""

from workbench.dashboard.forms.page_state import Notice
from workbench.dashboard.train.state import TrainState
from workbench.jobs.job import Snapshot

INTRO = """<div class="intro">
<h2>Discover the equations behind the data</h2>
<p>Press <b>Start</b> to train on the data shown here and compare the result with the truth: equations within seconds,
or a forecast for waves and oceans.</p>
<ol>
<li>Select a data set and settings on the left. Every default works.</li>
<li><b>Start</b> trains to the end; <b>Step</b> executes one step and pauses.</li>
<li>During training: equations, learning curve, trajectory or field, and every coefficient against the truth.</li>
</ol>
<p class="caption">The URL of this page contains all settings and the run: reload or share it to see the same page.</p>
</div>"""

UPLOAD_INTRO = """<div class="intro">
<h2>Discover the equations in your own data</h2>
<p><b>Upload</b> a CSV, Parquet, HDF5 or NetCDF file on the left, with a time column and one column per variable. The
data are summarised below; until then, an example is shown. Then press <b>Start</b>: every setting is estimated from
the data.</p>
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
    """Status of the run as a coloured label (HTML)."""
    if snapshot is None:
        return '<span class="chip" role="status">Ready</span>'
    label = SETTLING.get(snapshot.settling, STATES[snapshot.state])
    return f'<span class="chip {snapshot.state}" role="status">{label}</span>'


def numbers(snapshot: Snapshot | None, *, is_invalid: bool, is_changed: bool, is_replay: bool = False) -> str:
    """Step, time and memory of the run, a hint, and a progress bar (HTML).

    is_invalid: a setting is invalid. is_changed: the settings differ from those of the run. is_replay: a stored run is
    being replayed.
    """
    hint = _hint(snapshot, is_invalid=is_invalid, is_changed=is_changed, is_replay=is_replay)
    if snapshot is None:
        return f'<div class="numbers"><span class="unit">{hint}</span></div>'
    total_prefix = "of ≤" if snapshot.state == "finished" and snapshot.step < snapshot.total else "of"
    parts = [
        f"<span>step <b>{snapshot.step:,}</b> <span class='unit'>{total_prefix} {snapshot.total:,}</span></span>",
        f"<span><b>{snapshot.seconds:.1f}</b> <span class='unit'>s</span></span>",
        f"<span><b>{_format(snapshot.ms_per_step)}</b> <span class='unit'>ms/step</span></span>",
        f"<span><b>{snapshot.memory_mb:,.0f}</b> <span class='unit'>MB</span></span>",
        f"<span class='unit hint'>{hint}</span>" if hint else "",
    ]
    return f'<div class="numbers">{"".join(parts)}</div>{_progress(snapshot)}'


def _hint(snapshot: Snapshot | None, *, is_invalid: bool, is_changed: bool, is_replay: bool) -> str:
    """Next action, or what the run is waiting for; "" if there is nothing to say."""
    if snapshot is not None and snapshot.position:
        place = "next" if snapshot.position == 1 else f"number {snapshot.position}"
        return f"Waiting for other runs: {place} in the queue."
    if snapshot is not None and snapshot.state == "running" and not snapshot.total:
        return "Preparing the data and the model …"
    if is_invalid:
        return "Correct the marked setting, then press Start."
    if snapshot is None:
        return "Press Start." + (" The animation below is a stored run with different settings." if is_replay else "")
    if is_changed:
        return "The settings differ from those of this run."
    if snapshot.state in ("stopped", "interrupted"):
        return "The best state is kept; Resume continues." if snapshot.step else "No step was executed; Resume starts."
    return ""


def _format(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def _progress(snapshot: Snapshot) -> str:
    """Progress bar; full for a finished run, even if it stopped early."""
    if snapshot.total == 0:
        return ""
    fraction = 1.0 if snapshot.state == "finished" else min(1.0, snapshot.step / snapshot.total)
    values = f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{100 * fraction:.0f}"'
    return (
        f'<div class="progress" role="progressbar" aria-label="steps" {values}>'
        f'<i style="width:{fraction:.2%}"></i></div>'
    )


def notices(state: TrainState) -> list[Notice]:
    """Notices of the session, and errors of its settings, its data and the displayed run."""
    result = list(state.notices)
    if "" in state.errors:
        result.append(Notice("warning", state.errors[""]))
    if state.job is None and state.preview.error:
        result.append(Notice("error", state.preview.error))
    if state.job is not None and (snapshot := state.job.snapshot()).state == "failed":
        advice = "Change a setting and press Start for a new run; nothing else on this server is affected."
        text = f"The run failed after step {snapshot.step}: {snapshot.message}. {advice}"
        result.append(Notice("error", text, snapshot.details))
    return result
