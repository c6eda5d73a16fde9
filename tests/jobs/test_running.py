"""Jobs beside each other and beside accidents: the queue, the limits, the process runner, the end of the server."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, wait_until
from workbench import experiments
from workbench.jobs.queue import JobQueue, places
from workbench.jobs.registry import Registry
from workbench.training import run_file


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNNER", "process")


def test_a_system_runs_in_a_process_too(registry, in_process):
    experiment = experiments.at("workbench.experiments.systems:duffing")
    job = registry.create(experiment, experiment.Config(points=500))
    job.start()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().message) == ("finished", "")


def test_a_run_that_fails_gives_its_place_to_the_next(registry, new_job, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOBS", "1")
    bad, next_one = new_job(fail_at=2), new_job()
    bad.start()
    next_one.start()
    assert bad.wait(PATIENCE)
    assert next_one.wait(PATIENCE)
    assert (bad.state, next_one.state) == ("failed", "finished")


def test_a_line_serves_in_order_of_arrival():
    line = JobQueue(2)
    assert [line.enter(name) for name in "abcd"] == [True, True, False, False]
    assert [line.position(name) for name in "abcde"] == [0, 0, 1, 2, 0]
    line.leave("a")
    assert [line.position(name) for name in "bcd"] == [0, 0, 1]
    assert line.enter("c")
    assert not line.enter("a"), "who has left stands behind"


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_a_bad_limit_is_named(monkeypatch, value):
    monkeypatch.setenv("WORKBENCH_JOBS", value)
    with pytest.raises(ValueError, match=f"WORKBENCH_JOBS.*{value}"):
        places()


def test_runs_beyond_the_places_wait_visibly_and_come_in_turn(new_job, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOBS", "1")
    first, second, third = (new_job(mode="slow", steps=1000) for _ in range(3))
    first.start()
    wait_until(lambda: first.snapshot().step > 0, "the first runs")
    second.start()
    third.start()
    wait_until(lambda: third.state == "queued", "the third waits")
    assert [job.snapshot().position for job in (first, second, third)] == [0, 1, 2]
    assert second.snapshot().step == 0
    first.pause()
    wait_until(lambda: second.snapshot().step > 0, "the second gets the place of one that pauses")
    first.resume()
    wait_until(lambda: first.state == "queued", "who comes back stands behind")
    assert first.snapshot().position == 2
    third.stop()
    assert third.wait(PATIENCE)
    assert (third.state, third.snapshot().step) == ("stopped", 0)
    second.stop()
    wait_until(lambda: first.state == "running", "the first again")
    first.stop()
    assert first.wait(PATIENCE)


def test_a_run_that_takes_too_much_memory_fails_and_says_so(new_job, monkeypatch):
    monkeypatch.setattr("workbench.jobs.job.memory_limit_mb", lambda: -1e6)
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    assert job.state == "failed"
    assert "more than its limit" in job.snapshot().message
    assert run_file.read_run(job.path).status == "failed"


def test_the_end_of_the_server_keeps_what_runs_and_the_next_one_offers_it(registry, new_job):
    job, done, waiting = new_job(mode="slow", steps=1000), new_job(), new_job(mode="slow")
    done.start()
    assert done.wait(PATIENCE)
    waiting.step_once()
    assert waiting.wait(PATIENCE)
    job.start()
    wait_until(lambda: job.snapshot().step >= 3, "it runs")
    registry.close()
    kept = run_file.read_run(job.path)
    assert (kept.status, kept.steps) == ("interrupted", job.snapshot().step)
    after = Registry()
    assert set(after.interrupted()) == {job.id, waiting.id}
    found = after.find(job.id)
    assert found.wait(PATIENCE)
    assert found.state == "interrupted"
    assert after.interrupted() == [waiting.id]
    found.step_once()
    assert found.wait(PATIENCE)
    assert found.snapshot().step == kept.steps + 1
    found.stop()
    assert found.wait(PATIENCE)


def test_a_run_whose_server_was_killed_is_offered_once_nobody_writes_it(registry, new_job):
    job = new_job(mode="slow")
    job.step_once()
    assert job.wait(PATIENCE)
    run_file.mark(job.path, "running")
    assert Registry().interrupted() == [], "perhaps somebody still writes it"
    long_ago = time.time() - 3600
    os.utime(job.path, (long_ago, long_ago))
    assert Registry().interrupted() == [job.id]
    assert registry.interrupted() == [], "its own jobs are not cut short"


def losses(path: Path) -> list[float]:
    return run_file.read_run(path).records.loss.values.tolist()


def test_a_process_gives_what_a_thread_gives(new_job, in_process, monkeypatch):
    there = new_job(seed=3)
    there.start()
    assert there.wait(PATIENCE)
    monkeypatch.setenv("WORKBENCH_RUNNER", "thread")
    here = new_job(seed=3)
    here.start()
    assert here.wait(PATIENCE)
    assert there.state == here.state == "finished"
    assert losses(there.path) == losses(here.path)
    assert there.report.equations == here.report.equations


def test_a_process_that_is_killed_fails_its_run_alone(new_job, in_process):
    job, other = new_job(mode="slow", steps=2000), new_job(mode="slow", steps=30)
    job.start()
    other.start()
    wait_until(lambda: job.snapshot().step >= 2, "it runs")
    os.kill(job._training.pid, signal.SIGKILL)
    assert job.wait(PATIENCE)
    assert job.state == "failed"
    assert "SIGKILL" in job.snapshot().message
    assert other.wait(PATIENCE)
    assert other.state == "finished"
    if job.path.exists():
        assert run_file.read_run(job.path).status == "failed"


def test_a_process_can_be_halted_and_goes_on(new_job, in_process):
    job = new_job(mode="slow", steps=50, delay=0.005)
    job.step_once()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().step) == ("paused", 1)
    job.stop()
    assert job.wait(PATIENCE)
    assert run_file.read_run(job.path).status == "stopped"
    job.resume()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().step) == ("finished", 50)


def test_a_failure_in_the_process_comes_with_its_cause(new_job, in_process):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    snapshot = job.snapshot()
    assert (snapshot.state, snapshot.step) == ("failed", 3)
    assert "step length became negative" in snapshot.message
    assert "FloatingPointError" in snapshot.details
    assert run_file.read_run(job.path).status == "failed"


def test_an_unknown_runner_is_refused(new_job, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNNER", "cloud")
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    assert "WORKBENCH_RUNNER" in job.snapshot().message
    assert experiments.names() == ["rossler", "decay"]
