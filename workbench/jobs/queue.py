"""Who computes on a device and who waits: first come, first served, and never more at once than it has places."""

import os
import threading
from typing import Any

import psutil

from workbench.jobs.cpu import usable


class JobQueue:
    """A queue in which the first `places` compute and the others wait. Safe to use from any thread."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._names = []
        self._lock = threading.Lock()

    def enter(self, name: str) -> bool:
        """Stand in line, once; whether `name` may compute now."""
        with self._lock:
            if name not in self._names:
                self._names.append(name)
            return self._names.index(name) < self.places

    def leave(self, name: str) -> None:
        """Give the place, or the wait for one, up."""
        with self._lock:
            if name in self._names:
                self._names.remove(name)

    def position(self, name: str) -> int:
        """How many turns away it is: 0 for one that computes or does not stand in line, 1 for the next, ..."""
        with self._lock:
            return max(0, self._names.index(name) - self.places + 1) if name in self._names else 0


def places() -> int:
    """How many runs compute at once on a device: `WORKBENCH_JOBS`, else two, or one per core where there are more."""
    return _whole("WORKBENCH_JOBS", max(2, usable()))


def memory_limit_mb() -> float:
    """What one run may take above what the process held when it began: `WORKBENCH_RUN_MB`, else half of the machine."""
    return float(_whole("WORKBENCH_RUN_MB", int(psutil.virtual_memory().total / 2e6)))


def require_memory(taken_mb: float, limit_mb: float) -> None:
    """Raises MemoryError where a run has taken more than its limit."""
    if taken_mb > limit_mb:
        raise MemoryError(
            f"the run took {taken_mb:,.0f} MB, more than its limit of {limit_mb:,.0f} MB (WORKBENCH_RUN_MB)"
        )


def device(config: Any) -> str:
    """The device that a configuration computes on."""
    return str(getattr(config, "device", "cpu"))


def _whole(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name}: a whole number of at least 1 is needed, not {text!r}")
    return int(text)
