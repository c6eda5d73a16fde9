"""Jobs: trainings in background threads of the server, independent of browser sessions.

A job runs one Training in a daemon thread, which never touches a Panel or Bokeh object. Sessions poll the job for a
`Snapshot`, for the records after their cursor, and for the latest Report.
"""

import logging
import math
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
from workbench.jobs.cpu import cores
from workbench.jobs.queue import JobQueue, memory_limit_mb, require_memory
from workbench.jobs.remote import RemoteTraining, training_class
from workbench.jobs.report_schedule import ReportSchedule
from workbench.jobs.state import ACTIVE, ENDED, FINAL, HALTED, SETTLING, TRANSITIONS, JobState, public_name
from workbench.training import Record, Training, run_file

logger = logging.getLogger(__name__)

QUEUE_POLL = 0.1
"""Queue polling interval, seconds."""


@dataclass(frozen=True)
class Snapshot:
    """State of a job in numbers. `seconds` is training time, `settling` names a halt that waits for the current step,
    `position` is the number of turns until a queued job computes.
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
    "failed"; `workbench.jobs.state` has the transitions.

    A new job is paused until `start()`. No step begins after `pause` or `stop` has returned; the current step is
    completed first (`settling` is set meanwhile). A job created from a run file (`run`) opens it in its thread.
    `queue`: the queue of its device; None: a separate one. Attribute `pace`: called before every step, for runs in
    lockstep.
    """

    def __init__(
        self, experiment: Experiment, config: Config, *, path: Path, run: Any = None, queue: JobQueue | None = None
    ) -> None:
        self.id = path.stem
        self.created = run.created if run is not None else run_file.now()
        self.experiment = experiment
        self.config = config
        self.path = path
        self.version = 0
        self.report: Report | None = None
        self.pace: Callable[[Job], None] | None = None
        self._run = run
        self._queue = queue or JobQueue(1)
        self._changed = threading.Condition()
        self._state = JobState.PAUSED
        self._single_step = False
        self._unreported = False
        self._unsaved = False
        self._thread: threading.Thread | None = None
        self._training: Training | RemoteTraining | None = None
        self._history = History()
        self._base_memory = 0.0
        self._total = 0
        self._message = ""
        self._details = ""
        self._reports = ReportSchedule()

    # control, from any thread

    @property
    def state(self) -> str:
        """Name of the state, e.g. "running"."""
        return public_name(self._state, self._queue.position(self.id))

    @property
    def stepping(self) -> bool:
        """Whether a single step is in progress, after which the job is paused."""
        return self._single_step and self._state in (JobState.READY, JobState.STEPPING)

    def start(self) -> None:
        """Run until the end, or until `pause` or `stop`; resumes after either of them."""
        self._start(single_step=False)

    resume = start

    def step_once(self) -> None:
        """Do exactly one step, then pause; no effect while the job runs."""
        if self.state not in ACTIVE:
            self._start(single_step=True)

    def pause(self) -> None:
        """Begin no further step until `resume` or `step_once`."""
        self._apply("pause")

    def stop(self) -> None:
        """End the run and save its best state; `resume` continues from the last state."""
        self._halt("stop")

    def interrupt(self) -> None:
        """Stop because the server ends; the next server offers to resume."""
        self._halt("interrupt")

    def open(self) -> None:
        """Load the run file of this job; the job then has the state of the file, and may be resumed."""
        status = self._run.status if self._run.status in HALTED else "stopped"
        with self._changed:
            self._apply(f"open_{status}")
            self._message = self._run.message
            self._unreported = True
            self._begin_thread()

    def _apply(self, event: str) -> bool:
        """Change the state by an event of `TRANSITIONS`; False if it has no effect in the present state."""
        with self._changed:
            new = TRANSITIONS[event].get(self._state)
            if new is None:
                return False
            self._state = new
            self._touch()
            return True

    def _start(self, single_step: bool) -> None:
        with self._changed:
            if self._state not in FINAL:
                self._single_step = single_step
                self._apply("start")
                self._begin_thread()

    def _halt(self, event: str) -> None:
        with self._changed:
            if self._apply(event) and self._state in ENDED:
                self._unsaved, self._unreported = True, self._training is not None

    def _begin_thread(self) -> None:
        self._touch()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"job-{self.id}", daemon=True)
            self._thread.start()

    def _touch(self) -> None:
        self.version += 1
        self._changed.notify_all()

    # readers, from any thread

    def snapshot(self) -> Snapshot:
        """Current state in numbers; cheap."""
        with self._changed:
            last = self._history.last
            return Snapshot(
                state=self.state,
                settling=SETTLING.get(self._state, ""),
                message=self._message,
                details=self._details,
                step=last.step if last else 0,
                total=last.total if last else self._total,
                seconds=self._history.seconds,
                ms_per_step=1e3 * self._history.pace(),
                memory_mb=last.memory_mb if last else 0.0,
                reports=self._reports.count,
                position=self._queue.position(self.id),
                loss=last.metrics.get("loss", math.nan) if last else math.nan,
                best=self._history.best,
            )

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """Records after `cursor`, the new cursor, and whether they replace all that the reader has read."""
        with self._changed:
            return self._history.read(cursor)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the thread is idle (paused or at an end, with a Report); for tests and scripts."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout)

    def _is_idle(self) -> bool:
        alive = self._thread is not None and self._thread.is_alive()
        return not self._unreported and self.state not in ACTIVE and (self._state is JobState.PAUSED or not alive)

    def end_process(self) -> None:
        """End the process of the run, if it has one; for the end of the server."""
        if isinstance(self._training, RemoteTraining):
            self._training.close()

    # the thread of the job

    def _work(self) -> None:
        """Do steps while allowed, with a Report at intervals; at every halt publish a Report and save."""
        try:
            cores.apply()
            training = self._training or self._prepare()
            if training is None:
                return
            records = iter(training)
            while self._await_step(training):
                cores.apply()
                if self.pace is not None:
                    self.pace(self)
                with cores.turn():
                    if self._is_called_off():
                        continue
                    self._end_step(training, next(records, None))
                    if self._state not in ENDED and self._reports.is_due(self._history.seconds):
                        self._publish(training.report)
            self._leave()
        except Exception as error:
            logger.exception("run %s failed", self.id)
            self._fail(error)

    def _prepare(self) -> Training | RemoteTraining | None:
        """Create the Training when it is this job's turn; None if the job was ended before."""
        while not self._queue.enter(self.id):
            with self._changed:
                self._touch()  # its position may have changed
                self._changed.wait(QUEUE_POLL)
                if self._state in ENDED and self._run is None:
                    self._queue.leave(self.id)
                    self._thread = None
                    self._touch()
                    return None
        with cores.turn():
            training = training_class()(self.experiment, self.config, path=self.path, resume_from=self._run)
        with self._changed:
            self._training, self._total, self._history = training, training.total_steps, History()
            for record in training.records:
                self._history.append(record)
            self._history.keep_last()
            self._base_memory = psutil.Process().memory_info().rss / 1e6
            self._touch()
        return training

    def _await_step(self, training: Training | RemoteTraining) -> bool:
        """Wait until a step may begin, and begin it; False if the thread may end. Concludes a halt first."""
        while True:
            with self._changed:
                if self._state is JobState.READY:
                    if not self._queue.enter(self.id):
                        self._touch()
                        self._changed.wait(QUEUE_POLL)
                        continue
                    self._apply("begin_step")
                    cores.enter(self.id)
                    return True
                cores.leave(self.id)
                self._queue.leave(self.id)
                if not self._unreported:
                    if self._state in ENDED:
                        return False
                    self._changed.wait()
                    continue
            with cores.turn():
                self._conclude(training)

    def _is_called_off(self) -> bool:
        """End the step if a halt was requested while it waited for a core; returns whether it was."""
        with self._changed:
            if self._state is JobState.STEPPING:
                return False
            self._apply("end_step")
            if self._state in ENDED:
                self._unsaved = self._unreported = True
            return True

    def _end_step(self, training: Training | RemoteTraining, record: Record | None) -> None:
        if record is not None:
            remote = getattr(training, "pid", None) is not None
            require_memory(record.memory_mb - (0.0 if remote else self._base_memory), memory_limit_mb())
        with self._changed:
            if record is not None:
                self._history.append(record)
            if record is None or training.done:
                self._apply("finish")
            else:
                if self._single_step:
                    self._apply("pause")
                self._apply("end_step")
            self._unreported = self._unsaved = True

    def _conclude(self, training: Training | RemoteTraining) -> None:
        """Publish the Report of a halt, and save."""
        self._publish(training.best_report if self._state in ENDED else training.report)
        if self._unsaved:
            training.save(self.state)
        with self._changed:
            self._unsaved = False
            self._history.keep_last()
            self._unreported = False
            self._touch()

    def _publish(self, make_report: Callable[[], Report]) -> None:
        begin = time.monotonic()
        report = make_report()
        with self._changed:
            self.report = report
            self._reports.add(begin, self._history.seconds)
            self._touch()

    def _leave(self) -> None:
        """End the thread and its idle process; a resumed run gets a new process, from its file."""
        if isinstance(self._training, RemoteTraining):
            self._training.close()
            self._run, self._training = run_file.read_run(self.path), None
        with self._changed:
            self._thread = None
            self._changed.notify_all()
            if self._state is JobState.READY:  # resumed meanwhile
                self._begin_thread()

    def _fail(self, error: Exception) -> None:
        message = str(error) or type(error).__name__
        self._queue.leave(self.id)
        cores.leave(self.id)
        if self._training is not None:
            try:
                self._training.fail(message)
                if isinstance(self._training, RemoteTraining):
                    self._training.close()
            except Exception:
                logger.exception("the failure of run %s could not be saved", self.id)
        with self._changed:
            self._unreported, self._thread = False, None
            self._message = message
            self._details = getattr(error, "details", "") or traceback.format_exc()
            self._history.keep_last()
            self._apply("fail")
