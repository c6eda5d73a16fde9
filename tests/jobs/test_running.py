"""Concurrent jobs and failures: queue, limits, the process runner, the end of the server."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, wait_until
from workbench import experiments
from workbench.jobs.queue import JobQueue, places, require_memory
from workbench.jobs.registry import Registry
from workbench.training import run_file


@pytest.fixture
def in_process(monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNNER", "process")


def test_system_runs_in_a_process(registry, in_process):
    experiment = experiments.at("workbench.experiments.systems:duffing")
    job = registry.create(experiment, experiment.Config(points=500))
    job.start()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().message) == ("finished", "")


def test_failed_run_releases_its_place_in_the_queue(registry, new_job, monkeypatch):
    monkeypatch.setenv("WORKBENCH_JOBS", "1")
    failing, following = new_job(fail_at=2), new_job()
    failing.start()
    following.start()
    assert failing.wait(PATIENCE)
    assert following.wait(PATIENCE)
    assert (failing.state, following.state) == ("failed", "finished")


def test_queue_is_first_come_first_served():
    queue = JobQueue(2)
    assert [queue.enter(name) for name in "abcd"] == [True, True, False, False]
    assert [queue.position(name) for name in "abcde"] == [0, 0, 1, 2, 0]
    queue.leave("a")
    assert [queue.position(name) for name in "bcd"] == [0, 0, 1]
    assert queue.enter("c")
    assert not queue.enter("a"), "a job that left is last"


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_invalid_limit_is_named(monkeypatch, value):
    monkeypatch.setenv("WORKBENCH_JOBS", value)
    with pytest.raises(ValueError, match=f"WORKBENCH_JOBS.*{value}"):
        places()


def test_runs_are_queued_and_show_their_position(new_job, monkeypatch):
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
    wait_until(lambda: second.snapshot().step > 0, "a pause releases the place")
    first.resume()
    wait_until(lambda: first.state == "queued", "a resumed job is last")
    assert first.snapshot().position == 2
    third.stop()
    assert third.wait(PATIENCE)
    assert (third.state, third.snapshot().step) == ("stopped", 0)
    second.stop()
    wait_until(lambda: first.state == "running", "the first again")
    first.stop()
    assert first.wait(PATIENCE)


def test_run_over_its_memory_limit_fails(new_job, monkeypatch):
    monkeypatch.setattr("workbench.jobs.job.memory_limit_mb", lambda: -1e6)
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    assert job.state == "failed"
    assert "more than its limit" in job.snapshot().message
    assert run_file.read_run(job.path).status == "failed"


def test_memory_limit_is_compared_with_the_memory_used():
    require_memory(100.0, 100.0)
    with pytest.raises(MemoryError, match="used 101 MB, more than its limit of 100 MB"):
        require_memory(101.0, 100.0)


def test_runs_are_saved_when_the_server_ends_and_offered_by_the_next(registry, new_job):
    job, done, waiting = new_job(mode="slow", steps=1000), new_job(), new_job(mode="slow")
    done.start()
    assert done.wait(PATIENCE)
    waiting.step_once()
    assert waiting.wait(PATIENCE)
    job.start()
    wait_until(lambda: job.snapshot().step >= 3, "it runs")
    registry.close()
    saved = run_file.read_run(job.path)
    assert (saved.status, saved.steps) == ("interrupted", job.snapshot().step)
    after = Registry()
    assert set(after.interrupted()) == {job.id, waiting.id}
    reopened = after.find(job.id)
    assert reopened.wait(PATIENCE)
    assert reopened.state == "interrupted"
    assert after.interrupted() == [waiting.id]
    reopened.step_once()
    assert reopened.wait(PATIENCE)
    assert reopened.snapshot().step == saved.steps + 1
    reopened.stop()
    assert reopened.wait(PATIENCE)


def test_run_of_a_killed_server_is_offered_when_its_file_is_stale(registry, new_job):
    job = new_job(mode="slow")
    job.step_once()
    assert job.wait(PATIENCE)
    run_file.set_status(job.path, "running")
    assert Registry().interrupted() == [], "another server may be writing it"
    long_ago = time.time() - 3600
    os.utime(job.path, (long_ago, long_ago))
    assert Registry().interrupted() == [job.id]
    assert registry.interrupted() == [], "its own jobs are not interrupted"


def losses(path: Path) -> list[float]:
    return run_file.read_run(path).records.loss.values.tolist()


def test_process_and_thread_give_the_same_losses(new_job, in_process, monkeypatch):
    remote = new_job(seed=3)
    remote.start()
    assert remote.wait(PATIENCE)
    monkeypatch.setenv("WORKBENCH_RUNNER", "thread")
    local = new_job(seed=3)
    local.start()
    assert local.wait(PATIENCE)
    assert remote.state == local.state == "finished"
    assert losses(remote.path) == losses(local.path)
    assert remote.report.equations == local.report.equations


def test_killed_process_fails_its_run_only(new_job, in_process):
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


def test_run_in_a_process_can_be_stopped_and_resumed(new_job, in_process):
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


def test_failure_in_a_process_gives_message_and_traceback(new_job, in_process):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    snapshot = job.snapshot()
    assert (snapshot.state, snapshot.step) == ("failed", 3)
    assert "step length became negative" in snapshot.message
    assert "FloatingPointError" in snapshot.details
    assert run_file.read_run(job.path).status == "failed"


def test_unknown_runner_is_refused(new_job, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNNER", "cloud")
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    assert "WORKBENCH_RUNNER" in job.snapshot().message
    assert experiments.names() == ["rossler", "decay"]
