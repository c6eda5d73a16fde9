"""Jobs: what start, pause, step and stop promise, what readers get, and what a crash leaves."""

import threading
import time

import numpy as np
import pytest

from tests.waiting import PATIENCE, wait_until
from workbench import experiments
from workbench.jobs.buffer import Cursor, History
from workbench.jobs.cpu import Cores
from workbench.jobs.queue import JobQueue
from workbench.jobs.registry import Registry
from workbench.training import Record, run_file


def record(step: int, total: int = 10_000) -> Record:
    return Record(step, total, {"loss": 1.0 / step}, None, 0.01 * step, 100.0)


def wait_for_step(job, step: int) -> None:
    wait_until(lambda: job.snapshot().step >= step or job.state != "running", f"step {step}")


# history


def test_history_is_bounded_and_keeps_first_and_last():
    history = History(limit=100)
    for step in range(1, 5001):
        history.append(record(step))
    history.keep_last()
    steps = [r.step for r in history.read(Cursor())[0]]
    assert len(steps) <= 101
    assert steps[0] == 1
    assert steps[-1] == 5000
    assert np.ptp(np.diff(steps[1:-1])) == 0, "thinned evenly"


def test_a_reader_gets_each_record_once():
    history = History(limit=1000)
    cursor, seen = Cursor(), []
    for step in range(1, 501):
        history.append(record(step))
        if step % 7 == 0:
            fresh, cursor, restart = history.read(cursor)
            seen = [r.step for r in fresh] if restart else seen + [r.step for r in fresh]
    fresh, cursor, _ = history.read(cursor)
    assert seen + [r.step for r in fresh] == list(range(1, 501))
    assert history.read(cursor)[0] == []


def test_a_reader_starts_over_after_thinning():
    history = History(limit=10)
    history.append(record(1))
    _, cursor, _ = history.read(Cursor())
    for step in range(2, 30):
        history.append(record(step))
    fresh, cursor, restart = history.read(cursor)
    assert restart
    assert fresh[0].step == 1
    assert history.read(cursor)[2] is False


# one job


def test_start_runs_to_the_end(new_job):
    job = new_job()
    assert job.state == "paused"
    job.start()
    assert job.wait(PATIENCE)
    assert job.state == "finished"
    assert [r.step for r in job.read(Cursor())[0]] == list(range(1, 9))
    assert job.snapshot().total == 8
    assert job.report.metrics["precision"] == 1.0


def test_the_end_is_the_end(new_job):
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    for act in (job.start, job.step_once, job.stop, job.pause):
        act()
        assert job.wait(PATIENCE)
        assert (job.state, job.snapshot().step) == ("finished", 8)


def test_pause_is_stable_and_resume_goes_on(new_job):
    job = new_job(mode="slow")
    job.start()
    wait_for_step(job, 3)
    job.pause()
    assert job.wait(PATIENCE)
    step = job.snapshot().step
    time.sleep(0.2)
    assert (job.state, job.snapshot().step) == ("paused", step)
    job.resume()
    wait_for_step(job, step + 2)
    assert job.snapshot().step >= step + 2


def test_step_is_exactly_one_step(new_job):
    job = new_job(mode="slow")
    for count in (1, 2, 3):
        job.step_once()
        assert job.wait(PATIENCE)
        assert (job.state, job.snapshot().step) == ("paused", count)


def test_step_does_nothing_while_it_runs(new_job):
    job = new_job(mode="slow", steps=30, delay=0.002)
    job.start()
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "finished"


def test_stop_ends_the_run_and_keeps_the_best_state(new_job):
    job = new_job(mode="slow")
    job.start()
    wait_for_step(job, 4)
    job.stop()
    assert job.wait(PATIENCE)
    step = job.snapshot().step
    assert job.state == "stopped"
    assert step < 400
    assert job.report is not None
    saved = run_file.read_run(job.path)
    assert saved.status == "stopped"
    job.resume()
    wait_for_step(job, step + 1)
    assert job.snapshot().step > step


