"""State of the Compare page and the race, without a browser."""

import time

import numpy as np
import pytest

from tests.waiting import PATIENCE, wait_until
from workbench.dashboard.compare.race import Lockstep, Race, race_options
from workbench.dashboard.compare.state import VARIANTS, CompareConfig, CompareState
from workbench.jobs.registry import Registry
from workbench.scaling import JobStatus
from workbench.training import run_file

TWO_SOLVERS = "?solvers=banded+qr,dense+qr&memory=false&budget=60"


def compare(search: str) -> CompareState:
    state = CompareState(search)
    wait_until(lambda: state.comparison.version > 0 and not state.comparison.busy, "the comparison ends")
    return state


def test_solvers_agree_with_each_other_and_the_closed_form():
    state = compare(TWO_SOLVERS)
    assert state.notices == []
    assert set(state.comparison.results) == {"dense qr", "banded qr"}
    for result in state.comparison.results.values():
        assert result.status is JobStatus.OK
        assert result.largest_difference < 1e-10
        assert result.largest_error < 0.02


def test_a_changed_setting_repeats_the_comparison_except_for_the_race():
    state = compare(TWO_SOLVERS)
    comparison = state.comparison
    state.enter("points", 50)
    wait_until(lambda: comparison.example.T == 50 and not comparison.busy, "the second comparison ends")
    assert state.result("banded qr").u.shape[-3] == 50
    results = []
    comparison.on_result = lambda: results.append(set(comparison.results))
    state.enter("points", 60)
    wait_until(lambda: comparison.example.T == 60 and not comparison.busy, "the third comparison ends")
    assert results[-1] == {"dense qr", "banded qr"}
    assert len(results) == 2, "one call per result"
    version = comparison.version
    state.enter("race", "sine constant")
    time.sleep(0.2)
    assert comparison.version == version


def test_a_comparison_can_be_cancelled_and_exceeding_the_budget_is_a_status():
    state = CompareState("?solvers=dense+qr&memory=false&points=5000&budget=60")
    wait_until(lambda: state.comparison.busy == "solving", "the comparison starts")
    state.comparison.cancel()
    wait_until(lambda: not state.comparison.busy, "the comparison ends")
    assert "dense qr" not in state.comparison.results
    limited = compare("?solvers=dense+qr&memory=false&points=5000&budget=0.5")
    assert limited.result("dense qr").status in (JobStatus.OVER_TIME, JobStatus.OVER_MEMORY, JobStatus.OUT_OF_MEMORY)
    assert limited.result("dense qr").u is None


@pytest.mark.parametrize(
    "search,field,message",
    [
        ("?points=3", "points", "at least 4"),
        ("?derivatives=2", "derivatives", "more than the order 2"),
        ("?solvers=magic", "solvers", "Unknown solver magic"),
        ("?damping=2&stiffness=1", "damping", "critical"),
        ("?precision=float8", "precision", "float64"),
    ],
)
def test_an_invalid_comparison_is_an_error_of_its_field(search, field, message):
    state = CompareState(search)
    assert state.config is None
    assert message in state.errors[field]
    assert any(message in notice.text for notice in state.notices)
    assert state.query() is None


def test_only_the_parameters_of_the_problem_are_shown():
    state = CompareState("?problem=driven&solvers=banded+qr&memory=false")
    names = {field.name for field in state.fields()}
    assert {"rate", "frequency"} <= names
    assert not {"damping", "stiffness"} & names
    assert CompareState(state.query()).config == state.config


def test_every_variant_can_be_selected():
    config = CompareConfig(solvers=", ".join(VARIANTS))
    assert [variant.label for variant in config.variants()] == list(VARIANTS)


# race


def test_a_race_runs_in_lockstep_and_both_solvers_give_the_same_losses(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    registry = Registry()
    race = Race(registry, "sine constant", ("banded", "native"))
    differences, pace = [], race.jobs[0].pace

    def record_difference(job):
        pace(job)
        differences.append(abs(race.jobs[0].snapshot().step - race.jobs[1].snapshot().step))

    for job in race.jobs:
        job.pace = record_difference
    race.start()
    for job in race.jobs:
        assert job.wait(PATIENCE)
    assert race.state == "over"
    assert max(differences) <= 1
    left, right = (run_file.read_run(job.path).records.loss.values for job in race.jobs)
    np.testing.assert_allclose(left, right, rtol=1e-6)


def test_a_paused_race_resumes_a_single_job_alone(new_job):
    jobs = [new_job(mode="slow", steps=200, delay=0.002) for _ in range(2)]
    race = Race.__new__(Race)
    race.jobs = jobs
    pace = Lockstep()
    for job in jobs:
        pace.add(job)
    race.start()
    wait_until(lambda: min(job.snapshot().step for job in jobs) > 5, "both jobs run")
    race.toggle()
    assert all(job.wait(PATIENCE) for job in jobs)
    assert race.state == "paused"
    assert abs(jobs[0].snapshot().step - jobs[1].snapshot().step) <= 1
    jobs[0].resume()
    assert jobs[0].wait(PATIENCE)
    assert jobs[0].state == "finished", "not blocked by the paused job"
    race.stop()


def test_race_options_are_experiments_with_a_backend():
    assert "lorenz adam" in race_options()
    assert all(len(option.split()) in (1, 2) for option in race_options())
