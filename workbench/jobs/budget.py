"""Limits of a sandboxed job, and the status at its end."""

from dataclasses import dataclass
from enum import StrEnum

import psutil


class JobStatus(StrEnum):
    """Status of a job at its end; plots mark all but OK."""

    OK = "ok"
    OVER_TIME = "over the time budget"
    OVER_MEMORY = "over the memory budget"
    OUT_OF_MEMORY = "out of memory"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Budget:
    """Limits of one job.

    seconds: time limit of its preparation (up to its message `begin`), and again of the rest. memory: bytes above the
    memory in use at the start of either part; None: half of the available memory when the job starts.

    Raises ValueError for a limit that is not positive.
    """

    seconds: float = 10.0
    memory: int | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "memory"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected a budget above 0, found {value}")

    @property
    def bytes(self) -> int:
        """Memory budget in bytes."""
        return psutil.virtual_memory().available // 2 if self.memory is None else self.memory
