"""Intervals between the reports of a running job."""

import math
import time

from workbench.jobs.cpu import usable_cores

REPORT_INTERVAL = 0.5 if usable_cores() > 2 else 1.0
"""Minimum seconds between two reports: drawing one takes the browser a while, and it may share the core."""


class ReportSchedule:
    """Schedule of the reports of a run, which take at most a tenth of its training time.

    Training time counts, not clock time, since other jobs compute in between.
    """

    def __init__(self) -> None:
        self.count = 0
        self._cost = 0.0
        self._trained = -math.inf
        self._time = -1e9

    def is_due(self, trained: float) -> bool:
        """Whether a report is due after `trained` seconds of training."""
        return time.monotonic() > self._time + REPORT_INTERVAL and trained - self._trained > 10 * self._cost

    def add(self, begin: float, trained: float) -> None:
        """Count a report that took from the monotonic time `begin` until now, after `trained` seconds of training."""
        self.count += 1
        self._time = time.monotonic()
        self._cost = self._time - begin
        self._trained = trained
