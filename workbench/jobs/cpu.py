"""Which training may use how many cores, so that trainings neither choke each other nor the page that follows them."""

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Cores:
    """All trainings of the server share its cores but one, which is left to the server and the browser.

    A parallel region of torch waits for its slowest thread: where another process takes one of two cores, a step on two
    threads was measured to take 18 times as long as on one (1,121 ms against 61 ms; both cores free: 45 ms).

    They take turns, step by step: never more compute at once than there are cores. Each thread that could compute wants
    the interpreter, and the one that serves the pages would wait for all of them at every message: while twenty
    trained on two cores, a page took 3 to 12 s to open, and takes 1 to 3 s with turns.
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or usable()
        self._lock = threading.Lock()
        self._training = set()
        self._free = self._cores
        self._waiting = deque()

    def enter(self, name: str) -> None:
        """The training `name` begins to compute."""
        with self._lock:
            self._training.add(name)

    def leave(self, name: str) -> None:
        """The training `name` halts."""
        with self._lock:
            self._training.discard(name)

    def share(self) -> int:
        """The threads that each training may use now, at least one."""
        with self._lock:
            return max(1, (self._cores - 1) // max(1, len(self._training)))

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A context in which to compute. It is entered when there is a place, first come, first served."""
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
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def _end(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()  # the place goes over to it
            else:
                self._free += 1

    def apply(self) -> None:
        """Let the calling thread compute with its share."""
        import torch  # not with the page, which is there sooner without

        share = self.share()
        if torch.get_num_threads() != share:
            torch.set_num_threads(share)


def usable() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


cores = Cores()
