"""A run from its begin to its end, with lines of progress; Ctrl-C keeps what it has."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from workbench.cli.errors import PROGRAM, CommandError
from workbench.cli.text import print_report

SECONDS_BETWEEN_LINES = 1.0


def follow(begin: Callable[[], Any], steps: int | None) -> int:
    """Train to the end, for `steps` steps or until Ctrl-C, with lines of progress and the equations at the end."""
    training, stopped = None, False
    try:
        with _interrupts() as interrupted:
            training = begin()
            for taken, _ in enumerate(_shown(training), start=1):
                stopped = bool(interrupted) or taken == steps
                if stopped and not training.model.done:
                    training.save("stopped")
                    break
    except Exception as error:
        path = training.path if training else None
        kept = f"; what it found is kept in {path}" if path and path.exists() else ""
        raise CommandError(f"the run failed: {error or type(error).__name__}{kept}", 1) from error
    if training.records:
        print_report(training.best_report())
    print(f"run file: {training.path}")
    if not training.model.done:
        print(f"stopped at step {len(training.records)} of {training.model.total_steps}")
        print(f"to go on: {PROGRAM} resume {training.path}")
    return 130 if interrupted and not training.model.done else 0


def _shown(training: Any) -> Iterator[Any]:
    """The records of a training, the first, the last and one per second printed."""
    printed, record = -1e9, None
    for record in training:
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            _print_progress(record)
            printed, shown = time.monotonic(), record
        yield record
    if record is not None and shown is not record:
        _print_progress(record)


def _print_progress(record: Any) -> None:
    metrics = "  ".join(f"{name} {value:.4g}" for name, value in record.metrics.items())
    print(f"step {record.step} of {record.total}  {record.seconds:.2f} s  {metrics}", flush=True)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that Ctrl-C fills; the second Ctrl-C interrupts at once."""
    received = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, before)
        print("stopping after this step; Ctrl-C again to stop at once", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
