"""Run the cells of a study on the workers of a dask.distributed client."""

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
    """Run every cell that is not complete; returns the results over the axes, saved as study.nc.

    threads: number of threads of a run; the same number gives the same digits on any worker. retry_failed: run failed
    cells again. After a kill, the same call resumes the study: complete cells are not repeated, and interrupted ones
    continue from their last save. Raises ConnectionError if the scheduler is lost, and TimeoutError if no worker joins.
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
    """`run` as a generator of outcomes in the order in which cells end, after those of complete cells.

    To cancel, set `stop` or close the generator: no further cell begins, and running ones stop and save.
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
            for task in tasks_of(study.experiment, waiting, study.folder, threads):
                running.add(task)
            yield from running


def tasks_of(experiment: str, cells: Sequence[Cell], folder: Path, threads: int) -> list[Task]:
    """Tasks for the workers, one per cell."""
    module, key = experiments.get(experiment).__name__, key_of(folder)
    return [Task(cell.id, module, dict(cell.config), str(folder), key, threads) for cell in cells]


STOP_POLL = 0.1
"""Polling interval of `stop`, seconds."""


class WorkerTasks:
    """Tasks on the workers of a client: an iterator over their outcomes as they end, to which tasks can be added.

    Tasks of a lost worker go to another; a task that kills several workers counts as failed. Leaving the `with` block
    or setting `stop` cancels unfinished tasks. Raises ConnectionError if the scheduler is lost, TimeoutError if no
    worker joins.
    """

    def __init__(self, client: Client, folder: Path, stop: threading.Event | None = None) -> None:
        (folder / HALT).unlink(missing_ok=True)
        self._client = client
        self._folder = folder
        self._resources = required_resources(client)
        self._tasks = {}
        self._completed = as_completed(loop=client.loop)
        self._ended = 0
        self._stop = stop

    def add(self, task: Task) -> None:
        """Submit a task."""
        # The key depends on the settings only, so that a cell that is being computed is not computed twice.
        name = f"cell-{task.key}-{task.id}"
        future = self._client.submit(run_cell, task, key=name, pure=False, resources=self._resources)
        self._tasks[future] = task
        self._completed.add(future)

    def __iter__(self) -> Iterator[TaskOutcome]:
        while self._tasks:
            if self._stop is not None and not self._wait(self._stop):
                return
            future = next(self._completed)
            outcome = _outcome(future, self._tasks.pop(future), self._folder)
            if outcome is None:
                raise ConnectionError(self._loss_message())
            self._ended += 1
            yield _stored(outcome, self._folder)

    def _wait(self, stop: threading.Event) -> bool:
        """Wait for the next task to end; False if `stop` is set before."""
        while not stop.is_set():
            if self._completed.has_ready():
                return True
            stop.wait(STOP_POLL)
        return False

    def __enter__(self) -> "WorkerTasks":
        return self

    def __exit__(self, *error: object) -> None:
        if self._tasks:
            (self._folder / HALT).touch()
            if self._client.status == "running":
                self._client.cancel(list(self._tasks))

    def _loss_message(self) -> str:
        at_address = f" at {self._client.scheduler.address}" if self._client.scheduler else ""
        return (
            f"the scheduler{at_address} was lost, or another client cancelled the study, after {self._ended} cells; "
            f"complete cells are saved in {self._folder}: run the study again to resume it"
        )


def required_resources(client: Client) -> dict[str, int] | None:
    """Dask resources of a run: a GPU if any worker has one, else None (one thread of a worker).

    Raises TimeoutError if no worker joins in time.
    """
    address = client.scheduler.address if client.scheduler else "the scheduler"
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise TimeoutError(
            f"no worker has joined {address} within {PATIENCE} s; start one: dask worker {address} --nthreads 1"
        ) from None
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1} if any(worker.get("resources", {}).get("GPU") for worker in workers) else None


def _outcome(future: Future, task: Task, folder: Path) -> TaskOutcome | None:
    """Outcome of a cell; None if the scheduler is lost. Any other error of dask means that the cell has failed."""
    try:
        return None if future.status in ("cancelled", "lost") else future.result()
    except (CommClosedError, CancelledError):
        return None
    except Exception as error:
        return record_failure(task, folder, f"{type(error).__name__}: {error}")


def _stored(outcome: TaskOutcome, folder: Path) -> TaskOutcome:
    """Store the run file of an outcome, if it has one, in the folder of the study."""
    if outcome.content is None:
        return outcome
    attempt = folder / "attempts" / f"{outcome.id}.received.nc"
    attempt.parent.mkdir(parents=True, exist_ok=True)
    attempt.write_bytes(outcome.content)
    publish(attempt, cell_path(folder, outcome.id))
    return TaskOutcome(outcome.id, outcome.status, outcome.message)
