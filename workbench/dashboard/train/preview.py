"""Background loading of the data of an experiment, so that the page appears before its data."""

import logging
import threading
from functools import lru_cache

import xarray as xr

from workbench import experiments
from workbench.experiments.protocol import Config

logger = logging.getLogger(__name__)


@lru_cache(maxsize=8)
def load_dataset(experiment: str, config: Config) -> xr.Dataset:
    """Data of an experiment's configuration, with the last few cached."""
    return experiments.get(experiment).data(config)


class Preview:
    """Data of the most recently requested configuration.

    data: None until loaded. error: message, "" on success. version: increases when either changes.
    """

    def __init__(self) -> None:
        self.data = None
        self.error = ""
        self.version = 0
        self._request = None
        self._lock = threading.Lock()
        self._thread = None

    def request(self, experiment: str, config: Config) -> None:
        """Load the data of a configuration in a thread and return at once; a pending request is replaced."""
        with self._lock:
            self._request = (experiment, config)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="preview", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                request, self._request = self._request, None
                if request is None:
                    self._thread = None
                    return
            data, error = None, ""
            try:
                data = load_dataset(*request)
            except Exception as exception:
                logger.exception("no data for %s", request)
                error = f"The data could not be loaded: {exception}"
            with self._lock:
                if self._request is None:
                    self.data, self.error, self.version = data, error, self.version + 1
