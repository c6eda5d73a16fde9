"""Cores shared by trainings: threads per training, and turns."""

import threading
import time

import pytest

from tests.jobs.waiting import wait_for_step
from tests.waiting import PATIENCE
from workbench.jobs.cpu import Cores
from workbench.jobs.queue import JobQueue
from workbench.training import run_file


def test_trainings_share_all_cores_but_one():
    cores = Cores(cores=8)
    cores.enter("a")
    assert cores.share() == 7
    cores.enter("b")
    cores.enter("b")
    assert cores.share() == 3
    cores.leave("a")
    assert cores.share() == 7
    assert Cores(cores=2).share() == 1
    assert Cores(cores=1).share() == 1


def test_job_releases_its_cores_at_every_halt(new_job, monkeypatch):
    shared_cores = Cores(cores=3)
    monkeypatch.setattr("workbench.jobs.job.cores", shared_cores)
    paused, failed = new_job(mode="slow"), new_job(fail_at=2)
    paused.start()
    wait_for_step(paused, 2)
    assert shared_cores.share() == 2
    shared_cores.enter("another")
    assert shared_cores.share() == 1
    paused.pause()
    failed.start()
    assert paused.wait(PATIENCE)
    assert failed.wait(PATIENCE)
    assert shared_cores.share() == 2


def test_turns_are_limited_by_cores_and_first_come_first_served():
    cores, order, counts, active = Cores(cores=2), [], [], []
    first, go = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with cores.turn():
            first.wait(PATIENCE)
            go.wait(PATIENCE)

    def compute(name: int) -> None:
        with cores.turn():
            order.append(name)
            active.append(name)
            counts.append(len(active))
            time.sleep(0.005)
            active.remove(name)

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for thread in holders:
        thread.start()
    first.wait(PATIENCE)
    others = [threading.Thread(target=compute, args=(name,)) for name in range(8)]
    for number, thread in enumerate(others):
        thread.start()
        while len(cores._waiting) <= number:
            time.sleep(0.001)
    assert order == []
    go.set()
    for thread in (*holders, *others):
        thread.join(10)
    assert sorted(order) == list(range(8))
    assert all(abs(place - name) <= 1 for place, name in enumerate(order)), "two concurrent ones may pass each other"
    assert max(counts) == 2


def test_error_ends_a_turn():
    cores = Cores(cores=1)
    for _ in range(2):
        with pytest.raises(MemoryError), cores.turn():
            raise MemoryError
    with cores.turn():
        pass


@pytest.mark.parametrize("halt, state", [("pause", "paused"), ("stop", "stopped")])
def test_job_halted_while_waiting_for_a_core_does_no_step(new_job, monkeypatch, halt, state):
    shared_cores = Cores(cores=1)
    monkeypatch.setattr("workbench.jobs.job.cores", shared_cores)
    job = new_job(mode="slow")
    job.start()
    wait_for_step(job, 2)
    with shared_cores.turn():
        while not shared_cores._waiting:
            time.sleep(0.001)
        before = job.snapshot().step
        getattr(job, halt)()
    assert job.wait(PATIENCE)
    assert job.state == state
    assert job.snapshot().step == before
    assert run_file.read_run(job.path).status == state
    job.resume()
    wait_for_step(job, before + 1)
    assert job.snapshot().step > before


def test_jobs_on_one_core_advance_evenly(new_job, monkeypatch):
    monkeypatch.setattr("workbench.jobs.job.cores", Cores(cores=1))
    jobs = [new_job(mode="slow", delay=0.01, steps=10_000) for _ in range(3)]
    for job in jobs:
        job._queue = JobQueue(3)
        job.start()
    wait_for_step(jobs[0], 30)
    steps = [job.snapshot().step for job in jobs]
    for job in jobs:
        job.stop()
    assert all(job.wait(PATIENCE) for job in jobs)
    assert max(steps) - min(steps) < 15, steps