def test_stop_waits_for_the_step_in_flight_and_says_so(new_job):
    job = new_job(mode="slow", delay=0.4)
    job.start()
    time.sleep(0.15)
    job.stop()
    assert job.snapshot().settling == "stopping"
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().settling, job.snapshot().step) == ("stopped", "", 1)


def test_stop_before_the_first_step(new_job):
    job = new_job()
    job.stop()
    assert job.wait(PATIENCE)
    assert (job.state, job.report) == ("stopped", None)


def test_a_crash_is_a_message_with_its_cause(new_job):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    snapshot = job.snapshot()
    assert (snapshot.state, snapshot.step) == ("failed", 3)
    assert "step length became negative" in snapshot.message
    assert "FloatingPointError" in snapshot.details
    assert [r.step for r in job.read(Cursor())[0]] == [1, 2, 3]


def test_a_loss_of_nan_is_a_message_with_step_and_metric(new_job):
    job = new_job(nan_at=3)
    job.start()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().step) == ("failed", 2)
    assert "step 3: loss is nan" in job.snapshot().message


def test_a_failed_run_of_another_server_shows_its_cause(new_job):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    again = Registry().find(job.id)
    assert again.wait(PATIENCE)
    assert again.state == "failed"
    assert "step length became negative" in again.snapshot().message


def test_the_last_step_by_hand_finishes_the_run(new_job):
    job = new_job(steps=2)
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "paused"
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "finished"
    assert run_file.read_run(job.path).status == "finished"


def test_two_jobs_do_not_touch_each_other(new_job):
    bad, good = new_job(mode="slow", delay=0.001, steps=50, fail_at=20), new_job(mode="slow", delay=0.001, steps=50)
    bad.start()
    good.start()
    assert bad.wait(PATIENCE)
    assert good.wait(PATIENCE)
    assert (bad.state, good.state) == ("failed", "finished")


def test_version_grows_with_what_is_to_be_shown(new_job):
    job = new_job()
    before = job.version
    job.start()
    assert job.wait(PATIENCE)
    after = job.version
    assert after > before
    job.snapshot()
    job.read(Cursor())
    assert job.version == after


def test_readers_see_growing_steps_while_it_runs(new_job):
    job = new_job(mode="slow", delay=0.0, steps=400)
    faults = []

    def follow() -> None:
        cursor, seen = Cursor(), []
        while job.state in ("paused", "running"):
            fresh, cursor, restart = job.read(cursor)
            seen = ([] if restart else seen) + [r.step for r in fresh]
            if seen != sorted(set(seen)):
                faults.append(seen)

    readers = [threading.Thread(target=follow) for _ in range(2)]
    for reader in readers:
        reader.start()
    job.start()
    assert job.wait(PATIENCE)
    for reader in readers:
        reader.join(10)
    assert faults == []


# the registry


def test_jobs_are_found_by_id(registry, new_job):
    job = new_job()
    assert registry.get(job.id) is job
    assert registry.find(job.id) is job
    assert registry.get("no-such-run") is None
    assert registry.find("no-such-run") is None
    assert registry.find("../escape") is None


def test_ended_jobs_are_let_go_beyond_the_limit(fakes):
    registry = Registry(keep=2)
    experiment = experiments.get("rossler")
    made = []
    for _ in range(5):
        job = registry.create(experiment, experiment.Config(steps=1))
        job.start()
        assert job.wait(PATIENCE)
        made.append(job)
    kept = list(registry)
    assert len(kept) <= 3
    assert made[-1] in kept
    assert made[0] not in kept


