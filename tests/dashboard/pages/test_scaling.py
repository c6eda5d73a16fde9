"""State and table of the Scaling page, without a browser."""

import pytest

from tests.waiting import wait_until
from workbench.dashboard.scaling import state as scaling_state
from workbench.dashboard.scaling.state import ScalingState
from workbench.dashboard.scaling.text import curve_rows, table
from workbench.scaling import Budget, Case, JobStatus, Point

TINY = "?first=10&last=40&per_decade=3&solvers=banded+qr&repeats=1"


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Empty data folder of a server without studies."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(scaling_state, "STUDIES", {})
    return tmp_path


def test_a_study_is_measured_shared_saved_and_overlaid(folder):
    state = ScalingState(TINY)
    state.start()
    shared = ScalingState(state.query())
    assert shared.study is state.study
    wait_until(lambda: not state.study.running, "the study ends")
    assert state.study.error == ""
    assert [point.case.T for point in shared.study.points] == [10, 20, 40]
    assert state.csv().decode().count("\n") == 4
    state.save("mine")
    assert state.saved == ["mine"]
    state.save("mine")
    assert "already" in state.notices[-1].text
    for name in ("../up", "", "a b", "x" * 61):
        state.save(name)
        assert "Expected a name of letters" in state.notices[-1].text
    assert [path.name for path in folder.rglob("*.nc")] == ["mine.nc"]
    other = ScalingState("?overlay=mine,gone")
    assert [(name, len(points)) for name, points in other.curves()] == [("mine", 3)]
    assert "gone" in other.notices[0].text


def test_an_unreadable_study_is_a_notice(folder):
    (folder / "studies").mkdir()
    (folder / "studies" / "broken.nc").write_bytes(b"nothing")
    state = ScalingState("?overlay=broken")
    assert state.curves() == [("broken", [])]
    assert "broken" in state.notices[0].text


def test_decreasing_sizes_are_rejected(folder):
    state = ScalingState("?first=1000&last=100")
    assert "first size" in state.errors["last"]
    state.start()
    assert state.study is None


def point(T: int, seconds: float, status: JobStatus = JobStatus.OK) -> Point:
    case = Case(T=T, backend="banded")
    if status is not JobStatus.OK:
        return Point(case, status, "too much")
    return Point(case, forward=seconds / 2, backward=seconds / 2, memory=1e3 * T, memory_forward=1.0, repeats=1)


def test_the_table_has_exponents_limits_and_failures():
    points = [point(n, 1e-5 * n) for n in (10, 100, 1000)] + [point(10_000, 0, JobStatus.OUT_OF_MEMORY)]
    (row,) = curve_rows([("", points)], "T", "seconds", Budget(seconds=1.0, memory=10**12))
    assert row.slope.value == pytest.approx(1.0)
    assert row.limit.size == pytest.approx(1e5)
    assert row.marks == [(10_000.0, "out of memory")]
    html = table([row], "T")
    for text in ("1.00 (1.00 to 1.00)", "1e+05 (time)", "out of memory", "1,000"):
        assert text in html
