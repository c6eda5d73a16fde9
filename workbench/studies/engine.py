"""The engine of a study: its cells on the workers of a dask.distributed client, what is complete kept."""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path

import xarray as xr
from distributed import Client, Future, as_completed
from distributed.comm import CommClosedError

from workbench import experiments
from workbench.studies.cell import Job, Outcome, cell_path, outcome_of, publish, record_failure, run_cell
from workbench.studies.cluster import PATIENCE
from workbench.studies.plan import Cell, Study
from workbench.studies.table import save


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


def follow(study: Study, client: Client, *, threads: int = 1, retry_failed: bool = False) -> Iterator[Outcome]:
    """`run` as a generator of outcomes in the order in which cells end; those complete before come first.

    Closing it, or an error in whoever iterates, cancels: no further cell begins, and running ones stop and save.
    """
    key = study.save()
    study.halt.unlink(missing_ok=True)
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
        yield from submit(client, study.folder, jobs(study.experiment, waiting, study.folder, key, threads))


def jobs(experiment: str, cells: Sequence[Cell], folder: Path, key: str, threads: int) -> list[Job]:
    """What the workers are told about these cells."""
    module = experiments.get(experiment).__name__
    return [Job(cell.id, module, dict(cell.config), str(folder), key, threads) for cell in cells]


def submit(client: Client, folder: Path, given: Sequence[Job]) -> Iterator[Outcome]:
    """Outcomes of these jobs as they end. A lost worker's jobs go to another; one that ends several workers fails."""
    resources = one_each(client)
    futures = {
        # The name is that of the settings: whoever asks for a cell that is being computed gets that computation.
        client.submit(run_cell, job, key=f"cell-{job.key}-{job.id}", pure=False, resources=resources): job
        for job in given
    }
    ended = 0
    try:
        for future in as_completed(list(futures)):
            job = futures.pop(future)
            outcome = _outcome(future, job, folder)
            if outcome is None:
                raise ConnectionError(_lost(client, ended, len(given), folder))
            ended += 1
            yield _kept(outcome, folder)
    finally:
        if futures:
            (folder / "halt").touch()
            if client.status == "running":
                client.cancel(list(futures))


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


def _lost(client: Client, ended: int, count: int, folder: Path) -> str:
    address = client.scheduler.address if client.scheduler else "there"
    return (
        f"the scheduler at {address} was lost, or another client cancelled the study, after {ended} of {count} cells; "
        f"what is complete is kept in {folder}: run the study again to go on"
    )


def _outcome(future: Future, job: Job, folder: Path) -> Outcome | None:
    """How a cell ended; None where nobody is there to tell. A cell that ended several workers, say, has failed."""
    try:
        return None if future.status in ("cancelled", "lost") else future.result()
    except (CommClosedError, CancelledError):
        return None
    except Exception as error:
        return record_failure(job, folder, f"{type(error).__name__}: {error}")


def _kept(outcome: Outcome, folder: Path) -> Outcome:
    """The outcome, its run file in the folder of the study."""
    if outcome.content is None:
        return outcome
    attempt = folder / "attempts" / f"{outcome.id}.brought.nc"
    attempt.parent.mkdir(parents=True, exist_ok=True)
    attempt.write_bytes(outcome.content)
    publish(attempt, cell_path(folder, outcome.id))
    return Outcome(outcome.id, outcome.status, outcome.message)