@pytest.mark.parametrize("how", ["stopped", "finished"])
def test_a_run_of_another_server_is_opened_from_its_file(new_job, how):
    job = new_job(mode="slow", delay=0.001, steps=12)
    if how == "stopped":
        for _ in range(5):
            job.step_once()
            assert job.wait(PATIENCE)
        job.stop()
    else:
        job.start()
    assert job.wait(PATIENCE)
    here = Registry()
    again = here.find(job.id)
    assert again is not job
    assert again.wait(PATIENCE)
    assert again.state == how
    assert again.config == job.config
    assert again.snapshot().step == job.snapshot().step
    np.testing.assert_array_equal(again.report.coefficients.estimate, job.report.coefficients.estimate)
    assert [r.step for r in again.read(Cursor())[0]] == [r.step for r in job.read(Cursor())[0]]
    assert here.find(job.id) is again


def test_an_opened_run_goes_on_where_it_stopped(new_job):
    job = new_job(mode="slow", delay=0.001, steps=12)
    for _ in range(5):
        job.step_once()
        assert job.wait(PATIENCE)
    job.stop()
    assert job.wait(PATIENCE)
    again = Registry().find(job.id)
    again.resume()
    assert again.wait(PATIENCE)
    assert (again.state, again.snapshot().step) == ("finished", 12)
    straight = new_job(mode="slow", delay=0.0, steps=12)
    straight.start()
    assert straight.wait(PATIENCE)
    np.testing.assert_array_equal(again.report.coefficients.estimate, straight.report.coefficients.estimate)


def test_a_broken_run_file_is_an_error_in_words(fakes):
    folder = run_file.runs_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken-run.nc").write_bytes(b"not a run")
    with pytest.raises(Exception, match="broken-run"):
        Registry().find("broken-run")


# cores


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


def test_a_job_gives_its_cores_back_at_every_halt(new_job, monkeypatch):
    mine = Cores(cores=3)
    monkeypatch.setattr("workbench.jobs.job.cores", mine)
    paused, failed = new_job(mode="slow"), new_job(fail_at=2)
    paused.start()
    wait_for_step(paused, 2)
    assert mine.share() == 2
    mine.enter("another")
    assert mine.share() == 1
    paused.pause()
    failed.start()
    assert paused.wait(PATIENCE)
    assert failed.wait(PATIENCE)
    assert mine.share() == 2


def test_no_more_compute_at_once_than_there_are_cores_and_who_waits_longest_is_next():
    cores, order, most, at_once = Cores(cores=2), [], [], []
    first, go = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with cores.turn():
            first.wait(PATIENCE)
            go.wait(PATIENCE)

    def compute(name: int) -> None:
        with cores.turn():
            order.append(name)
            at_once.append(name)
            most.append(len(at_once))
            time.sleep(0.005)
            at_once.remove(name)

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
    assert all(abs(place - name) <= 1 for place, name in enumerate(order)), "two at once may pass each other"
    assert max(most) == 2


def test_a_turn_ends_with_an_error_too():
    cores = Cores(cores=1)
    for _ in range(2):
        with pytest.raises(MemoryError), cores.turn():
            raise MemoryError
    with cores.turn():
        pass


@pytest.mark.parametrize("halt, state", [("pause", "paused"), ("stop", "stopped")])
def test_a_job_that_is_halted_while_it_waits_for_its_turn_does_not_step(new_job, monkeypatch, halt, state):
    mine = Cores(cores=1)
    monkeypatch.setattr("workbench.jobs.job.cores", mine)
    job = new_job(mode="slow")
    job.start()
    wait_for_step(job, 2)
    with mine.turn():
        while not mine._waiting:
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


def test_jobs_that_share_one_core_go_on_evenly(new_job, monkeypatch):
    monkeypatch.setattr("workbench.jobs.job.cores", Cores(cores=1))
    jobs = [new_job(mode="slow", delay=0.01, steps=10_000) for _ in range(3)]
    for job in jobs:
        job._line = JobQueue(3)
        job.start()
    wait_for_step(jobs[0], 30)
    steps = [job.snapshot().step for job in jobs]
    for job in jobs:
        job.stop()
    assert all(job.wait(PATIENCE) for job in jobs)
    assert max(steps) - min(steps) < 15, steps
