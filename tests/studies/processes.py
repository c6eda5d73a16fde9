"""Scheduler, workers and clients as processes on different loopback addresses, like hosts of a cluster."""

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
    """Processes that end with the test, with their output in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all = []

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Python with these arguments."""
        log = (self.folder / f"process-{len(self._all)}.log").open("w")
        with log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=ENVIRONMENT, stdout=log, stderr=subprocess.STDOUT
            )
        self._all.append(process)
        return process

    def scheduler(self, host: str) -> tuple[subprocess.Popen, str]:
        """Start a scheduler at a free port of `host`; returns the process and its address."""
        address_file = self.folder / f"scheduler-{len(self._all)}.json"
        process = self.start(
            *("-m", "distributed.cli.dask_scheduler", "--host", host, "--port", "0"),
            *("--no-dashboard", "--no-show", "--scheduler-file", str(address_file)),
        )
        self.wait(lambda: address_file.exists() and '"address"' in address_file.read_text(), process)
        return process, json.loads(address_file.read_text())["address"]

    def worker(self, address: str, host: str) -> subprocess.Popen:
        """Start a worker of one thread that listens on `host`, without a nanny that would restart it."""
        options = ("--host", host, "--nthreads", "1", "--no-nanny", "--no-dashboard")
        return self.start("-m", "distributed.cli.dask_worker", address, *options)

    def wait(self, condition: Callable[[], bool], *alive: subprocess.Popen) -> None:
        """Wait until `condition`, while these processes live."""
        try:
            wait_until(condition, "condition on processes", *alive)
        except pytest.fail.Exception as failure:
            raise AssertionError(f"{failure}; they wrote:\n{self.output()}") from None

    def output(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("process-*.log")))

    def end(self) -> None:
        for process in self._all:
            process.kill()
            process.wait()


def kill(process: subprocess.Popen) -> None:
    """End a process by SIGKILL, without cleanup."""
    process.send_signal(signal.SIGKILL)
    process.wait()
