"""The engine of a study: its cells on the workers of a dask.distributed client, what is complete kept."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

import xarray as xr
from distributed import Client, Future, as_completed
from distributed.comm import CommClosedError

from workbench import experiments
from workbench.studies.cluster import PATIENCE
from workbench.studies.result_table import save
from workbench.studies.study import HALT, Cell, Study, key_of
from workbench.studies.task import Task, TaskOutcome, cell_path, outcome_of, publish, record_failure, run_cell


def run(study: Study, client: Client, *, threads: int = 1, retry_failed: bool = False) -> xr.Dataset:
    """Every cell that is not complete yet, then the results over the axes, kept as study.nc.

    threads: how many every run computes with; the same number gives the same digits on any worker. retry_failed: cells
    that failed are run once more. Killed at any moment, the same call goes on: complete cells are not repeated, and
    interrupted ones go on from what they last saved. Raises ConnectionError where the scheduler is lost, and
    TimeoutError where no worker joins.
    """
    for _ in follow(study, client, threads=threads, retry_failed=retry_failed):
        pass
    return save(study)


def follow(
    study: Study,
    client: Client,
    *,
    threads: int = 1,
    retry_failed: bool = False,
    stop: threading.Event | None = None,
) -> Iterator[TaskOutcome]:
    """`run` as a generator of outcomes in the order in which cells end; those complete before come first.

    Setting `stop`, closing the generator, or an error in whoever iterates cancels: no further cell begins, and running
    ones stop and save.
    """
    study.save()
    waiting = []
    for cell in {cell.id: cell for cell in study.cells}.values():
        path = study.path(cell)
        if path.exists() and retry_failed and outcome_of(path).status == "failed":
            path.unlink()
        if path.exists():
            yield outcome_of(path)
        else:
            waiting.append(cell)
    if waiting:
        with WorkerTasks(client, study.folder, stop) as running:
            for job in jobs(study.experiment, waiting, study.folder, threads):
                running.add(job)
            yield from running


def jobs(experiment: str, cells: Sequence[Cell], folder: Path, threads: int) -> list[Task]:
    """What the workers are told about these cells."""
    place, key = experiments.get(experiment).__name__, key_of(folder)
    return [Task(cell.id, place, dict(cell.config), str(folder), key, threads) for cell in cells]


LOOK = 0.1
"""Seconds between two looks whether somebody wants the study to stop."""


class WorkerTasks:
    """Jobs on the workers of a client. Iterate over it for their outcomes as they end; `add` more meanwhile.

    A lost worker's jobs go to another; one that ends several workers has failed. Leaving the `with` cancels what has
    not ended; so does setting `stop`. Raises ConnectionError where the scheduler is lost, TimeoutError where no worker
    joins.
    """

    def __init__(self, client: Client, folder: Path, stop: threading.Event | None = None) -> None:
        (folder / HALT).unlink(missing_ok=True)
        self._client = client
        self._folder = folder
        self._claim = one_each(client)
        self._jobs = {}
        self._completed = as_completed(loop=client.loop)
        self._ended = 0
        self._stop = stop

    def add(self, job: Task) -> None:
        """Let a worker take this job when it is free."""
        # The name is that of the settings: whoever asks for a cell that is being computed gets that computation.
        name = f"cell-{job.key}-{job.id}"
        future = self._client.submit(run_cell, job, key=name, pure=False, resources=self._claim)
        self._jobs[future] = job
        self._completed.add(future)

    def __iter__(self) -> Iterator[TaskOutcome]:
        while self._jobs:
            if self._stop is not None and not self._awaited(self._stop):
                return
            future = next(self._completed)
            outcome = _outcome(future, self._jobs.pop(future), self._folder)
            if outcome is None:
                raise ConnectionError(self._lost())
            self._ended += 1
            yield _kept(outcome, self._folder)

    def _awaited(self, stop: threading.Event) -> bool:
        """Wait for the next job to end; False where somebody wants to stop before."""
        while not stop.is_set():
            if self._completed.has_ready():
                return True
            stop.wait(LOOK)
        return False

    def __enter__(self) -> "WorkerTasks":
        return self

    def __exit__(self, *error: object) -> None:
        if self._jobs:
            (self._folder / HALT).touch()
            if self._client.status == "running":
                self._client.cancel(list(self._jobs))

    def _lost(self) -> str:
        address = self._client.scheduler.address if self._client.scheduler else "there"
        return (
            f"the scheduler at {address} was lost, or another client cancelled the study, after {self._ended} cells; "
            f"what is complete is kept in {self._folder}: run the study again to go on"
        )


def one_each(client: Client) -> dict[str, int] | None:
    """What a run claims: a whole GPU where workers have one, else one thread of a worker.

    Raises TimeoutError where no worker joins in time.
    """
    address = client.scheduler.address if client.scheduler else "the scheduler"
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        words = f"no worker has joined {address} within {PATIENCE} s; start one: dask worker {address} --nthreads 1"
        raise TimeoutError(words) from None
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1} if any(worker.get("resources", {}).get("GPU") for worker in workers) else None


def _outcome(future: Future, job: Task, folder: Path) -> TaskOutcome | None:
    """How a cell ended; None where nobody is there to tell. A cell that ended several workers, say, has failed."""
    try:
        return None if future.status in ("cancelled", "lost") else future.result()
    except (CommClosedError, CancelledError):
        return None
    except Exception as error:
        return record_failure(job, folder, f"{type(error).__name__}: {error}")


def _kept(outcome: TaskOutcome, folder: Path) -> TaskOutcome:
    """The outcome, its run file in the folder of the study."""
    if outcome.content is None:
        return outcome
    attempt = folder / "attempts" / f"{outcome.id}.brought.nc"
    attempt.parent.mkdir(parents=True, exist_ok=True)
    attempt.write_bytes(outcome.content)
    publish(attempt, cell_path(folder, outcome.id))
    return TaskOutcome(outcome.id, outcome.status, outcome.message)
