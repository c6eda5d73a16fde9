"""Scheduler, workers and clients as processes of their own, on loopback addresses of their own: hosts in one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


class Processes:
    """Processes that end with the test, and what they have said, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all = []

    def start(self, *words: str) -> subprocess.Popen:
        """Python with these arguments."""
        log = (self.folder / f"process-{len(self._all)}.log").open("w")
        with log:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
            )
        self._all.append(process)
        return process

    def scheduler(self, host: str) -> tuple[subprocess.Popen, str]:
        """A scheduler at a free port of `host`, and its address."""
        told = self.folder / f"scheduler-{len(self._all)}.json"
        process = self.start(
            *("-m", "distributed.cli.dask_scheduler", "--host", host, "--port", "0"),
            *("--no-dashboard", "--no-show", "--scheduler-file", str(told)),
        )
        self.wait(lambda: told.exists() and '"address"' in told.read_text(), process)
        return process, json.loads(told.read_text())["address"]

    def worker(self, address: str, host: str) -> subprocess.Popen:
        """A worker of one thread that listens on `host`, without a nanny that would start it again."""
        options = ("--host", host, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        return self.start("-m", "distributed.cli.dask_worker", address, *options)

    def wait(self, condition: Callable[[], bool], *alive: subprocess.Popen) -> None:
        """Until `condition`, as long as these processes live."""
        try:
            wait_until(condition, "what these processes should do", *alive)
        except pytest.fail.Exception as failure:
            raise AssertionError(f"{failure}; they wrote:\n{self.said()}") from None

    def said(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("process-*.log")))

    def end(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


def kill(process: subprocess.Popen) -> None:
    """SIGKILL: no farewell, no tidying up."""
    process.send_signal(signal.SIGKILL)
    process.wait()
