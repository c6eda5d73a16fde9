"""Train with lines of progress; Ctrl-C saves the run."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.cli.errors import PROGRAM, CommandError
from workbench.cli.text import print_report

SECONDS_BETWEEN_LINES = 1.0


def train_with_progress(create: Callable[[], Any], steps: int | None) -> int:
    """Train to the end, for `steps` steps or until Ctrl-C; print progress, and the equations at the end.

    Returns the exit status. Raises CommandError if the run fails.
    """
    training, stopped = None, False
    try:
        with _interrupts() as interrupted:
            training = create()
            for count, _ in enumerate(_with_progress(training), start=1):
                stopped = bool(interrupted) or count == steps
                if stopped and not training.model.done:
                    training.save("stopped")
                    break
    except Exception as error:
        path = training.path if training else None
        saved = f"; its best state is saved in {path}" if path and path.exists() else ""
        raise CommandError(f"the run failed: {error or type(error).__name__}{saved}", 1) from error
    if training.records:
        print_report(training.best_report())
    print(f"run file: {training.path}")
    if not training.model.done:
        print(f"stopped at step {len(training.records)} of {training.model.total_steps}")
        print(f"to resume: {PROGRAM} resume {training.path}")
    return 130 if interrupted and not training.model.done else 0


def _with_progress(training: Any) -> Iterator[Any]:
    """Yield the records of a training; print the first, the last and one per second."""
    last_printed, record = -1e9, None
    for record in training:
        if time.monotonic() - last_printed >= SECONDS_BETWEEN_LINES:
            _print_progress(record)
            last_printed, printed = time.monotonic(), record
        yield record
    if record is not None and printed is not record:
        _print_progress(record)


def _print_progress(record: Any) -> None:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in record.metrics.items())
    print(f"step {record.step} of {record.total}  {record.seconds:.2f} s  {metrics}", flush=True)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Context with a list to which the first Ctrl-C appends its signal; the second Ctrl-C interrupts immediately."""
    received = []

    def on_interrupt(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, previous)
        print("stopping after this step; press Ctrl-C again to stop immediately", file=sys.stderr, flush=True)

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, previous)
