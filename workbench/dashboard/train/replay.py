"""A short stored run that replays on the first visit, until the first Start: something alive, at no cost.

The file beside this module is `thinned(read_run(...))`, written by `write_run`, of

    python -m workbench train lorenz --mode smoothing --noise 1
"""

import math
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from workbench.experiments.equation import LATEX_SPACE, Equation
from workbench.experiments.report import Report
from workbench.jobs.buffer import Cursor
from workbench.jobs.job import Snapshot
from workbench.training import Record, run_file
from workbench.training.run_file import Run

FILE = Path(__file__).with_name("first_run.nc")
RATE = 2.0
"""Frames in a second."""
PAUSE = 5.0
"""Seconds at the end before it begins anew."""
ROUNDS = 3
"""How often it plays; then it stays at its end, so that a forgotten page costs nothing."""


@cache
def stored() -> Run | None:
    """The stored run; None where there is none that can be read."""
    try:
        return run_file.read_run(FILE)
    except (FileNotFoundError, ValueError):
        return None


def thinned(run: Run, path: Path = FILE) -> Run:
    """What a replay needs of a run: its records, its last report, the beginning of its trajectory; no state."""
    shown = run.trajectory[["truth", "data", "estimate"]].isel(time=slice(0, 2000)).astype("float32")
    small = {"state": {}, "best_state": {}, "state_step": 0, "best_step": 0}
    return replace(run, path=path, trajectory=shown, **small)


class Replay:
    """A stored run as a page sees a job: `version`, `snapshot()`, `read(cursor)`, `report` grow with the clock."""

    id = "replay"

    def __init__(self, run: Run) -> None:
        self.experiment_name = run.experiment
        self._run = run
        self._records = [_record(run, index) for index in range(run.steps)]
        self._begin = time.monotonic()
        self._truth = run.trajectory.drop_vars("estimate", errors="ignore")

    @property
    def version(self) -> int:
        """Which frame of which round is shown, as one number."""
        count = len(self._records)
        played = time.monotonic() - self._begin
        length = count / RATE + PAUSE
        around = min(int(played / length), ROUNDS - 1)
        return around * count + min(count - 1, int((played - around * length) * RATE))

    @property
    def frame(self) -> int:
        """Which frame is shown, from 0."""
        return self.version % len(self._records)

    @property
    def report(self) -> Report:
        """What was known at this frame; the simulated trajectory and the numbers at the end."""
        frame, values = self.frame, self._run.coefficients
        over = frame == len(self._records) - 1
        if not over:
            values = values[["estimate", "truth"]].assign(estimate=(values.estimate.dims, self._estimate(frame)))
        return Report(
            equations=_equations(values, "estimate"),
            true_equations=_equations(values, "truth"),
            coefficients=values,
            trajectory=self._run.trajectory if over else self._truth,
            metrics=self._run.metrics if over else {},
        )

    def _estimate(self, frame: int) -> np.ndarray:
        return self._run.records.coefficients.values[frame]

    def snapshot(self) -> Snapshot:
        """As of a job; the equations change with every frame."""
        last, over = self._records[self.frame], self.frame == len(self._records) - 1
        reports = self.version + over
        numbers = (last.step, last.total, last.seconds, math.nan, last.memory_mb, reports, False)
        return Snapshot("replay", "", "", "", *numbers)

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """As of a job: every round starts over."""
        version = self.version
        around, upto = version // len(self._records), version % len(self._records) + 1
        restart = cursor.thinning != around
        return self._records[0 if restart else cursor.count : upto], Cursor(around, upto), restart


def _record(run: Run, index: int) -> Record:
    at = run.records.isel(step=index)
    own = ("total", "seconds", "memory_mb", "coefficients")
    metrics = {str(name): float(at[name]) for name in at.data_vars if name not in own}
    return Record(int(at.step), int(at.total), metrics, at.coefficients.values, float(at.seconds), float(at.memory_mb))


def _equations(values: object, name: str) -> tuple[Equation, ...]:
    """The equations of a Dataset over (candidate, variable), in plain names."""
    made = []
    for variable in values.variable.values:
        own = values[name].sel(variable=variable)
        pairs = [(float(c), str(text)) for c, text in zip(own.values, values.candidate.values, strict=True) if c]
        terms = tuple((c, text.replace(" ", LATEX_SPACE), text) for c, text in pairs)
        made.append(Equation(rf"\dot {variable}", f"{variable}'", terms))
    return tuple(made)
