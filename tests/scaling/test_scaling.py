"""Scaling studies: power-law fits, limits, files, and measurements in isolated processes."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from math import exp, inf, isnan, nan

import numpy as np
import psutil
import pytest
import torch

from tests.waiting import PATIENCE
from workbench import scaling
from workbench.scaling import Budget, Case, Host, JobStatus, Point, measure, slope
from workbench.scaling.fit import student_t95
from workbench.scaling.timing import one_pass, solver

ODD = "tests.scaling.odd_solvers:"
SIZES = (100, 300, 1000, 3000, 10_000)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


def points(exponent: float, noise: float = 0.0, seed: int = 0) -> list[Point]:
    """Synthetic points with seconds and memory growing as size^exponent."""
    random = np.random.default_rng(seed)
    result = []
    for size in SIZES:
        value = 1e-6 * size**exponent * exp(noise * random.normal())
        result.append(Point(Case(T=size), forward=value / 3, backward=2 * value / 3, memory=1e6 * value))
    return result


# the fit


@pytest.mark.parametrize("exponent", [0.5, 1.0, 3.0])
def test_slope_of_a_power_law_is_its_exponent(exponent):
    fit = slope(points(exponent))
    assert fit.value == pytest.approx(exponent, abs=1e-12)
    assert fit.low == pytest.approx(exponent, abs=1e-7)
    assert fit.high == pytest.approx(exponent, abs=1e-7)
    assert fit.at(500) == pytest.approx(1e-6 * 500**exponent)
    assert fit.size(fit.at(500)) == pytest.approx(500)


def test_coverage_of_the_95_percent_interval():
    fits = [slope(points(1.0, noise=0.1, seed=seed)) for seed in range(400)]
    covered = np.mean([fit.low <= 1.0 <= fit.high for fit in fits])
    assert 0.92 < covered < 0.98


@pytest.mark.parametrize("freedom,expected", [(1, 12.7062), (10, 2.2281), (31, 2.0395), (60, 2.0003), (1000, 1.9623)])
def test_quantiles_of_student_t(freedom, expected):
    assert student_t95(freedom) == pytest.approx(expected, abs=2e-4)


def test_two_points_give_a_slope_without_interval_and_one_raises():
    assert isnan(slope(points(1.0)[:2]).low)
    with pytest.raises(ValueError, match="two sizes of T"):
        slope(points(1.0)[:1])


def test_failed_points_and_unknown_quantities_are_left_out():
    mark = Point(Case(T=10**6), JobStatus.OVER_TIME, "took more than 1 s")
    assert slope([*points(1.0), mark, Point(Case(T=5))]).n == len(SIZES)


def test_limit_is_that_of_the_first_exceeded_budget():
    by_time = scaling.limit(points(1.0), Budget(seconds=1.0, memory=10**9))
    assert (by_time.by, by_time.size) == ("time", pytest.approx(1e6))
    by_memory = scaling.limit(points(1.0), Budget(seconds=1.0, memory=10**5))
    assert (by_memory.by, by_memory.size) == ("memory", pytest.approx(1e5))
    constant = [replace(point, memory=nan, forward=1.0, backward=1.0) for point in points(1.0)]
    assert scaling.limit(constant, Budget(seconds=3.0)) == scaling.Limit(inf, "")


def test_curves_are_grouped_by_all_fields_except_the_axis():
    cases = [Case(T=size, method=method) for size in (20, 10) for method in ("qr", "cholesky")]
    curves = scaling.by_variant([Point(case) for case in cases])
    assert list(curves) == [Case(T=10), Case(T=10, method="cholesky")]
    assert [point.case.T for point in curves[Case(T=10)]] == [10, 20]


# files


@pytest.fixture
def study() -> list[Point]:
    marks = [
        Point(Case(T=7, central=True, dtype="float32"), JobStatus.REFUSED, 'backend: "x", "no"\nmore'),
        Point(Case(T=8, B=3, shared=2, backend="smnn:ode_forward", method=""), JobStatus.OVER_MEMORY, "took more"),
    ]
    return [*points(1.0), *marks]


def as_text(points: list[Point]) -> list[str]:
    return [repr(point) for point in points]  # NaN is unequal to itself


def test_netcdf_round_trip(study, tmp_path):
    scaling.save(study, tmp_path / "sub" / "study.nc")
    loaded = scaling.load(tmp_path / "sub" / "study.nc")
    assert as_text(scaling.from_dataset(loaded)) == as_text(study)
    assert loaded["forward"].attrs["units"] == "s"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["study.nc"]


def test_csv_round_trip(study, tmp_path):
    scaling.write_csv(study, tmp_path / "study.csv")
    assert as_text(scaling.read_csv(tmp_path / "study.csv")) == as_text(study)


def test_invalid_study_raises_with_the_reason(study, tmp_path):
    with pytest.raises(FileNotFoundError):
        scaling.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.nc: not a readable"):
        scaling.load(tmp_path / "text.nc")
    with pytest.raises(ValueError, match="it has no forward"):
        scaling.from_dataset(scaling.to_dataset(study).drop_vars("forward"))
    (tmp_path / "bad.csv").write_text("T,B\n10,x\n")
    with pytest.raises(ValueError, match="line 2"):
        scaling.read_csv(tmp_path / "bad.csv")


def test_invalid_argument_raises_with_the_field():
    with pytest.raises(ValueError, match="T: expected at least 2, found 1"):
        Case(T=1)
    with pytest.raises(ValueError, match="dtype"):
        Case(T=2, dtype="float16")
    with pytest.raises(ValueError, match="seconds"):
        Budget(seconds=0)
    with pytest.raises(ValueError, match="axis"):
        measure([Case(T=2)], axis="K")
    with pytest.raises(ValueError, match="at least one"):
        measure([], sizes=[2])


@pytest.mark.parametrize(
    "case,batch",
    [
        (Case(T=6, B=3, E=2, D=2), (3,)),
        (Case(T=6, K=1), (1,)),
        (Case(T=6, shared=5), (5,)),
        (Case(T=6, B=3, shared=5, dtype="float32"), (5, 3)),
        (Case(T=6, B=2, central=True), (2,)),
    ],
)
def test_problem_has_the_sizes_of_its_case(case, batch):
    problem = case.problem()
    assert (problem.T, problem.E, problem.D, problem.K) == (case.T, case.E, case.D, case.K)
    assert (problem.batch, problem.central, str(problem.dtype)) == (batch, case.central, f"torch.{case.dtype}")
    tensors = (problem.coefficients, problem.forcing, problem.initial, problem.steps)
    assert case.input_bytes == sum(x.numel() * x.element_size() for x in tensors)
    assert torch.equal(problem.forcing, case.problem().forcing)
    u, forward, backward = one_pass(solver("banded", "qr"), problem)
    assert u.shape == (*batch, case.T, case.D, case.K)
    assert min(forward, backward) > 0


# measuring


@pytest.mark.exhaustive
def test_all_backends_can_be_measured(host):
    cases = [Case(T=2, B=4, backend=name, method=method) for name, method in scaling.variants()]
    measured = list(measure(cases, sizes=[40, 20], budget=Budget(seconds=20), repeats=2, host=host))
    assert [point.case.T for point in measured] == [20] * len(cases) + [40] * len(cases)
    assert [point.case.label for point in measured[: len(cases)]] == [case.label for case in cases]
    for point in measured:
        assert point.status in (JobStatus.OK, JobStatus.REFUSED), point.words
        if point.status is JobStatus.OK:
            assert point.forward >= point.forward_best > 0
            assert point.backward >= point.backward_best > 0
            assert point.memory >= point.memory_forward >= 0
            assert point.repeats >= 2


def test_memory_is_that_of_the_solver_above_its_inputs(host):
    (point,) = measure([Case(T=2, backend=f"{ODD}hungry")], sizes=[200], host=host, repeats=1)
    assert point.memory == pytest.approx(200 * 2**20, rel=0.05)


def test_batch_axis(host):
    measured = list(measure([Case(T=10, backend="banded")], axis="B", sizes=[1, 2], repeats=1, host=host))
    assert [(point.case.B, point.status) for point in measured] == [(1, "ok"), (2, "ok")]


def test_larger_sizes_are_not_run_after_the_time_budget_is_exceeded(host):
    begin = time.monotonic()
    measured = list(
        measure([Case(T=2, backend=f"{ODD}slow")], sizes=[5, 60_000, 80_000], budget=Budget(3.0), host=host)
    )
    assert [point.status for point in measured] == [JobStatus.OK, JobStatus.OVER_TIME, JobStatus.OVER_TIME]
    assert measured[0].forward >= 0.05
    assert measured[1].words == "took more than 3 s"
    assert measured[2].words.startswith("not run: T = 60,000 was over")
    assert time.monotonic() - begin < PATIENCE  # the solver would take twice as long


def test_exceeded_memory_budget_does_not_affect_the_caller(host):
    before = psutil.Process().memory_info().rss
    case = Case(T=2, backend="dense")
    measured = list(
        measure([case], sizes=[20, 1500, 3000], budget=Budget(60, memory=200 * 2**20), repeats=1, host=host)
    )
    assert [point.status for point in measured] == [JobStatus.OK, JobStatus.OVER_MEMORY, JobStatus.OVER_MEMORY]
    assert psutil.Process().memory_info().rss - before < 100 * 2**20


def test_inputs_over_the_memory_budget_are_not_allocated(host):
    (point,) = measure([Case(T=2, B=1000)], sizes=[10_000], budget=Budget(memory=10**6), host=host)
    assert (point.status, point.words[:10]) == (JobStatus.OVER_MEMORY, "the inputs")


@pytest.mark.parametrize(
    "case,status,message",
    [
        (Case(T=2, backend="dense", B=512), JobStatus.REFUSED, "would take"),
        (Case(T=2, backend="nonesuch"), JobStatus.REFUSED, "'nonesuch'"),
        (Case(T=2, method="lu"), JobStatus.REFUSED, "'lu'"),
        (Case(T=2, backend=f"{ODD}failing"), JobStatus.FAILED, "ArithmeticError: no answer beyond"),
        (Case(T=2, backend=f"{ODD}dying"), JobStatus.FAILED, "the process died"),
        (Case(T=2, backend="nowhere:f"), JobStatus.FAILED, "nowhere"),
    ],
)
def test_refusal_failure_and_death_are_points_with_a_reason(case, status, message, host):
    (point,) = measure([case], sizes=[500], budget=Budget(PATIENCE), host=host)
    assert (point.status, message in point.words) == (status, True), point.words


def test_out_of_memory_ends_the_curve(host):
    measured = list(measure([Case(T=2, backend=f"{ODD}hungry")], sizes=[100_000, 200_000], host=host))
    assert [point.status for point in measured] == [JobStatus.OUT_OF_MEMORY] * 2


def test_output_of_a_solver_is_ignored(host):
    (point,) = measure([Case(T=2, backend=f"{ODD}loud")], sizes=[10], host=host, repeats=1)
    assert point.status is JobStatus.OK


def test_stop_ends_the_running_point(host):
    stop = threading.Event()
    sizes = [10, 60_000]
    running = measure(
        [Case(T=2, backend=f"{ODD}slow")], sizes=sizes, budget=Budget(50), repeats=1, stop=stop, host=host
    )
    assert next(running).status is JobStatus.OK
    threading.Timer(0.3, stop.set).start()
    begin = time.monotonic()
    assert list(running) == []
    assert time.monotonic() - begin < PATIENCE


def test_closing_the_generator_ends_the_worker():
    own = psutil.Process()
    before = set(own.children(recursive=True))
    running = measure([Case(T=2, backend="banded")], sizes=[10, 60_000], repeats=1)
    assert next(running).status is JobStatus.OK
    running.close()
    assert set(own.children(recursive=True)) <= before
