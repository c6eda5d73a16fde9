"""The side of the caller: runs jobs in a worker process, watches time and memory, ends what exceeds them."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from workbench.jobs.budget import Budget, JobStatus

POLL = 0.01
"""Seconds between two looks at the memory of a job, in which it can take more than its budget."""
START = 120.0
"""Seconds after which a worker that has not said that it is ready counts as failed."""


@dataclass
class Outcome:
    """How a job ended: what it told, and a status with its words. `cancelled`: the caller wanted no more."""

    status: JobStatus = JobStatus.FAILED
    words: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)
    cancelled: bool = False


class Sandbox:
    """A worker process, started when first needed, that runs one job after the other, each as in a fresh process.

    Callers from several threads wait for each other. `close` (or leaving the `with`) ends it, and the running job with
    it; so does the end of this process.
    """

    preload: tuple[str, ...] = ()
    """Modules that the worker imports once, before any job."""

    def __init__(self) -> None:
        self._worker = None
        self._lines = queue.Queue()
        self._busy = threading.Lock()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start the worker if there is none. Raises RuntimeError where it does not come up."""
        if self._worker is not None and self._worker.poll() is None:
            return
        self._lines = queue.Queue()
        # the modules of a case (a function of another package, a test's) are found where the caller finds them
        path = os.pathsep.join(dict.fromkeys([str(Path(__file__).parents[2]), *(p or os.getcwd() for p in sys.path)]))
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "workbench.jobs.worker", *self.preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # threads that wait and keep a core busy cost a factor of ten where others compute too
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": path},
            encoding="utf-8",
        )
        threading.Thread(target=_read, args=(self._worker.stdout, self._lines), daemon=True).start()
        try:
            ready = self._lines.get(timeout=START)
        except queue.Empty:
            ready = None
        if ready is None:
            self.close()
            raise RuntimeError("the measuring process did not start; its messages are in the log of this process")

    def run(
        self,
        call: str,
        arguments: dict[str, Any],
        budget: Budget,
        stop: threading.Event | None = None,
        heard: Callable[[dict[str, Any]], None] | None = None,
    ) -> Outcome:
        """The job `call` ("module:function") with these arguments, ended where it exceeds the budget or `stop` is set.
        heard: called with all that it tells, at once.

        The clock of the budget, and what the memory is counted from, start anew where the job tells `begin`.
        """
        with self._busy:
            self.start()
            self._worker.stdin.write(json.dumps({"call": call, "arguments": arguments}) + "\n")
            self._worker.stdin.flush()
            return self._watched(budget, stop, heard)

    def _watched(
        self, budget: Budget, stop: threading.Event | None, heard: Callable[[dict[str, Any]], None] | None
    ) -> Outcome:
        """What the running job tells until it is gone."""
        outcome, watch = Outcome(words="the process died"), _Watch(budget)
        ended = False
        while True:
            try:
                message = self._lines.get(timeout=POLL)
            except queue.Empty:
                message = {}
            if message is None or "gone" in message:
                break
            if "pid" in message or "begin" in message.get("told", {}):
                watch.begin(message.get("pid"))
            elif "told" in message:
                outcome.told.append(message["told"])
                if heard is not None:
                    heard(message["told"])
            elif "end" in message:
                outcome.status, outcome.words, ended = JobStatus(message["end"]), message["words"], True
            if watch.running and not ended and not watch.killed:
                outcome.cancelled = stop is not None and stop.is_set()
                exceeded = watch.exceeded()
                if outcome.cancelled or exceeded:
                    outcome.status, outcome.words = exceeded or (JobStatus.FAILED, "cancelled")
                    watch.kill()
        if message is None:
            self.close()
        if not ended and not watch.killed:
            outcome.status = JobStatus.OUT_OF_MEMORY if watch.was_large() else JobStatus.FAILED
        return outcome

    def close(self) -> None:
        """End the worker and what it runs."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        for process in _family(worker.pid):
            _end(process)
        worker.stdin.close()
        worker.wait()


class _Watch:
    """Time and memory of the process that runs a job."""

    def __init__(self, budget: Budget) -> None:
        self._seconds, self._bytes = budget.seconds, budget.bytes
        self._start = time.monotonic()
        self._process = None
        self._base = self._last = 0
        self.killed = False

    def begin(self, pid: int | None) -> None:
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(pid)
        self._start, self._base = time.monotonic(), self._resident()

    @property
    def running(self) -> bool:
        """Whether there is a process to watch."""
        return self._process is not None

    def exceeded(self) -> tuple[JobStatus, str] | None:
        """The status and the words where the job has taken more than its budget."""
        self._last = self._resident()
        if self._last - self._base > self._bytes:
            return JobStatus.OVER_MEMORY, f"took more than {self._bytes / 2**20:,.0f} MiB"
        if time.monotonic() - self._start > self._seconds:
            return JobStatus.OVER_TIME, f"took more than {self._seconds:g} s"
        return None

    def was_large(self) -> bool:
        """Whether a job that died unasked was likely ended by the system for want of memory."""
        return self._last - self._base > psutil.virtual_memory().total // 4

    def kill(self) -> None:
        self.killed = True
        _end(self._process)

    def _resident(self) -> int:
        try:
            return 0 if self._process is None else self._process.memory_info().rss
        except psutil.Error:
            return self._last


def _read(stream: Any, lines: queue.Queue) -> None:
    """Every line of the worker, parsed, in order; None at the end."""
    with stream:
        for line in stream:
            lines.put(json.loads(line))
    lines.put(None)


def _family(pid: int) -> list[psutil.Process]:
    """The process and its children."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
