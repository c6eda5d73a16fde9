"""Where a study runs: workers of this machine, started and ended here, or a cluster that is there already.

A cluster needs nothing of this project but that its workers can import it:

    dask scheduler                                                 # on one machine
    dask worker tcp://SCHEDULER:8786 --nthreads 1 --nworkers 8     # on every other, a process per run
    dask worker tcp://SCHEDULER:8786 --nthreads 1 --resources GPU=1   # one run at a time on its GPU
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from distributed import Client, Nanny, Scheduler, SpecCluster

PATIENCE = 60
"""Seconds to wait for a scheduler, and for its first worker."""
CALM = {"distributed.worker.profile.enabled": False}
"""Dask's settings of a worker: it does not look a hundred times a second at what the run is doing."""


@contextmanager
def connected(address: str | None = None, *, workers: int | None = None, threads: int = 1) -> Iterator[Client]:
    """A client of the scheduler at `address` (tcp://host:port), or of workers of this machine.

    It is not made the default one: what else this process computes with dask, and writes, stays in this process.
    """
    if address is None:
        with local(workers, threads=threads) as client:
            yield client
        return
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(f"there is no scheduler at {address}: {error}") from error
    with client:
        yield client


@contextmanager
def local(workers: int | None = None, *, threads: int = 1) -> Iterator[Client]:
    """A client of `workers` processes on this machine, each with one run at a time on `threads` threads.

    Default: one per GPU; without a GPU, as many as the cores allow. Only this machine can reach them.
    """
    specs = worker_specs(workers, torch.cuda.device_count(), usable_cores() // threads)
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    cluster = SpecCluster(workers=specs, scheduler=scheduler, name="studies", silence_logs=logging.ERROR)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def worker_specs(workers: int | None, gpus: int, room: int) -> dict[int, dict[str, Any]]:
    """What each worker process is: one thread for runs, and a GPU of its own where there are any.

    More workers than GPUs: those that come last have none, and get no run as long as others offer one.
    """
    common = {"nthreads": 1, "host": "127.0.0.1", "dashboard": False, "silence_logs": logging.ERROR, "config": CALM}
    specs = {}
    for index in range(workers or gpus or max(1, room)):
        options = dict(common)
        if index < gpus:
            options |= {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": _gpu(index)}}
        specs[index] = {"cls": Nanny, "options": options}
    return specs


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu(index: int) -> str:
    """The name of the GPU that this process sees as number `index`."""
    seen = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return seen[index] if seen else str(index)
