"""The states of the Compare, Scaling and Data pages, the race and the replay, driven without a browser."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.waiting import PATIENCE, wait_until
from workbench.dashboard.compare.race import Race, courses
from workbench.dashboard.compare.state import VARIANTS, CompareConfig, CompareState
from workbench.dashboard.data import state as data_state
from workbench.dashboard.data.state import DataState
from workbench.dashboard.scaling import state as scaling_state
from workbench.dashboard.scaling.state import ScalingState
from workbench.dashboard.scaling.text import rows, table
from workbench.dashboard.train import replay
from workbench.jobs import dataset_job
from workbench.jobs.buffer import Cursor
from workbench.jobs.dataset_job import DatasetJobs
from workbench.jobs.registry import Registry
from workbench.scaling import Budget, Case, JobStatus, Point
from workbench.training import run_file

# Compare

ONE = "?solvers=banded+qr,dense+qr&memory=false&budget=60"


def compared(search: str) -> CompareState:
    state = CompareState(search)
    wait_until(lambda: state.bench.version > 0 and not state.bench.busy, "the comparison ends")
    return state


def test_solvers_agree_and_are_close_to_the_closed_form():
    state = compared(ONE)
    assert state.notices == []
    assert set(state.bench.results) == {"dense qr", "banded qr"}
    for result in state.bench.results.values():
        assert result.status is JobStatus.OK
        assert result.largest_difference < 1e-10
        assert result.largest_error < 0.02


def test_a_change_is_compared_again_and_the_race_is_none():
    state = compared(ONE)
    state.enter("points", 50)
    wait_until(lambda: state.bench.example.T == 50 and not state.bench.busy, "compared again")
    assert state.result("banded qr").u.shape[-3] == 50
    seen = []
    state.bench.told = lambda: seen.append(set(state.bench.results))
    state.enter("points", 60)
    wait_until(lambda: state.bench.example.T == 60 and not state.bench.busy, "compared once more")
    assert seen[-1] == {"dense qr", "banded qr"}
    assert len(seen) == 2, "told of each result"
    version = state.bench.version
    state.enter("race", "sine constant")
    time.sleep(0.2)
    assert state.bench.version == version


def test_what_exceeds_the_budget_is_a_mark_and_cancel_ends_it():
    state = CompareState("?solvers=dense+qr&memory=false&points=5000&budget=60")
    wait_until(lambda: state.bench.busy == "solving", "it solves")
    state.bench.cancel()
    wait_until(lambda: not state.bench.busy, "it ends")
    assert "dense qr" not in state.bench.results
    marked = compared("?solvers=dense+qr&memory=false&points=5000&budget=0.5")
    assert marked.result("dense qr").status in (JobStatus.OVER_TIME, JobStatus.OVER_MEMORY, JobStatus.OUT_OF_MEMORY)
    assert marked.result("dense qr").u is None


@pytest.mark.parametrize(
    "search,field,words",
    [
        ("?points=3", "points", "at least 4"),
        ("?derivatives=2", "derivatives", "more than the order 2"),
        ("?solvers=magic", "solvers", "agic is not here"),
        ("?damping=2&stiffness=1", "damping", "critical"),
        ("?precision=float8", "precision", "float64"),
    ],
)
def test_a_bad_comparison_is_explained_and_not_run(search, field, words):
    state = CompareState(search)
    assert state.config is None
    assert words in state.errors[field]
    assert any(words in notice.text for notice in state.notices)
    assert state.query() is None


def test_only_the_parameters_of_the_problem_are_shown():
    state = CompareState("?problem=driven&solvers=banded+qr&memory=false")
    shown = {field.name for field in state.fields()}
    assert {"rate", "frequency"} <= shown
    assert not {"damping", "stiffness"} & shown
    assert CompareState(state.query()).config == state.config


def test_every_variant_can_be_chosen():
    config = CompareConfig(solvers=", ".join(VARIANTS))
    assert [variant.label for variant in config.variants()] == list(VARIANTS)


# the race


def test_a_race_is_in_step_and_both_find_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    registry = Registry()
    race = Race(registry, "sine constant", ("banded", "native"))
    apart, pace = [], race.jobs[0].pace

    def watched(job):
        pace(job)
        apart.append(abs(race.jobs[0].snapshot().step - race.jobs[1].snapshot().step))

    for job in race.jobs:
        job.pace = watched
    race.start()
    for job in race.jobs:
        assert job.wait(PATIENCE)
    assert race.state == "over"
    assert max(apart) <= 1
    left, right = (run_file.read_run(job.path).records.loss.values for job in race.jobs)
    np.testing.assert_allclose(left, right, rtol=1e-6)


def test_who_races_alone_is_not_held_and_both_pause_together(new_job):
    jobs = [new_job(mode="slow", steps=200, delay=0.002) for _ in range(2)]
    race = Race.__new__(Race)
    race.jobs = jobs
    from workbench.dashboard.compare.race import Lockstep

    pace = Lockstep()
    for job in jobs:
        pace.join(job)
    race.start()
    wait_until(lambda: min(job.snapshot().step for job in jobs) > 5, "both run")
    race.toggle()
    assert all(job.wait(PATIENCE) for job in jobs)
    assert race.state == "paused"
    assert abs(jobs[0].snapshot().step - jobs[1].snapshot().step) <= 1
    jobs[0].resume()
    assert jobs[0].wait(PATIENCE)
    assert jobs[0].state == "finished", "the other is paused, so it goes alone"
    race.stop()


def test_courses_are_experiments_with_a_choice_of_solvers():
    assert "lorenz adam" in courses()
    assert all(len(course.split()) in (1, 2) for course in courses())


# Scaling


@pytest.fixture
def scaling(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(scaling_state, "STUDIES", {})
    return tmp_path


TINY = "?first=10&last=40&per_decade=3&solvers=banded+qr&repeats=1"


def test_a_study_comes_point_by_point_and_is_found_again(scaling):
    state = ScalingState(TINY)
    state.start()
    again = ScalingState(state.query())
    assert again.study is state.study
    wait_until(lambda: not state.study.running, "it ends")
    assert state.study.error == ""
    assert [point.case.T for point in again.study.points] == [10, 20, 40]
    assert state.csv().decode().count("\n") == 4
    state.keep("mine")
    assert state.saved == ["mine"]
    state.keep("mine")
    assert "already" in state.notices[-1].text
    for bad in ("../up", "", "a b", "x" * 61):
        state.keep(bad)
        assert "A name of letters" in state.notices[-1].text
    assert [path.name for path in scaling.rglob("*.nc")] == ["mine.nc"]
    other = ScalingState("?overlay=mine,gone")
    assert [(name, len(points)) for name, points in other.curves()] == [("mine", 3)]
    assert "gone" in other.notices[0].text


def test_a_broken_study_is_a_notice(scaling):
    (scaling / "studies").mkdir()
    (scaling / "studies" / "broken.nc").write_bytes(b"nothing")
    state = ScalingState("?overlay=broken")
    assert state.curves() == [("broken", [])]
    assert "broken" in state.notices[0].text


def test_sizes_that_do_not_grow_are_refused(scaling):
    state = ScalingState("?first=1000&last=100")
    assert "first size" in state.errors["last"]
    state.start()
    assert state.study is None


def point(T: int, seconds: float, status: JobStatus = JobStatus.OK) -> Point:
    case = Case(T=T, backend="banded")
    if status is not JobStatus.OK:
        return Point(case, status, "too much")
    return Point(case, forward=seconds / 2, backward=seconds / 2, memory=1e3 * T, memory_forward=1.0, repeats=1)


def test_laws_limits_and_marks_are_told():
    points = [point(n, 1e-5 * n) for n in (10, 100, 1000)] + [point(10_000, 0, JobStatus.OUT_OF_MEMORY)]
    (line,) = rows([("", points)], "T", "seconds", Budget(seconds=1.0, memory=10**12))
    assert line.slope.value == pytest.approx(1.0)
    assert line.limit.size == pytest.approx(1e5)
    assert line.marks == [(10_000.0, "out of memory")]
    said = table([line], "T")
    for words in ("1.00 (1.00 to 1.00)", "1e+05 (time)", "out of memory", "1,000"):
        assert words in said


# Data


@pytest.fixture
def data(fakes):
    makes = DatasetJobs()
    return lambda search="": DataState(search, makes)


def test_every_data_set_has_a_record_and_an_address(data):
    state = data()
    state.look()
    wait_until(lambda: all(state.record(name) is not None for name in state.names()), "the records")
    assert state.names() == ["rossler", "decay"]
    assert state.record("decay").sizes["time"] == 200
    assert state.address("decay").startswith("?experiment=decay&")
    assert data("?search=one variable").names() == ["decay"]


def test_the_record_of_a_system_is_made_too(data, monkeypatch):
    monkeypatch.setitem(data_state.experiments.TABLE, "duffing", "workbench.experiments.systems:duffing")
    state = data()
    state.make("duffing")
    made = state.making("duffing")
    wait_until(lambda: not made.active, "it is made")
    assert (made.state, made.words) == ("done", "")
    assert dataset_job.kept_record("duffing", state.setup("duffing")).variable == "x"


def test_a_record_is_made_in_a_process_and_kept(data, fakes):
    state = data()
    state.make("decay")
    made = state.making("decay")
    wait_until(lambda: not made.active, "it is made")
    assert (made.state, made.words) == ("done", "")
    assert state.file("decay").parent == fakes / "records"
    assert state.netcdf("decay") == state.file("decay").read_bytes()
    np.testing.assert_array_equal(
        dataset_job.kept_record("decay", state.setup("decay")).truth,
        data_state.experiments.get("decay").data(state.setup("decay")).truth,
    )


def test_making_tells_its_progress_and_can_be_cancelled(data, monkeypatch):
    from workbench import experiments

    monkeypatch.setitem(experiments.TABLE, "slow", "tests.fakes.costly")
    state = data()
    state.look()
    assert state.record("slow") is None, "made only when asked"
    state.make("slow")
    made = state.making("slow")
    wait_until(lambda: (made.share or 0) >= 0.25, "progress")
    assert made.words == "counting"
    state.make("slow")
    assert state.making("slow") is made, "one at a time"
    state.cancel("slow")
    wait_until(lambda: not made.active, "it ends")
    assert made.state == "cancelled"
    assert state.file("slow") is None
    with pytest.raises(ValueError, match="no record of slow"):
        state.netcdf("slow")


def test_one_of_several_records_is_chosen_and_made_beside_the_others(data, monkeypatch):
    from workbench import experiments

    monkeypatch.setitem(experiments.TABLE, "slow", "tests.fakes.costly")
    state = data()
    state.look()
    assert state.titles("decay") == []
    assert state.titles("slow") == ["To 400", "To 4", "Not counted"]
    assert state.title_of("slow") == "To 400"
    state.make("slow")
    first = state.making("slow")
    state.choose("slow", "To 4")
    assert (state.making("slow"), state.record("slow")) == (None, None), "of this one nothing is known"
    state.make("slow")
    wait_until(lambda: not state.making("slow").active, "it is made")
    assert state.record("slow") is not None
    assert "count=4" in state.address("slow")
    assert first.active
    state.choose("slow", "Not counted")
    wait_until(lambda: state.record("slow") is not None, "it is there without being asked for")
    state.choose("slow", "To 400")
    assert state.making("slow") is first
    state.cancel("slow")
    wait_until(lambda: not first.active, "it ends")
    state.choose("slow", "To 4")
    assert state.record("slow") is not None


def test_a_record_that_cannot_be_made_says_why(data, monkeypatch):
    from workbench import experiments

    monkeypatch.setitem(experiments.TABLE, "slow", "tests.fakes.costly")
    state = data()
    monkeypatch.setattr(state, "setup", lambda name: experiments.get(name).Config(count=-1))
    state.make("slow")
    wait_until(lambda: not state.making("slow").active, "it ends")
    assert "nothing to count" in state.error("slow")


# the replay


@pytest.fixture
def played(monkeypatch):
    """A replay and its clock."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(replay.time, "monotonic", lambda: clock.now)
    return replay.Replay(replay.stored()), clock


def test_the_stored_run_plays_its_frames_and_starts_over(played):
    shown, clock = played
    count = len(shown._records)
    first, cursor, restart = shown.read(Cursor())
    assert (len(first), restart) == (1, True)
    clock.now += 3 / replay.RATE
    more, cursor, restart = shown.read(cursor)
    assert ([r.step for r in more], restart) == ([2, 3, 4], False)
    assert shown.report.metrics == {}
    clock.now += count / replay.RATE
    assert shown.report.metrics["rmse"] < 0.05
    assert [len(equation.terms) for equation in shown.report.true_equations] == [2, 3, 2]
    clock.now += replay.PAUSE
    again, _, restart = shown.read(cursor)
    assert (again[0].step, restart) == (1, True)


def test_a_forgotten_replay_stands_still(played):
    shown, clock = played
    clock.now += 1e4
    before = shown.version
    clock.now += 1e4
    assert shown.version == before
    assert shown.frame == len(shown._records) - 1
