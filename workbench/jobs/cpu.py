"""CPU cores shared by concurrent trainings and the server."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """Cores that all trainings of the server share: all but one, which is left to the server and the browser.

    A parallel region of torch waits for its slowest thread: with one of two cores occupied by another process, a step
    on two threads was measured to take 18 times as long as on one (1,121 ms against 61 ms; both cores free: 45 ms).

    Trainings take turns, step by step, so that at most as many compute at once as there are cores. Otherwise the thread
    that serves the pages competes with all of them for the interpreter at every message: with twenty trainings on two
    cores a page took 3 to 12 s to open, with turns 1 to 3 s.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or usable_cores()
        self._lock = threading.Lock()
        self._training: set[str] = set()
        self._free = self._cores
        self._waiting: deque[threading.Event] = deque()

    def enter(self, name: str) -> None:
        """Register the training `name` as computing."""
        with self._lock:
            self._training.add(name)

    def leave(self, name: str) -> None:
        """Register the training `name` as halted."""
        with self._lock:
            self._training.discard(name)

    def share(self) -> int:
        """Number of threads for each training, at least one."""
        with self._lock:
            return max(1, (self._cores - 1) // max(1, len(self._training)))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Context for computing, entered in order of arrival when a core is free."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def _begin(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            my_turn = threading.Event()
            self._waiting.append(my_turn)
        my_turn.wait()

    def _end(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # hands its core over
            else:
                self._free += 1

    def apply(self) -> None:
        """Set the number of torch threads of the calling thread to its share."""
        import torch  # deferred: the page loads faster without it

        share = self.share()
        if torch.get_num_threads() != share:
            torch.set_num_threads(share)


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


cores = Cores()
