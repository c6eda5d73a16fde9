"""Limits of a job in a sandbox, and how it ended."""

from dataclasses import dataclass
from enum import StrEnum

import psutil


class JobStatus(StrEnum):
    """How a point or a comparison ended; all but OK are marks on a plot."""

    OK = "ok"
    OVER_TIME = "over the time budget"
    OVER_MEMORY = "over the memory budget"
    OUT_OF_MEMORY = "out of memory"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Budget:
    """What one point may take: `seconds` for all of its passes, and as long again to make its inputs; `memory` bytes
    above the inputs, None: half of what the machine has free when the measuring starts.

    Raises ValueError for a budget that is not positive.
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
        """The memory budget in bytes."""
        return psutil.virtual_memory().available // 2 if self.memory is None else self.memory
