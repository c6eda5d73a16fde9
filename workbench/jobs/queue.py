"""Queue of runs for a device, and limits on their number and memory."""

import os
import threading
from typing import Any

import psutil

from workbench.jobs.cpu import usable_cores


class JobQueue:
    """First-come, first-served queue: the first `places` jobs compute, the others wait. Thread-safe."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._names: list[str] = []
        self._lock = threading.Lock()

    def enter(self, name: str) -> bool:
        """Append `name` unless it is in the queue; returns whether it may compute now."""
        with self._lock:
            if name not in self._names:
                self._names.append(name)
            return self._names.index(name) < self.places

    def leave(self, name: str) -> None:
        """Remove `name` from the queue."""
        with self._lock:
            if name in self._names:
                self._names.remove(name)

    def position(self, name: str) -> int:
        """Number of turns to wait: 0 if `name` may compute or is not in the queue, 1 for the next, ..."""
        with self._lock:
            return max(0, self._names.index(name) - self.places + 1) if name in self._names else 0


def places() -> int:
    """Number of concurrent runs per device: `WORKBENCH_JOBS`, default the number of cores, at least two."""
    return _positive_integer("WORKBENCH_JOBS", max(2, usable_cores()))


def memory_limit_mb() -> float:
    """Memory limit of a run above the initial memory of the process: `WORKBENCH_RUN_MB`, default half of the RAM."""
    return float(_positive_integer("WORKBENCH_RUN_MB", int(psutil.virtual_memory().total / 2e6)))


def require_memory(used_mb: float, limit_mb: float) -> None:
    """Raise MemoryError if a run uses more than its limit."""
    if used_mb > limit_mb:
        raise MemoryError(
            f"the run used {used_mb:,.0f} MB, more than its limit of {limit_mb:,.0f} MB (WORKBENCH_RUN_MB)"
        )


def device(config: Any) -> str:
    """Device of a configuration; "cpu" if it has no such setting."""
    return str(getattr(config, "device", "cpu"))


def _positive_integer(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{variable}: expected an integer of at least 1, found {text!r}")
    return int(text)
