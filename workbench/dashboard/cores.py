"""Which training may use how many cores, so that trainings neither choke each other nor the page that follows them."""

import os
import threading


class Cores:
    """All trainings of the server share its cores but one, which is left to the server and the browser.

    A parallel region of torch waits for its slowest thread: where another process takes one of two cores, a step on two
    threads was measured to take 18 times as long as on one (1,121 ms against 61 ms; both cores free: 45 ms).
    """

    def __init__(self, cores: int | None = None) -> None:
        self._cores = cores or usable()
        self._lock = threading.Lock()
        self._training = set()

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
