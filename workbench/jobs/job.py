"""Jobs: trainings that belong to the server, not to a browser session.

A job runs one Training in a daemon thread. That thread never touches a Panel or Bokeh object; sessions ask the job for
a `Snapshot`, for the records after their cursor and for the latest Report, as often as they like.
"""

import logging
import math
import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from workbench.experiments.protocol import Config, Experiment
from workbench.experiments.report import Report
from workbench.jobs.buffer import Cursor, History
from workbench.jobs.cpu import cores, usable
from workbench.jobs.queue import JobQueue, memory_limit_mb, require_memory
from workbench.jobs.remote import RUNNERS, RemoteTraining
from workbench.training import Record, Training, run_file

logger = logging.getLogger(__name__)

HALTED = ("stopped", "interrupted", "finished", "failed")
GOES_ON = ("paused", "stopped", "interrupted")
ACTIVE = ("running", "queued")
REPORTS = 0.5 if usable() > 2 else 1.0
"""Seconds between two reports, at least: the figures of one take the browser a while, and it may have no core of its
own."""
QUEUE_LOOK = 0.1
"""Seconds between two looks of a queued job at its place."""


@dataclass(frozen=True)
class Snapshot:
    """What a page says about a job in one line. `seconds` is training time, `settling` names a halt that waits for a
    step, `position` counts the turns until a queued job computes.
    """

    state: str
    settling: str
    message: str
    details: str
    step: int
    total: int
    seconds: float
    ms_per_step: float
    memory_mb: float
    reports: int
    position: int = 0
    loss: float = math.nan
    best: float = math.nan


