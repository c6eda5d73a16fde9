"""The record an experiment would train on, made in the background so that the page is there before its data."""

import logging
import threading
from functools import lru_cache

import xarray as xr

from workbench import experiments
from workbench.experiments.protocol import Config

logger = logging.getLogger(__name__)


@lru_cache(maxsize=8)
def record(experiment: str, config: Config) -> xr.Dataset:
    """The data of this configuration; the last few are kept."""
    return experiments.get(experiment).data(config)


class Preview:
    """The data of the configuration asked for last, as soon as they are there.

    `ask` returns at once; `version` grows when `data` or `error` (a sentence, "" if all is well) has changed.
    """

    def __init__(self) -> None:
        self.data = None
        self.error = ""
        self.version = 0
        self._asked = None
        self._lock = threading.Lock()
        self._thread = None

    def ask(self, experiment: str, config: Config) -> None:
        """Make the data of this configuration in a thread; an earlier question that still waits is dropped."""
        with self._lock:
            self._asked = (experiment, config)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="preview", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                asked, self._asked = self._asked, None
                if asked is None:
                    self._thread = None
                    return
            data, error = None, ""
            try:
                data = record(*asked)
            except Exception as fault:
                logger.exception("no data for %s", asked)
                error = f"The data could not be made: {fault}"
            with self._lock:
                if self._asked is None:
                    self.data, self.error, self.version = data, error, self.version + 1
