"""Invalid values: exceptions that name argument, batch index and grid point, or a status per system."""

import pytest
import torch

from tests.solver.cases import both_row_modes, every_backend, every_method
from tests.solver.invalid.problems import E, T, arguments, changed, ode, randn, two_variables
from workbench.solver import LinearODE, Solution, Status, ode_forward, solve


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "name, index",
    [
        ("coefficients", (1, 3, 1, 0, 2)),
        ("forcing", (2, 4, 0)),
        ("initial", (1, 0, 1, 1)),
        ("steps", (2, 1)),
        ("weight_equation", (2, 3, 0)),
        ("weight_initial", (1, 0, 1, 0)),
        ("weight_taylor", (2, 3, 1)),
    ],
)
def test_non_finite_values(name, index, value, central, method, backend):
    argument = name.replace("weight_", r"weights?\W+")
    expected = (
        rf"^{argument}: expected .*finite.*batch index \(?{index[0]},?\)?, grid point {index[1]}\b.*found {value}"
    )
    with pytest.raises(ValueError, match=expected):
        solve(ode(**changed(name, index, value), central=central), backend=backend, method=method)


@every_backend
@every_method
@pytest.mark.parametrize("value", [0.0, -0.25])
def test_steps_must_be_positive(value, method, backend):
    with pytest.raises(ValueError, match=rf"^steps: .*positive.*batch index \(?1,?\)?, grid point 3\b.*found {value}"):
        solve(ode(**changed("steps", (1, 3), value)), backend=backend, method=method)


@every_backend
@every_method
@pytest.mark.parametrize(
    "name, index", [("weight_equation", (2, 3, 0)), ("weight_initial", (1, 0, 1, 0)), ("weight_taylor", (2, 3, 1))]
)
def test_negative_weights(name, index, method, backend):
    argument = name.replace("weight_", r"weights?\W+")
    expected = rf"^{argument}: .*>= 0.*batch index \(?{index[0]},?\)?, grid point {index[1]}\b.*found -1"
    with pytest.raises(ValueError, match=expected):
        solve(ode(**changed(name, index, -1.0)), backend=backend, method=method)
    with pytest.raises(ValueError, match=rf"^{argument}: .*>= 0.*found -1"):
        solve(ode(**{name: -1.0}), backend=backend, method=method)


def test_the_error_names_both_batch_indices():
    forcing = randn(2, 3, T, E)
    forcing[1, 2, 4, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^forcing: .*batch index \(1, 2\), grid point 4\b"):
        solve(ode(forcing=forcing))


def test_the_drop_in_checks_values():
    values = arguments(**changed("steps", (2, 1), 0.0))
    with pytest.raises(ValueError, match=r"steps.*positive.*batch index \(?2,?\)?, grid point 1\b"):
        ode_forward(*values.values())


# check=False: a status per system


def unchecked(problem: LinearODE, backend: str, method: str) -> Solution:
    solution = solve(problem, backend=backend, method=method, check=False)
    assert solution.status.dtype == torch.int8
    return solution


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize(
    "name, index, value, status",
    [
        ("coefficients", (0, 3, 1, 0, 2), float("nan"), "NON_FINITE"),
        ("forcing", (0, 4, 0), float("inf"), "NON_FINITE"),
        ("initial", (0, 0, 1, 1), float("nan"), "NON_FINITE"),
        ("steps", (0, 1), 0.0, "BAD_STEP"),
        ("steps", (0, 1), -0.1, "BAD_STEP"),
        ("steps", (0, 1), float("nan"), "BAD_STEP"),
        ("weight_equation", (0, 3, 0), -1.0, "BAD_WEIGHT"),
    ],
)
def test_status_of_bad_values(name, index, value, status, central, method, backend):
    """The first system is invalid and has a status; the others are solved correctly."""
    bad, good = ode(**changed(name, index, value), central=central), ode(central=central)
    solution = unchecked(bad, backend, method)
    assert solution.status.tolist() == [Status[status], Status.OK, Status.OK]
    expected = solve(good, backend="dense").u
    torch.testing.assert_close(solution.u[1:], expected[1:], rtol=1e-7, atol=1e-7 * float(expected.abs().max()))
    assert not solution.u[0].isfinite().all()


@every_backend
@every_method
@both_row_modes
def test_status_of_a_rank_deficient_system(central, method, backend):
    solution = unchecked(two_variables(1, central), backend, method)
    assert solution.status.tolist() == [Status.OK, Status.RANK_DEFICIENT, Status.OK]
    t = 0.1 * torch.arange(8, dtype=torch.float64)
    for system in (0, 2):  # u'' + u = 1, u(0) = u'(0) = 1, up to the discretisation error
        torch.testing.assert_close(solution.u[system, :, 1, 0], 1 + torch.sin(t), rtol=0, atol=5e-3)


def test_every_status_has_an_advice():
    for status in Status:
        assert len(status.advice.split()) >= (1 if status == Status.OK else 5)
        assert str(status) == status.advice
