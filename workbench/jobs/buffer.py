"""Bounded buffer of the Records of a run, for any number of readers."""

import math
from dataclasses import dataclass

from workbench.training import Record


@dataclass(frozen=True)
class Cursor:
    """Position of a reader: number of records read at a given thinning. A new cursor is at the start."""

    thinning: int = -1
    count: int = 0


class History:
    """Records, evenly thinned to at most `limit`: a full buffer drops every second step, never the first.

    The last record is in `last`, and among the others after `keep_last`, which is called at every halt of the run. Not
    thread-safe: the job that owns it holds its lock around every call.
    """

    def __init__(self, limit: int = 2000) -> None:
        self.last: Record | None = None
        self.best = math.nan
        self._limit = limit
        self._records: list[Record] = []
        self._stride = 1
        self._thinning = 0

    def append(self, record: Record) -> None:
        """Append a record; steps must increase."""
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
        """Make the last record available to readers even if thinning has dropped it."""
        if self.last is not None and self._records[-1] is not self.last:
            self._records.append(self.last)

    def read(self, cursor: Cursor) -> tuple[list[Record], Cursor, bool]:
        """Records after `cursor`, the new cursor, and whether they replace all that the reader has read."""
        restart = cursor.thinning != self._thinning or cursor.count > len(self._records)
        new = self._records if restart else self._records[cursor.count :]
        return list(new), Cursor(self._thinning, len(self._records)), restart

    @property
    def seconds(self) -> float:
        """Training time at the last record; 0 before the first."""
        return self.last.seconds if self.last is not None else 0.0

    def pace(self) -> float:
        """Seconds per step over the last 20 records, or over all steps if there are fewer; 0 before the first."""
        if self.last is None:
            return 0.0
        if len(self._records) <= 20:
            return self.last.seconds / max(1, self.last.step)
        earlier = self._records[-20]
        return (self.last.seconds - earlier.seconds) / (self.last.step - earlier.step)
