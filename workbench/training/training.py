"""Training loop: an iterator over Records that can be paused, saved and resumed at any step.

    for record in train(experiment, config): ...

It depends on the experiment protocol and on no concrete experiment. Not taking the next Record pauses the training.
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
"""Largest fraction of the training time spent on saving."""
RESERVED = ("step", "total", "seconds", "memory_mb", "coefficients")


@dataclass(frozen=True)
class Best:
    """Best state so far: step and stage of the model, value of the monitored metric, and the state itself."""

    step: int = 0
    stage: int = 0
    value: float = math.inf
    state: Mapping[str, np.ndarray] | None = None


class Training:
    """A run of `experiment` with `config`: an iterable of Records that can be paused, saved and resumed at any step.

    path: run file to write; None: none. resume_from: Run to resume exactly where it ended (a failed one: from its best
    state). Iterating saves with status "running" at intervals, in at most 5 % of the time, and "finished" at the end.
    An error in a step is saved with status "failed" and its message, then raised; a metric that is not finite raises
    FloatingPointError with step and metric, a metric with a reserved name ValueError.
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
        """Planned number of steps."""
        return self.model.total_steps

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.model.done

    def __iter__(self) -> Iterator[Record]:
        while not self.model.done:
            yield self.step()
            if self.seconds >= self._next_save:
                self.save()
        self.save("finished")

    def step(self) -> Record:
        """Do one step of the model, and record it."""
        number = len(self.records) + 1
        begin = time.perf_counter()
        try:
            metrics = self.model.step()
            _check_metrics(metrics, number)
            coefficients = self.model.coefficients()
        except Exception as error:
            self._save_failure(error)
            raise
        self.seconds += time.perf_counter() - begin
        memory = self._process.memory_info().rss / 1e6
        record = Record(number, self.model.total_steps, metrics, coefficients, self.seconds, memory)
        self.records.append(record)
        self._update_best(metrics)
        return record

    def report(self) -> Report:
        """Report of the current state."""
        return self._cached_report(len(self.records))

    def best_report(self) -> Report:
        """Report of the best state."""
        if self.best.state is None or self.best.step == len(self.records):
            return self.report()
        if self.best.step in self._reports:
            return self._reports[self.best.step]
        state = self.model.state()
        self.model.restore(self.best.state)
        try:
            return self._cached_report(self.best.step)
        finally:
            self.model.restore(state)

    def save(self, status: str = "running") -> None:
        """Write the run file; if not "running", with a report of the current ("paused") or the best state."""
        if self.path is None or self._saved == (status, len(self.records)):
            return
        begin = time.monotonic()
        report = Report()
        if status != "running" and self.records:
            report = self.report() if status == "paused" else self.best_report()
        self._write(status, report, state=self.model.state(), state_step=len(self.records))
        self._saved = (status, len(self.records))
        self._next_save = self.seconds + max(1.0, (time.monotonic() - begin) / SAVING_SHARE)

    def _write(self, status: str, report: Report, **fields: Any) -> None:
        best = self.best
        if best.state is not None:
            fields |= {"best_state": best.state, "best_step": best.step, "best_era": best.stage}
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
                **fields,
            )
        )

    def _save_failure(self, error: Exception) -> None:
        """Save the error of a step."""
        self.fail(str(error) or type(error).__name__)

    def fail(self, message: str) -> None:
        """Save with status "failed" and the best state to resume from, since a failed step leaves an invalid state."""
        if self.path is None:
            return
        state = {} if self.best.state is None else self.best.state
        try:
            self._write("failed", Report(), message=message, state=state, state_step=self.best.step)
        except Exception:
            logger.exception("the failed run could not be saved to %s", self.path)

    def _cached_report(self, step: int) -> Report:
        """Report of the current model, that after `step`; the reports of the newest and the best step are cached."""
        if step not in self._reports:
            report = self.experiment.report(self.model, self.data)
            self._reports = {k: v for k, v in self._reports.items() if k == self.best.step} | {step: report}
        return self._reports[step]

    def _update_best(self, metrics: Mapping[str, float]) -> None:
        value = metrics.get(self.model.monitored_metric) if self.model.monitored_metric else None
        if value is not None:
            stage = getattr(self.model, "stage", 0)
            if stage > self.best.stage or value < self.best.value:
                self.best = Best(len(self.records), stage, value, self.model.state())

    def _resume(self, run: Run) -> None:
        self._created = run.created
        if not run.state:
            return
        self.model.restore(run.state)
        self.records = Records.of(run.records)[: run.state_step]
        self.seconds = self.records[-1].seconds if self.records else 0.0
        if run.best_state:
            value = self.records[run.best_step - 1].metrics[self.model.monitored_metric]
            self.best = Best(run.best_step, run.best_era, value, run.best_state)


def train(experiment: Experiment, config: Config, **kwargs: Any) -> Iterator[Record]:
    """Iterate over the Records of a `Training` with the same arguments, one per step, to the end."""
    return iter(Training(experiment, config, **kwargs))


def _check_metrics(metrics: Mapping[str, float], step: int) -> None:
    for name, value in metrics.items():
        if name in RESERVED:
            raise ValueError(f"invalid metric name {name!r}: reserved in run files")
        if not math.isfinite(value):
            raise FloatingPointError(f"step {step}: {name} is {value}; the best state is kept")
