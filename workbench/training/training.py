"""Training: a run that yields a Record per step, can be halted anywhere, and is kept in a file.

    for record in train(experiment, config): ...

It knows the protocol and no concrete experiment. Whoever iterates decides: not asking for the next Record is the pause.
"""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from workbench.experiments.protocol import Config, Experiment
from workbench.experiments.report import Report
from workbench.training import run_file
from workbench.training.history import Record, Records
from workbench.training.run_file import Run

logger = logging.getLogger(__name__)

SAVING_SHARE = 0.05
"""The share of the time that saving may take while the training runs."""
RESERVED = ("step", "total", "seconds", "memory_mb", "coefficients")


@dataclass(frozen=True)
class Best:
    """The best state so far: after which step, in which era of the model, with which value of the monitored metric."""

    step: int = 0
    era: int = 0
    value: float = math.inf
    state: Mapping[str, np.ndarray] | None = None


class Training:
    """A run of `experiment` with `config`: iterate it for Records; stop, look, save and go on at any step.

    path: the run file to keep; None: none is written. resume_from: a Run to go on from exactly where it was (a failed
    one: from its best state). The iteration saves "running" now and then, in at most 5 % of the time, and "finished" at
    the end. An error in a step is saved as "failed" with its message and goes on to the caller; so does a metric that
    is not finite, as FloatingPointError naming step and metric.
    """

    def __init__(
        self, experiment: Experiment, config: Config, *, path: Path | None = None, resume_from: Run | None = None
    ) -> None:
        self.experiment = experiment
        self.config = config
        self.path = Path(path) if path else None
        self.records = Records()
        self.seconds = 0.0
        self.best = Best()
        self.data = experiment.data(config)
        self.model = experiment.model(config, self.data)
        self._created = run_file.now()
        self._process = psutil.Process()
        self._reports = {}
        self._saved = None
        self._next_save = 0.0
        if resume_from is not None:
            self._resume(resume_from)

    @property
    def total_steps(self) -> int:
        """How many steps the model means to take."""
        return self.model.total_steps

    @property
    def done(self) -> bool:
        """No step is left."""
        return self.model.done

    def __iter__(self) -> Iterator[Record]:
        while not self.model.done:
            yield self.step()
            if self.seconds >= self._next_save:
                self.save()
        self.save("finished")

    def step(self) -> Record:
        """One step of the model, whether anybody iterates or not."""
        number = len(self.records) + 1
        begin = time.perf_counter()
        try:
            metrics = self.model.step()
            _require_good(metrics, number)
            coefficients = self.model.coefficients()
        except Exception as error:
            self._failed(error)
            raise
        self.seconds += time.perf_counter() - begin
        memory = self._process.memory_info().rss / 1e6
        record = Record(number, self.model.total_steps, metrics, coefficients, self.seconds, memory)
        self.records.append(record)
        self._keep_best(metrics)
        return record

    def report(self) -> Report:
        """What the model knows now."""
        return self._report_once(len(self.records))

    def best_report(self) -> Report:
        """What the model knew in its best state."""
        if self.best.state is None or self.best.step == len(self.records):
            return self.report()
        if self.best.step in self._reports:
            return self._reports[self.best.step]
        now = self.model.state()
        self.model.restore(self.best.state)
        try:
            return self._report_once(self.best.step)
        finally:
            self.model.restore(now)

    def save(self, status: str = "running") -> None:
        """Write the run file; at a halt with a report: of the best state once the run is stopped or finished."""
        if self.path is None or self._saved == (status, len(self.records)):
            return
        begin = time.monotonic()
        report = Report()
        if status != "running" and self.records:
            report = self.report() if status == "paused" else self.best_report()
        self._write(status, report, state=self.model.state(), state_step=len(self.records))
        self._saved = (status, len(self.records))
        self._next_save = self.seconds + max(1.0, (time.monotonic() - begin) / SAVING_SHARE)

    def _write(self, status: str, report: Report, **given: Any) -> None:
        best = self.best
        kept = {} if best.state is None else {"best_state": best.state, "best_step": best.step, "best_era": best.era}
        run_file.write_run(
            Run(
                path=self.path,
                experiment=self.experiment.name,
                config=self.config.model_dump(mode="json"),
                status=status,
                created=self._created,
                versions={**run_file.versions(), "threads": str(torch.get_num_threads())},
                total=self.model.total_steps,
                records=self.records.to_dataset(),
                coefficients=report.coefficients,
                trajectory=report.trajectory,
                metrics=report.metrics,
                **kept,
                **given,
            )
        )

    def _failed(self, error: Exception) -> None:
        """A step has raised this."""
        self.fail(str(error) or type(error).__name__)

    def fail(self, message: str) -> None:
        """Save as failed. The best state is what a failed run goes on from; what a failed step left behind is not to be
        trusted."""
        if self.path is None:
            return
        state = {} if self.best.state is None else self.best.state
        try:
            self._write("failed", Report(), message=message, state=state, state_step=self.best.step)
        except Exception:
            logger.exception("the failed run could not be saved to %s", self.path)

    def _report_once(self, step: int) -> Report:
        """The report of the model as it is after `step`, made once; only the newest and the best are remembered."""
        if step not in self._reports:
            report = self.experiment.report(self.model, self.data)
            self._reports = {k: v for k, v in self._reports.items() if k == self.best.step} | {step: report}
        return self._reports[step]

    def _keep_best(self, metrics: Mapping[str, float]) -> None:
        value = metrics.get(self.model.monitor) if self.model.monitor else None
        if value is not None:
            era = getattr(self.model, "era", 0)
            if era > self.best.era or value < self.best.value:
                self.best = Best(len(self.records), era, value, self.model.state())

    def _resume(self, run: Run) -> None:
        self._created = run.created
        if not run.state:
            return
        self.model.restore(run.state)
        self.records = Records.of(run.records)[: run.state_step]
        self.seconds = self.records[-1].seconds if self.records else 0.0
        if run.best_state:
            value = self.records[run.best_step - 1].metrics[self.model.monitor]
            self.best = Best(run.best_step, run.best_era, value, run.best_state)


def train(experiment: Experiment, config: Config, **kwargs: Any) -> Iterator[Record]:
    """The Records of a `Training` with the same arguments, one per step, to the end."""
    return iter(Training(experiment, config, **kwargs))


def _require_good(metrics: Mapping[str, float], step: int) -> None:
    for name, value in metrics.items():
        if name in RESERVED:
            raise ValueError(f"a metric may not be called {name!r}: run files use that name")
        if not math.isfinite(value):
            raise FloatingPointError(f"step {step}: {name} is {value}; the best state is kept")
