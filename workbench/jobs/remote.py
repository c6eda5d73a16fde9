"""A Training in a process of its own: what kills it, kills nothing else. Chosen by `WORKBENCH_RUNNER=process`.

The job asks over a pipe, one question at a time, and gets one answer; the pipe's end is the end of the process.
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
    """The run failed in its process; `details` is the traceback there, "" where the process died."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class RemoteTraining:
    """What a job uses of a Training, answered by a process.

    Every call raises RunFailed where the Training raises, and where the process is gone.
    """

    def __init__(self, experiment: Experiment, config: Config, *, path: Path, resume_from: Any = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.path = path
        self._pipe, far = context.Pipe()
        settings = config.model_dump(mode="json")
        arguments = (far, experiment.__name__, settings, path, resume_from is not None)
        self._process = context.Process(target=_serve, args=arguments, name=f"run-{path.stem}", daemon=True)
        self._process.start()
        far.close()
        self.records, self.total_steps, self.done = self._answer()

    @property
    def pid(self) -> int | None:
        """The process."""
        return self._process.pid

    def __iter__(self) -> Iterator[Record]:
        while True:
            record, self.total_steps, self.done = self._ask("step", cores.share())
            if record is None:
                return
            yield record

    def report(self) -> Report:
        """See `Training.report`."""
        return self._ask("report")

    def best_report(self) -> Report:
        """See `Training.best_report`."""
        return self._ask("best_report")

    def save(self, status: str = "running") -> None:
        """See `Training.save`."""
        self._ask("save", status)

    def fail(self, message: str) -> None:
        """See `Training.fail`; of a process that is gone, the file it left is marked."""
        if self._process.is_alive():
            self._ask("fail", message)
        elif self.path.exists():
            run_file.mark(self.path, "failed", message)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(5)
        self._process.kill()

    def _ask(self, what: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((what, arguments))
        except OSError:
            raise RunFailed(self._end()) from None
        return self._answer()

    def _answer(self) -> Any:
        try:
            kind, content = self._pipe.recv()
        except (EOFError, OSError):
            raise RunFailed(self._end()) from None
        if kind == "error":
            raise RunFailed(*content)
        return content

    def _end(self) -> str:
        """How the process came to its end, in words."""
        self._process.join(5)
        code = self._process.exitcode
        if code is not None and code < 0:
            often = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
            return f"the process of the run was ended by the signal {signal.Signals(-code).name}{often}"
        return f"the process of the run ended with status {code}"


def _serve(pipe: Connection, place: str, settings: dict[str, Any], path: Path, resumes: bool) -> None:
    """The process: makes the Training, then answers until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which halts its runs itself
    try:
        experiment = experiments.at(place)
        run = run_file.read_run(path) if resumes else None
        training = Training(experiment, experiment.Config(**settings), path=path, resume_from=run)
        pipe.send(("made", (training.records, training.total_steps, training.done)))
    except Exception as error:
        pipe.send(("error", _told(error)))
        return
    records = iter(training)
    while True:
        try:
            what, arguments = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            pipe.send(("answer", _answered(training, records, what, arguments)))
        except Exception as error:
            pipe.send(("error", _told(error)))


def _answered(training: Training, records: Iterator[Record], what: str, arguments: tuple[Any, ...]) -> Any:
    if what != "step":
        return getattr(training, what)(*arguments)
    import torch

    if torch.get_num_threads() != arguments[0]:
        torch.set_num_threads(arguments[0])
    return next(records, None), training.total_steps, training.done


def _told(error: Exception) -> tuple[str, str]:
    return str(error) or type(error).__name__, traceback.format_exc()
