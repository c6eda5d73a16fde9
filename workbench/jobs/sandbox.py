"""Run functions in a worker process under a time and a memory budget."""

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
"""Memory polling interval, seconds; a job may exceed its budget in between."""
START = 120.0
"""Seconds in which a worker must report that it is ready."""


@dataclass
class Outcome:
    """Status of a job at its end, the reason if it is not OK, and the messages that the job sent.

    cancelled: the caller set `stop`.
    """

    status: JobStatus = JobStatus.FAILED
    message: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    cancelled: bool = False


class Sandbox:
    """Worker process, started on first use, that runs jobs one at a time, each as in a fresh process.

    Callers from several threads wait for each other. `close`, leaving the `with` block, or the end of this process ends
    the worker and its job.
    """

    preload: tuple[str, ...] = ()
    """Modules that the worker imports before the first job."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[Any] = queue.Queue()
        self._busy = threading.Lock()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Start the worker unless it runs. Raises RuntimeError if it does not start."""
        if self._worker is not None and self._worker.poll() is None:
            return
        self._lines = queue.Queue()
        # so that the worker finds the modules of the job (of another package or a test) where the caller finds them
        path = os.pathsep.join(dict.fromkeys([str(Path(__file__).parents[2]), *(p or os.getcwd() for p in sys.path)]))
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "workbench.jobs.worker", *self.preload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # busy-waiting threads cost a factor of ten if other processes compute too
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
            raise RuntimeError("the worker process did not start; see its messages in the log of this process")

    def run(
        self,
        call: str,
        arguments: dict[str, Any],
        budget: Budget,
        stop: threading.Event | None = None,
        on_message: Callable[[dict[str, Any]], None] | None = None,
    ) -> Outcome:
        """Run the function `call` ("module:function") with these arguments, until it returns, exceeds the budget, or
        `stop` is set. on_message: called with each message of the job as it arrives.

        A message `begin` of the job restarts the clock and sets the baseline of the memory.
        """
        with self._busy:
            self.start()
            self._send({"call": call, "arguments": arguments})
            return self._supervise(budget, stop, on_message or (lambda message: None))

    def _send(self, job: dict[str, Any]) -> None:
        if self._worker is None or self._worker.stdin is None:
            raise RuntimeError("the worker process was closed before the job began")
        self._worker.stdin.write(json.dumps(job) + "\n")
        self._worker.stdin.flush()

    def _supervise(
        self, budget: Budget, stop: threading.Event | None, on_message: Callable[[dict[str, Any]], None]
    ) -> Outcome:
        """Collect the messages of the running job until its process is gone."""
        outcome, watch = Outcome(message="the process died"), _Watch(budget)
        ended = False
        while True:
            try:
                line = self._lines.get(timeout=POLL)
            except queue.Empty:
                line = {}
            if line is None or "gone" in line:
                break
            if "pid" in line or "begin" in line.get("message", {}):
                watch.begin(line.get("pid"))
            elif "message" in line:
                outcome.messages.append(line["message"])
                on_message(line["message"])
            elif "end" in line:
                outcome.status, outcome.message, ended = JobStatus(line["end"]), line["reason"], True
            if watch.running and not ended and not watch.killed:
                outcome.cancelled = stop is not None and stop.is_set()
                exceeded = watch.exceeded()
                if outcome.cancelled or exceeded:
                    outcome.status, outcome.message = exceeded or (JobStatus.FAILED, "cancelled")
                    watch.kill()
        if line is None:
            self.close()
        if not ended and not watch.killed:
            outcome.status = JobStatus.OUT_OF_MEMORY if watch.was_large() else JobStatus.FAILED
        return outcome

    def close(self) -> None:
        """End the worker and its job."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        for process in _process_tree(worker.pid):
            _kill(process)
        if worker.stdin is not None:
            worker.stdin.close()
        worker.wait()


class _Watch:
    """Time and memory of the process of a job."""

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
        """Status and message if the job has exceeded its budget."""
        self._last = self._resident()
        if self._last - self._base > self._bytes:
            return JobStatus.OVER_MEMORY, f"took more than {self._bytes / 2**20:,.0f} MiB"
        if time.monotonic() - self._start > self._seconds:
            return JobStatus.OVER_TIME, f"took more than {self._seconds:g} s"
        return None

    def was_large(self) -> bool:
        """Whether a job that died was likely killed by the system for lack of memory."""
        return self._last - self._base > psutil.virtual_memory().total // 4

    def kill(self) -> None:
        self.killed = True
        _kill(self._process)

    def _resident(self) -> int:
        try:
            return 0 if self._process is None else self._process.memory_info().rss
        except psutil.Error:
            return self._last


def _read(stream: Any, lines: queue.Queue[Any]) -> None:
    """Queue every line of the worker, parsed; None at the end."""
    with stream:
        for line in stream:
            lines.put(json.loads(line))
    lines.put(None)


def _process_tree(pid: int) -> list[psutil.Process]:
    """The process and its descendants."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
