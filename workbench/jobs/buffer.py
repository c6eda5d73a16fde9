"""The Records of one run, bounded in number, for any number of readers."""

import math
from dataclasses import dataclass

from workbench.training import Record


@dataclass(frozen=True)
class Cursor:
    """How far a reader has read: so many records of the given thinning; a new one starts over."""

    thinning: int = -1
    count: int = 0


class History:
    """Records evenly thinned to at most `limit`: when full, every second step is let go; the first always stays.

    The very last record is in `last` at once, and among the others as soon as `keep_last` is called (at every halt of
    the run). Not locked: the job that owns it holds its own lock around every call.
    """

    def __init__(self, limit: int = 2000) -> None:
        self.last = None
        self.best = math.nan
        self._limit = limit
        self._records = []
        self._stride = 1
        self._thinning = 0

    def append(self, record: Record) -> None:
        """Add a record; steps must grow."""
        self.last = record
        loss = record.metrics.get("loss", math.nan)
        self.best = loss if not self.best <= loss else self.best
        if not self._records or record.step % self._stride == 0:
            self._records.append(record)
        while len(self._records) > self._limit:
            self._stride *= 2
            self._thinning += 1
            self._records = [r for i, r in enumerate(self._records) if i == 0 or r.step % self._stride == 0]

    def keep_last(self) -> None:
        """Make sure that the last record is among those that readers get."""
        if self.last is not None and self._records[-1] is not self.last:
            self._records.append(self.last)

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """The records after `cursor`, the new cursor, and whether the reader must start over with just these."""
        restart = cursor.thinning != self._thinning or cursor.count > len(self._records)
        fresh = self._records if restart else self._records[cursor.count :]
        return list(fresh), Cursor(self._thinning, len(self._records)), restart

    def pace(self) -> float:
        """Seconds per step over the last twenty records, over all steps while there are no more; 0 before the first."""
        if self.last is None:
            return 0.0
        if len(self._records) <= 20:
            return self.last.seconds / max(1, self.last.step)
        earlier = self._records[-20]
        return (self.last.seconds - earlier.seconds) / (self.last.step - earlier.step)