class Job:
    """One run of an experiment. `state` is "running", "queued", "paused", "stopped", "interrupted", "finished" or
    "failed".

    A new job is paused; `start()` makes it run. No step begins after `pause` or `stop` has returned; a step in flight
    is finished first (`settling` says so meanwhile). A job made from a run file (`run`) opens it in its thread and
    waits there. `line`: where it waits for its turn. `pace`: called before every step, for runs that go in step.
    """

    def __init__(
        self, experiment: Experiment, config: Config, *, path: Path, run: Any = None, line: JobQueue | None = None
    ) -> None:
        self.id = path.stem
        self.created = run.created if run is not None else run_file.now()
        self.experiment = experiment
        self.config = config
        self.path = path
        self.version = 0
        self.report = None
        self.pace = None
        self._run = run
        self._line = line or JobQueue(1)
        self._memory = 0.0
        self._changed = threading.Condition()
        self._history = History()
        self._training = None
        self._thread = None
        self._budget = 0
        self._busy = False
        self._halt = ""
        self._end = ""
        self._message = ""
        self._details = ""
        self._reports = 0
        self._total = 0
        self._dirty = False
        self._unsaved = False
        self._report_cost = 0.0
        self._report_seconds = -math.inf
        self._report_time = -1e9

    @property
    def state(self) -> str:
        """The state of the run, derived from what its thread does."""
        if self._end:
            return self._end
        if self._busy:
            return "running"
        if self._budget == 0:
            return "paused"
        return "queued" if self._line.position(self.id) else "running"

    @property
    def stepping(self) -> bool:
        """Whether it runs for a single step, and is paused after it."""
        return self.state in ACTIVE and self._budget == 1

    def start(self) -> None:
        """Run until the end, until `pause` or `stop`; goes on after either of them."""
        self._let(None)

    resume = start

    def step_once(self) -> None:
        """Do exactly one step, then be paused; nothing happens while the job runs."""
        if self.state not in ACTIVE:
            self._let(1)

    def pause(self) -> None:
        """No further step begins until `resume` or `step_once`."""
        with self._changed:
            self._budget = 0
            self._touch()

    def stop(self) -> None:
        """End the run, keeping its best state; `resume` can still go on from the last one."""
        self._end_as("stopped")

    def interrupt(self) -> None:
        """As `stop`, because the server stops: the next one offers to go on."""
        self._end_as("interrupted")

    def _end_as(self, end: str) -> None:
        with self._changed:
            if self._end in HALTED:
                return
            self._budget, self._halt = 0, end
            if not self._busy:
                self._end, self._unsaved, self._dirty = end, True, self._training is not None
            self._touch()

    def snapshot(self) -> Snapshot:
        """The present state in numbers; cheap."""
        with self._changed:
            last = self._history.last
            settling = "" if not self._busy or self._budget != 0 else ("stopping" if self._halt else "pausing")
            return Snapshot(
                state=self.state,
                settling=settling,
                message=self._message,
                details=self._details,
                step=last.step if last else 0,
                total=last.total if last else self._total,
                seconds=last.seconds if last else 0.0,
                ms_per_step=1e3 * self._history.pace(),
                memory_mb=last.memory_mb if last else 0.0,
                reports=self._reports,
                position=self._line.position(self.id),
                loss=last.metrics.get("loss", math.nan) if last else math.nan,
                best=self._history.best,
            )

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """The records after `cursor`, the new cursor, and whether to start over with just these."""
        with self._changed:
            return self._history.read(cursor)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the thread has nothing left to do (paused or at an end, Report made); for tests and scripts."""
        with self._changed:
            return self._changed.wait_for(self._idle, timeout)

    def _idle(self) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return not self._dirty and self.state not in ACTIVE and (self.state == "paused" or not alive)

    def open(self) -> None:
        """Load the run file this job was made from; the job waits, stopped or finished as the file says."""
        with self._changed:
            self._end = self._run.status if self._run.status in HALTED else "stopped"
            self._message = self._run.message
            self._dirty = True
            self._begin_thread()

    def _let(self, budget: int | None) -> None:
        with self._changed:
            if self._end not in ("finished", "failed"):
                self._budget, self._halt, self._end = budget, "", ""
                self._begin_thread()

    def _begin_thread(self) -> None:
        self._touch()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"job-{self.id}", daemon=True)
            self._thread.start()

    def _touch(self) -> None:
        self.version += 1
        self._changed.notify_all()

    def _work(self) -> None:
        """The thread: steps while the budget lasts, a Report now and then, and at every halt a Report and a save."""
        try:
            cores.apply()
            if self._training is None and not self._prepare():
                return
            records = iter(self._training)
            while self._await_turn():
                cores.apply()
                if self.pace is not None:
                    self.pace(self)
                with cores.turn():
                    if self._called_off():
                        continue
                    self._take(next(records, None))
                    if not self._end and self._report_due():
                        self._publish(self._training.report)
            self._leave()
        except Exception as error:
            logger.exception("run %s failed", self.id)
            self._fail(error)

    def end_process(self) -> None:
        """End the process of the run, where it has one; for the end of the server."""
        if isinstance(self._training, RemoteTraining):
            self._training.close()

    def _leave(self) -> None:
        """The end of the thread. A process that has nothing to do is ended; a run that goes on gets another, from its
        file."""
        if isinstance(self._training, RemoteTraining):
            self._training.close()
            self._run, self._training = run_file.read_run(self.path), None
        with self._changed:
            self._thread = None
            self._changed.notify_all()
            if self._budget != 0:  # somebody has resumed meanwhile
                self._begin_thread()

    def _prepare(self) -> bool:
        """Make the Training, in its turn; False where the job was ended before."""
        while not self._line.enter(self.id):
            with self._changed:
                self._touch()  # its position may have changed
                self._changed.wait(QUEUE_LOOK)
                if self._end and self._run is None:
                    self._line.leave(self.id)
                    self._thread = None
                    self._touch()
                    return False
        with cores.turn():
            made = runner()(self.experiment, self.config, path=self.path, resume_from=self._run)
        with self._changed:
            self._training, self._total, self._history = made, made.total_steps, History()
            for record in made.records:
                self._history.append(record)
            self._history.keep_last()
            self._memory = psutil.Process().memory_info().rss / 1e6
            self._touch()
        return True

    def _await_turn(self) -> bool:
        """Wait for permission to do a step; False when the thread may end. Concludes a halt first."""
        while True:
            with self._changed:
                if self._budget != 0:
                    if not self._line.enter(self.id):
                        self._touch()
                        self._changed.wait(QUEUE_LOOK)
                        continue
                    self._busy = True
                    cores.enter(self.id)
                    return True
                cores.leave(self.id)
                self._line.leave(self.id)
                if not self._dirty:
                    if self._end:
                        return False
                    self._changed.wait()
                    continue
            with cores.turn():
                self._conclude()

    def _called_off(self) -> bool:
        """Whether it was halted while it waited for its turn."""
        with self._changed:
            if self._budget != 0:
                return False
            self._busy = False
            if self._halt:
                self._end, self._unsaved, self._dirty = self._halt, True, True
            self._touch()
            return True

    def _take(self, record: Record | None) -> None:
        if record is not None:
            remote = getattr(self._training, "pid", None) is not None
            require_memory(record.memory_mb - (0.0 if remote else self._memory), memory_limit_mb())
        with self._changed:
            self._busy = False
            if record is not None:
                self._history.append(record)
                self._budget = self._budget and self._budget - 1
            if record is None or self._training.done:
                self._end, self._budget = "finished", 0
            self._end = self._end or self._halt
            self._dirty = self._unsaved = True
            self._touch()

    def _conclude(self) -> None:
        self._publish(self._training.best_report if self._end else self._training.report)
        if self._unsaved:
            self._training.save(self.state)
        with self._changed:
            self._unsaved = False
            self._history.keep_last()
            self._dirty = False
            self._touch()

    def _report_due(self) -> bool:
        """Reports take a tenth of the training at most: of its own time, since others compute in between."""
        trained = self._history.last.seconds - self._report_seconds
        return time.monotonic() > self._report_time + REPORTS and trained > 10 * self._report_cost

    def _publish(self, make: Callable[[], Report]) -> None:
        begin = time.monotonic()
        report = make()
        with self._changed:
            self.report = report
            self._reports += 1
            self._report_time = time.monotonic()
            self._report_cost = self._report_time - begin
            self._report_seconds = self._history.last.seconds if self._history.last else 0.0
            self._touch()

    def _fail(self, error: Exception) -> None:
        message = str(error) or type(error).__name__
        self._line.leave(self.id)
        cores.leave(self.id)
        if self._training is not None:
            try:
                self._training.fail(message)
                if isinstance(self._training, RemoteTraining):
                    self._training.close()
            except Exception:
                logger.exception("the failure of run %s could not be kept", self.id)
        with self._changed:
            self._end, self._budget, self._busy, self._dirty, self._thread = "failed", 0, False, False, None
            self._message = message
            self._details = getattr(error, "details", "") or traceback.format_exc()
            self._history.keep_last()
            self._touch()


def runner() -> Callable[..., Any]:
    """What makes the Training of a job: `WORKBENCH_RUNNER` is "thread" (default) or "process"."""
    name = os.environ.get("WORKBENCH_RUNNER") or RUNNERS[0]
    if name not in RUNNERS:
        raise ValueError(f"WORKBENCH_RUNNER: expected one of {', '.join(RUNNERS)}, found {name!r}")
    return Training if name == "thread" else RemoteTraining
