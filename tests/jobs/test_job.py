"""Control of a job: start, pause, step, stop, failures and readers."""

import threading
import time

import pytest

from tests.fakes import rossler
from tests.jobs.waiting import wait_for_step
from tests.waiting import PATIENCE
from workbench.jobs.buffer import Cursor
from workbench.jobs.registry import Registry
from workbench.jobs.state import ENDED, FINAL, IN_STEP, TRANSITIONS, JobState, public_name
from workbench.training import run_file


@pytest.mark.parametrize("event, states", TRANSITIONS.items())
def test_only_begin_step_begins_a_step_and_final_states_are_final(event, states):
    for state, new in states.items():
        if new in IN_STEP:
            assert state in IN_STEP or event == "begin_step"
        if state in FINAL:
            assert event == "fail"


def test_public_names_of_states():
    assert [public_name(state, 0) for state in ENDED] == ["stopped", "interrupted", "finished", "failed"]
    assert {public_name(state, 0) for state in (*IN_STEP, JobState.READY)} == {"running"}
    assert public_name(JobState.READY, 1) == "queued"


def test_start_runs_to_the_end(new_job):
    job = new_job()
    assert job.state == "paused"
    job.start()
    assert job.wait(PATIENCE)
    assert job.state == "finished"
    assert [r.step for r in job.read(Cursor())[0]] == list(range(1, 9))
    assert job.snapshot().total == 8
    assert job.report.metrics["precision"] == 1.0


def test_finished_job_ignores_commands(new_job):
    job = new_job()
    job.start()
    assert job.wait(PATIENCE)
    for act in (job.start, job.step_once, job.stop, job.pause):
        act()
        assert job.wait(PATIENCE)
        assert (job.state, job.snapshot().step) == ("finished", 8)


def test_pause_is_stable_and_resume_continues(new_job):
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


def test_step_once_does_exactly_one_step(new_job):
    job = new_job(mode="slow")
    for count in (1, 2, 3):
        job.step_once()
        assert job.wait(PATIENCE)
        assert (job.state, job.snapshot().step) == ("paused", count)


def test_step_once_has_no_effect_while_running(new_job):
    job = new_job(mode="slow", steps=30, delay=0.002)
    job.start()
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "finished"


def test_stop_saves_the_run_and_resume_continues(new_job):
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


def test_stop_waits_for_the_current_step(new_job, monkeypatch):
    in_step, step = threading.Event(), rossler.Approach.step

    def announced_step(model):
        in_step.set()
        return step(model)

    monkeypatch.setattr(rossler.Approach, "step", announced_step)
    job = new_job(mode="slow", delay=0.4)
    job.start()
    assert in_step.wait(PATIENCE)
    job.stop()
    assert job.snapshot().settling == "stopping"
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().settling, job.snapshot().step) == ("stopped", "", 1)


def test_stop_before_the_first_step(new_job):
    job = new_job()
    job.stop()
    assert job.wait(PATIENCE)
    assert (job.state, job.report) == ("stopped", None)


def test_failed_step_gives_message_and_traceback(new_job):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    snapshot = job.snapshot()
    assert (snapshot.state, snapshot.step) == ("failed", 3)
    assert "step length became negative" in snapshot.message
    assert "FloatingPointError" in snapshot.details
    assert [r.step for r in job.read(Cursor())[0]] == [1, 2, 3]


def test_nan_loss_gives_message_with_step_and_metric(new_job):
    job = new_job(nan_at=3)
    job.start()
    assert job.wait(PATIENCE)
    assert (job.state, job.snapshot().step) == ("failed", 2)
    assert "step 3: loss is nan" in job.snapshot().message


def test_failed_run_opened_from_its_file_has_its_message(new_job):
    job = new_job(fail_at=4)
    job.start()
    assert job.wait(PATIENCE)
    again = Registry().find(job.id)
    assert again.wait(PATIENCE)
    assert again.state == "failed"
    assert "step length became negative" in again.snapshot().message


def test_last_single_step_finishes_the_run(new_job):
    job = new_job(steps=2)
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "paused"
    job.step_once()
    assert job.wait(PATIENCE)
    assert job.state == "finished"
    assert run_file.read_run(job.path).status == "finished"


def test_failure_of_one_job_does_not_affect_another(new_job):
    bad, good = new_job(mode="slow", delay=0.001, steps=50, fail_at=20), new_job(mode="slow", delay=0.001, steps=50)
    bad.start()
    good.start()
    assert bad.wait(PATIENCE)
    assert good.wait(PATIENCE)
    assert (bad.state, good.state) == ("failed", "finished")


def test_version_grows_with_changes_only(new_job):
    job = new_job()
    before = job.version
    job.start()
    assert job.wait(PATIENCE)
    after = job.version
    assert after > before
    job.snapshot()
    job.read(Cursor())
    assert job.version == after


def test_readers_see_increasing_steps_while_running(new_job):
    job = new_job(mode="slow", delay=0.0, steps=400)
    faults = []

    def read() -> None:
        cursor, steps = Cursor(), []
        while job.state in ("paused", "running"):
            new, cursor, restart = job.read(cursor)
            steps = ([] if restart else steps) + [r.step for r in new]
            if steps != sorted(set(steps)):
                faults.append(steps)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    job.start()
    assert job.wait(PATIENCE)
    for reader in readers:
        reader.join(10)
    assert faults == []
