"""Training isolated in a subprocess, chosen by `WORKBENCH_RUNNER=process`.

The job sends one request at a time over a pipe and gets one answer. The process ends when the pipe is closed.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.experiments.protocol import Config, Experiment
from workbench.experiments.report import Report
from workbench.jobs.cpu import cores
from workbench.training import Record, Training, run_file

RUNNERS = ("thread", "process")


class RunFailed(RuntimeError):
    """Failure of a run in its process; `details` is the traceback, "" if the process died."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class RemoteTraining:
    """Training in a subprocess, with the methods that a job uses.

    Every call raises RunFailed if the Training raises, or if the process has died.
    """

    def __init__(self, experiment: Experiment, config: Config, *, path: Path, resume_from: Any = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.path = path
        self._pipe, remote_end = context.Pipe()
        settings = config.model_dump(mode="json")
        arguments = (remote_end, experiment.__name__, settings, path, resume_from is not None)
        self._process = context.Process(target=_serve, args=arguments, name=f"run-{path.stem}", daemon=True)
        self._process.start()
        remote_end.close()
        self.records, self.total_steps, self.done = self._receive()

    @property
    def pid(self) -> int | None:
        """Id of the process."""
        return self._process.pid

    def __iter__(self) -> Iterator[Record]:
        while True:
            record, self.total_steps, self.done = self._request("step", cores.share())
            if record is None:
                return
            yield record

    def report(self) -> Report:
        """See `Training.report`."""
        return self._request("report")

    def best_report(self) -> Report:
        """See `Training.best_report`."""
        return self._request("best_report")

    def save(self, status: str = "running") -> None:
        """See `Training.save`."""
        self._request("save", status)

    def fail(self, message: str) -> None:
        """See `Training.fail`; if the process has died, sets the status in its run file."""
        if self._process.is_alive():
            self._request("fail", message)
        elif self.path.exists():
            run_file.set_status(self.path, "failed", message)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def _request(self, method: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((method, arguments))
        except OSError:
            raise RunFailed(self._cause_of_death()) from None
        return self._receive()

    def _receive(self) -> Any:
        try:
            kind, content = self._pipe.recv()
        except (EOFError, OSError):
            raise RunFailed(self._cause_of_death()) from None
        if kind == "error":
            raise RunFailed(*content)
        return content

    def _cause_of_death(self) -> str:
        """Describe how the process ended."""
        self._process.join(5)
        code = self._process.exitcode
        if code is not None and code < 0:
            hint = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
            return f"the process of the run was ended by the signal {signal.Signals(-code).name}{hint}"
        return f"the process of the run ended with status {code}"


def training_class() -> type[Training] | type[RemoteTraining]:
    """Class of the Training of a job: `WORKBENCH_RUNNER` is "thread" (default) or "process"."""
    name = os.environ.get("WORKBENCH_RUNNER") or RUNNERS[0]
    if name not in RUNNERS:
        raise ValueError(f"WORKBENCH_RUNNER: expected one of {', '.join(RUNNERS)}, found {name!r}")
    return Training if name == "thread" else RemoteTraining


def _serve(pipe: Connection, module: str, settings: dict[str, Any], path: Path, resumes: bool) -> None:
    """Create the Training and answer requests until the pipe is closed; target of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which halts its runs itself
    try:
        experiment = experiments.at(module)
        run = run_file.read_run(path) if resumes else None
        training = Training(experiment, experiment.Config(**settings), path=path, resume_from=run)
        pipe.send(("ready", (training.records, training.total_steps, training.done)))
    except Exception as error:
        pipe.send(("error", _describe(error)))
        return
    records = iter(training)
    while True:
        try:
            method, arguments = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            pipe.send(("answer", _answer(training, records, method, arguments)))
        except Exception as error:
            pipe.send(("error", _describe(error)))


def _answer(training: Training, records: Iterator[Record], method: str, arguments: tuple[Any, ...]) -> Any:
    if method != "step":
        return getattr(training, method)(*arguments)
    import torch

    if torch.get_num_threads() != arguments[0]:
        torch.set_num_threads(arguments[0])
    return next(records, None), training.total_steps, training.done


def _describe(error: Exception) -> tuple[str, str]:
    """Message and traceback of an error."""
    return str(error) or type(error).__name__, traceback.format_exc()
