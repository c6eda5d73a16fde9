"""Waiting for events, with a generous time limit."""

import os
import subprocess
import time
from collections.abc import Callable

import pytest

PATIENCE = int(os.environ.get("WORKBENCH_TEST_PATIENCE", "300"))
"""Time limit in seconds: far more than any event takes on a busy machine."""


def wait_until(happened: Callable[[], object], what: str, *alive: subprocess.Popen) -> None:
    """Return when `happened()` is true; fail after PATIENCE, or when one of the required processes ends."""
    end = time.monotonic() + PATIENCE
    while not happened():
        ended = [process.args for process in alive if process.poll() is not None]
        if ended or time.monotonic() > end:
            pytest.fail(f"did not happen: {what}" + (f"; ended: {ended}" if ended else ""))
        time.sleep(0.01)
