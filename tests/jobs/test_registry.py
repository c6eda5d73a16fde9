"""Registry of jobs: search by id, and runs opened from their files."""

import numpy as np
import pytest

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.jobs.buffer import Cursor
from workbench.jobs.registry import Registry
from workbench.training import run_file


def test_jobs_are_found_by_id(registry, new_job):
    job = new_job()
    assert registry.get(job.id) is job
    assert registry.find(job.id) is job
    assert registry.get("no-such-run") is None
    assert registry.find("no-such-run") is None
    assert registry.find("../escape") is None


def test_oldest_ended_jobs_are_dropped(fakes):
    registry = Registry(keep=2)
    experiment = experiments.get("rossler")
    jobs = []
    for _ in range(5):
        job = registry.create(experiment, experiment.Config(steps=1))
        job.start()
        assert job.wait(PATIENCE)
        jobs.append(job)
    remaining = list(registry)
    assert len(remaining) <= 3
    assert jobs[-1] in remaining
    assert jobs[0] not in remaining


@pytest.mark.parametrize("status", ["stopped", "finished"])
def test_run_is_opened_from_its_file(new_job, status):
    job = new_job(mode="slow", delay=0.001, steps=12)
    if status == "stopped":
        for _ in range(5):
            job.step_once()
            assert job.wait(PATIENCE)
        job.stop()
    else:
        job.start()
    assert job.wait(PATIENCE)
    registry = Registry()
    again = registry.find(job.id)
    assert again is not job
    assert again.wait(PATIENCE)
    assert again.state == status
    assert again.config == job.config
    assert again.snapshot().step == job.snapshot().step
    np.testing.assert_array_equal(again.report.coefficients.estimate, job.report.coefficients.estimate)
    assert [r.step for r in again.read(Cursor())[0]] == [r.step for r in job.read(Cursor())[0]]
    assert registry.find(job.id) is again


def test_opened_run_resumes_where_it_stopped(new_job):
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


def test_broken_run_file_raises_with_its_name(fakes):
    folder = run_file.runs_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken-run.nc").write_bytes(b"not a run")
    with pytest.raises(Exception, match="broken-run"):
        Registry().find("broken-run")
