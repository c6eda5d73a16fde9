"""Replay of a short stored run on the first visit, until the first Start.

The file next to this module is `thin_run(read_run(...))`, written by `write_run`, of

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
"""Frames per second."""
PAUSE = 5.0
"""Seconds at the end before the replay restarts."""
N_LOOPS = 3
"""Number of repetitions; afterwards the last frame stays, so that an idle page costs nothing."""


@cache
def load_stored_run() -> Run | None:
    """Load the stored run; None if the file is missing or unreadable."""
    try:
        return run_file.read_run(FILE)
    except (FileNotFoundError, ValueError):
        return None


def thin_run(run: Run, path: Path = FILE) -> Run:
    """Run reduced to its records, last report and the beginning of its trajectory, without state."""
    trajectory = run.trajectory[["truth", "data", "estimate"]].isel(time=slice(0, 2000)).astype("float32")
    empty = {"state": {}, "best_state": {}, "state_step": 0, "best_step": 0}
    return replace(run, path=path, trajectory=trajectory, **empty)


class Replay:
    """Stored run with the interface of a job; `version`, `snapshot()`, `read(cursor)`, `report` follow the clock."""

    id = "replay"

    def __init__(self, run: Run) -> None:
        self.experiment_name = run.experiment
        self._run = run
        self._records = [_record(run, index) for index in range(run.steps)]
        self._start = time.monotonic()
        self._truth = run.trajectory.drop_vars("estimate", errors="ignore")

    @property
    def version(self) -> int:
        """Index of the current frame over all loops."""
        n_frames = len(self._records)
        elapsed = time.monotonic() - self._start
        duration = n_frames / RATE + PAUSE
        loop = min(int(elapsed / duration), N_LOOPS - 1)
        return loop * n_frames + min(n_frames - 1, int((elapsed - loop * duration) * RATE))

    @property
    def frame(self) -> int:
        """Index of the current frame within its loop."""
        return self.version % len(self._records)

    @property
    def report(self) -> Report:
        """Report at the current frame; the last one includes the simulated trajectory and the metrics."""
        frame, values = self.frame, self._run.coefficients
        is_last = frame == len(self._records) - 1
        if not is_last:
            values = values[["estimate", "truth"]].assign(estimate=(values.estimate.dims, self._estimate(frame)))
        return Report(
            equations=_equations(values, "estimate"),
            true_equations=_equations(values, "truth"),
            coefficients=values,
            trajectory=self._run.trajectory if is_last else self._truth,
            metrics=self._run.metrics if is_last else {},
        )

    def _estimate(self, frame: int) -> np.ndarray:
        return self._run.records.coefficients.values[frame]

    def snapshot(self) -> Snapshot:
        """Snapshot as of a job; the equations change with every frame."""
        last, is_last = self._records[self.frame], self.frame == len(self._records) - 1
        reports = self.version + is_last
        numbers = (last.step, last.total, last.seconds, math.nan, last.memory_mb, reports, False)
        return Snapshot("replay", "", "", "", *numbers)

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """Records as of a job; every loop restarts."""
        version = self.version
        loop, end = version // len(self._records), version % len(self._records) + 1
        restart = cursor.thinning != loop
        return self._records[0 if restart else cursor.count : end], Cursor(loop, end), restart


def _record(run: Run, index: int) -> Record:
    at = run.records.isel(step=index)
    fields = ("total", "seconds", "memory_mb", "coefficients")
    metrics = {str(name): float(at[name]) for name in at.data_vars if name not in fields}
    return Record(int(at.step), int(at.total), metrics, at.coefficients.values, float(at.seconds), float(at.memory_mb))


def _equations(values: object, name: str) -> tuple[Equation, ...]:
    """Equations of a Dataset over (candidate, variable), without LaTeX names."""
    equations = []
    for variable in values.variable.values:
        column = values[name].sel(variable=variable)
        pairs = [(float(c), str(text)) for c, text in zip(column.values, values.candidate.values, strict=True) if c]
        terms = tuple((c, text.replace(" ", LATEX_SPACE), text) for c, text in pairs)
        equations.append(Equation(rf"\dot {variable}", f"{variable}'", terms))
    return tuple(equations)
