"""State of the Data page, without a browser."""

import numpy as np
import pytest

from tests.waiting import wait_until
from workbench import experiments
from workbench.dashboard.data.state import DataState
from workbench.jobs import dataset_job
from workbench.jobs.dataset_job import DatasetJobs


@pytest.fixture
def new_state(fakes):
    jobs = DatasetJobs()
    return lambda search="": DataState(search, jobs)


@pytest.fixture
def state(new_state):
    return new_state()


@pytest.fixture
def slow(monkeypatch):
    """Name of an experiment whose record is expensive."""
    monkeypatch.setitem(experiments.TABLE, "slow", "tests.fakes.costly")
    return "slow"


def test_every_data_set_has_a_record_and_a_url(state, new_state):
    state.load_records()
    wait_until(lambda: all(state.record(name) is not None for name in state.names()), "the records")
    assert state.names() == ["rossler", "decay"]
    assert state.record("decay").sizes["time"] == 200
    assert state.train_query("decay").startswith("?experiment=decay&")
    assert new_state("?search=one variable").names() == ["decay"]


def test_the_record_of_a_system_is_generated(state, monkeypatch):
    monkeypatch.setitem(experiments.TABLE, "duffing", "workbench.experiments.systems:duffing")
    state.generate("duffing")
    job = state.job("duffing")
    wait_until(lambda: not job.active, "the job ends")
    assert (job.state, job.message) == ("done", "")
    assert dataset_job.load_record("duffing", state.dataset_config("duffing")).variable == "x"


def test_a_record_is_generated_in_a_process_and_saved(state, fakes):
    state.generate("decay")
    job = state.job("decay")
    wait_until(lambda: not job.active, "the job ends")
    assert (job.state, job.message) == ("done", "")
    assert state.file("decay").parent == fakes / "records"
    assert state.netcdf("decay") == state.file("decay").read_bytes()
    config = state.dataset_config("decay")
    np.testing.assert_array_equal(
        dataset_job.load_record("decay", config).truth, experiments.get("decay").data(config).truth
    )


def test_generation_reports_progress_and_can_be_cancelled(state, slow):
    state.load_records()
    assert state.record(slow) is None, "generated only on request"
    state.generate(slow)
    job = state.job(slow)
    wait_until(lambda: (job.share or 0) >= 0.25, "progress")
    assert job.message == "counting"
    state.generate(slow)
    assert state.job(slow) is job, "one at a time"
    state.cancel(slow)
    wait_until(lambda: not job.active, "the job ends")
    assert job.state == "cancelled"
    assert state.file(slow) is None
    with pytest.raises(ValueError, match="no record of slow"):
        state.netcdf(slow)


def test_records_of_one_data_set_are_generated_independently(state, slow):
    state.load_records()
    assert state.titles("decay") == []
    assert state.titles(slow) == ["To 400", "To 4", "Not counted"]
    assert state.title_of(slow) == "To 400"
    state.generate(slow)
    first = state.job(slow)
    state.select_record(slow, "To 4")
    assert (state.job(slow), state.record(slow)) == (None, None)
    state.generate(slow)
    wait_until(lambda: not state.job(slow).active, "the job ends")
    assert state.record(slow) is not None
    assert "count=4" in state.train_query(slow)
    assert first.active
    state.select_record(slow, "Not counted")
    wait_until(lambda: state.record(slow) is not None, "an inexpensive record is generated without a request")
    state.select_record(slow, "To 400")
    assert state.job(slow) is first
    state.cancel(slow)
    wait_until(lambda: not first.active, "the job ends")
    state.select_record(slow, "To 4")
    assert state.record(slow) is not None


def test_a_failed_generation_is_an_error_message(state, slow, monkeypatch):
    monkeypatch.setattr(state, "dataset_config", lambda name: experiments.get(name).Config(count=-1))
    state.generate(slow)
    wait_until(lambda: not state.job(slow).active, "the job ends")
    assert "count must not be negative" in state.error(slow)
