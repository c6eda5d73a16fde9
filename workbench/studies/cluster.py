"""Dask clients for studies: worker processes of this machine, or an existing cluster.

The workers of a cluster must be able to import this project:

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

from workbench.jobs.cpu import usable_cores

PATIENCE = 60
"""Seconds to wait for a scheduler and for its first worker."""
WORKER_CONFIG = {"distributed.worker.profile.enabled": False}
"""Dask settings of a worker: no profiling, which samples the run a hundred times a second."""


@contextmanager
def connected(address: str | None = None, *, workers: int | None = None, threads: int = 1) -> Iterator[Client]:
    """Client of the scheduler at `address` (tcp://host:port); None: of workers on this machine.

    It is not the default client, so that other dask computations of this process stay in this process.
    Raises ConnectionError if the scheduler does not answer.
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
    """Client of `workers` processes on this machine, each with one run at a time on `threads` threads.

    Default: one per GPU; without a GPU, cores // threads. Only this machine can reach them.
    """
    specs = worker_specs(workers, torch.cuda.device_count(), usable_cores() // threads)
    scheduler = {"cls": Scheduler, "options": {"host": "127.0.0.1", "port": 0, "dashboard_address": "127.0.0.1:0"}}
    cluster = SpecCluster(workers=specs, scheduler=scheduler, name="studies", silence_logs=logging.ERROR)
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def worker_specs(workers: int | None, gpus: int, cpu_workers: int) -> dict[int, dict[str, Any]]:
    """Dask specification of each worker process: one thread for runs, and a separate GPU if there are any.

    With more workers than GPUs the last ones have none, and get no run while others offer a GPU.
    """
    common = {
        "nthreads": 1,
        "host": "127.0.0.1",
        "dashboard": False,
        "silence_logs": logging.ERROR,
        "config": WORKER_CONFIG,
    }
    specs = {}
    for index in range(workers or gpus or max(1, cpu_workers)):
        options = dict(common)
        if index < gpus:
            options |= {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": _gpu(index)}}
        specs[index] = {"cls": Nanny, "options": options}
    return specs


def _gpu(index: int) -> str:
    """Name of the GPU that this process sees as number `index`."""
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return visible[index] if visible else str(index)
