"""Comparison of solvers: closed forms, results, refusals, budgets and cancellation."""

import textwrap
import threading
import time
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch

from tests.waiting import PATIENCE
from workbench import compare, scaling
from workbench.compare import FORMS, Example, Variant, VariantResult, every_variant
from workbench.scaling import Budget, Case, Host, JobStatus

ODD = "tests.scaling.odd_solvers:"
PARAMETERS = {
    "decay": [{}, {"rate": 2.5, "start": -1.0}],
    "oscillator": [{}, {"damping": 5.0, "velocity": 2.0}, {"stiffness": 9.0, "start": 0.5}],
    "driven": [{}, {"rate": 0.1, "frequency": 3.0, "start": 1.0}],
}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host() as host:
        yield host


def run(example: Example | Case, *variants: Variant, **options: object) -> list[VariantResult]:
    return list(compare.compare(example, variants, **{"budget": Budget(PATIENCE)} | options))


@pytest.mark.parametrize("form,parameters", [(form, p) for form in FORMS for p in PARAMETERS[form]])
def test_closed_form_satisfies_equation_and_initial_values(form, parameters):
    example = Example(form, T=50, h=0.1, K=4, parameters=parameters)
    exact, values = example.exact(), example.values
    c = np.array(FORMS[form].coefficients(**values))
    residual = exact[:, : len(c)] @ c - FORMS[form].forcing(example.time(), values)
    assert np.abs(residual).max() < 1e-12
    assert exact[0, 0] == pytest.approx(values["start"])
    if form == "oscillator":
        assert exact[0, 1] == pytest.approx(values["velocity"], abs=1e-12)
    derivative = np.gradient(exact[:, 0], example.h)[1:-1]
    assert np.abs(derivative - exact[1:-1, 1]).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("central", [False, True])
def test_solver_agrees_with_the_closed_form(form, central):
    (result,) = run(Example(form, T=100, h=0.01, K=4, central=central), Variant("banded"))
    assert result.status is JobStatus.OK, result.words
    assert result.largest_error < 1e-5
    assert result.error.shape == (100,)


def test_every_variant_agrees_with_the_dense_reference():
    results = run(Example(T=40, dtype="float64"), *every_variant(), budget=Budget(60))
    assert {r.variant for r in results} == set(every_variant())
    for result in results:
        assert result.status in (JobStatus.OK, JobStatus.REFUSED), result.words
        if result.status is JobStatus.OK:
            assert result.reference == Variant("dense", "qr")
            assert result.largest_difference < 1e-6
            assert result.seconds > 0


def test_fit_to_noisy_readings_is_more_accurate_than_the_readings():
    example = Example(T=400, noise=0.1)
    (result,) = run(example, Variant("banded"), budget=Budget(60))
    assert example.problem().T0 == 400
    assert result.largest_error < 0.1 < np.abs(example.readings() - example.exact()[:, 0]).max()
    assert np.array_equal(example.readings(), Example(T=400, noise=0.1).readings())


def test_float32():
    (result,) = run(Example(T=30, dtype="float32"), Variant("banded"))
    assert Example(T=30, dtype="float32").problem().dtype == torch.float32
    assert 0 < result.largest_error < 1e-3


def test_random_case_has_differences_but_no_error():
    first, second = run(Case(T=20, B=3, D=2, E=2), Variant("banded"), Variant("banded", "cholesky"))
    assert first.u.shape == (3, 20, 2, 3)
    assert first.error is None
    assert second.largest_difference < 1e-6


def test_first_successful_variant_is_the_reference_if_dense_is_refused():
    refused, result = run(Case(T=400, B=256), Variant("dense"), Variant("banded"), budget=Budget(60))
    assert (refused.status, "would take" in refused.words) == (JobStatus.REFUSED, True)
    assert (result.reference, result.largest_difference) == (Variant("banded"), 0.0)


def test_given_reference_is_used():
    (result,) = run(Example(T=30), Variant("banded"), reference=Variant("banded", "cholesky"))
    assert result.reference == Variant("banded", "cholesky")


@pytest.mark.parametrize(
    "variant,status,message",
    [
        (Variant("nonesuch"), JobStatus.REFUSED, "'nonesuch'"),
        (Variant("banded", "lu"), JobStatus.REFUSED, "'lu'"),
        (Variant(f"{ODD}failing"), JobStatus.FAILED, "no answer"),
    ],
)
def test_refusal_and_failure_are_results_with_a_reason(variant, status, message):
    result, good = run(Example(T=30), variant, Variant("banded"))
    assert (result.status, message in result.words) == (status, True), result.words
    assert result.u is None
    assert good.status is JobStatus.OK


def test_slow_variant_comes_last_and_is_limited_by_its_budget(host):
    budget = Budget(seconds=0.4)
    variants = [Variant(f"{ODD}slow"), Variant("banded")]
    quick, slow = run(Example(T=100_000, h=1e-4), *variants, budget=budget, host=host)[::-1]
    assert {quick.status, slow.status} == {JobStatus.OVER_TIME}
    first, last = run(Example(T=100), *variants, budget=Budget(PATIENCE), host=host)
    assert {first.variant.backend, last.variant.backend} == {"banded", f"{ODD}slow"}
    assert last.forward >= 0.3
    assert last.largest_difference < 1e-12


def test_dense_solver_exceeds_the_time_budget_at_large_sizes(host):
    (result,) = run(Example(T=3000), Variant("dense"), budget=Budget(seconds=0.3), host=host)
    assert (result.status, result.u) == (JobStatus.OVER_TIME, None)


def test_memory_is_measured_on_request(host):
    results = run(Example(T=200), Variant("dense"), Variant("banded"), memory=True, budget=Budget(60), host=host)
    dense, banded = sorted(results, key=lambda result: -result.memory)
    assert (dense.variant.backend, banded.variant.backend) == ("dense", "banded")
    assert dense.memory > 1e7
    assert np.allclose(dense.u, banded.u, atol=1e-9)


def test_stop_ends_the_running_worker(host):
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    begin = time.monotonic()
    assert run(Example(T=60_000), Variant(f"{ODD}slow"), budget=Budget(100), stop=stop, host=host) == []
    assert time.monotonic() - begin < PATIENCE  # the solver would take twice as long


def test_invalid_example_raises_with_the_field():
    with pytest.raises(ValueError, match="form"):
        Example("chaos")
    with pytest.raises(ValueError, match="decay has no damping"):
        Example("decay", parameters={"damping": 1.0})
    with pytest.raises(ValueError, match="K: expected more than the order 2"):
        Example("oscillator", K=2)
    with pytest.raises(ValueError, match="damping"):
        Example("oscillator", parameters={"damping": 2.0})
    with pytest.raises(ValueError, match="h > 0"):
        Example(h=0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("module", [compare, scaling], ids=lambda module: module.__name__)
def test_docstring_example_runs(module: ModuleType, capsys):
    lines = [line for line in module.__doc__.splitlines() if line.startswith("    ")]
    exec(textwrap.dedent("\n".join(lines)), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= len(every_variant())
    assert not [line for line in printed if " failed " in line]


def test_problem_is_on_the_device_of_the_variant():
    for example in (Example(T=10), Case(T=10)):
        assert compare.on_device(example, Variant("cuda")).device == "cuda"
        assert compare.on_device(example, Variant("native")) is example
