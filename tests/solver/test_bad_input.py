"""Bad input: an exception that names argument, batch index and grid point where there is one, and what was expected."""

from math import factorial
from typing import Any

import pytest
import torch

from tests.solver.cases import both_row_modes, every_backend, every_linear_backend, every_method
from workbench.solver import LinearODE, RankDeficient, Solution, Status, Weights, available, ode_forward, solve

B, T, E, D, K, T0, K0 = 3, 5, 2, 2, 3, 1, 2


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def arguments(**changes: Any) -> dict[str, Any]:
    """A good problem with some arguments replaced; `weight_...` reach the weights."""
    return {
        "coefficients": randn(B, T, E, D, K),
        "forcing": randn(B, T, E),
        "initial": randn(B, T0, D, K0),
        "steps": torch.full((B, T - 1), 0.1, dtype=torch.float64),
        **changes,
    }


def ode(**changes: Any) -> LinearODE:
    values = arguments(**changes)
    weights = {name: values.pop(f"weight_{name}", 1.0) for name in ("equation", "initial", "taylor")}
    return LinearODE(**values, weights=Weights(**weights))


def changed(name: str, index: tuple[int, ...], value: float) -> dict[str, Any]:
    """One entry of one argument replaced."""
    full = {"weight_equation": (B, T, E), "weight_initial": (B, T0, D, K0), "weight_taylor": (B, T - 1, D)}
    tensor = arguments()[name] if name in arguments() else torch.ones(full[name], dtype=torch.float64)
    tensor[index] = value
    return {name: tensor}


def test_the_good_problem_is_good():
    assert solve(ode()).u.isfinite().all()


# Shapes


@pytest.mark.parametrize(
    "name, shape, message",
    [
        ("coefficients", (D, K), r"coefficients: .*\bT.*E, D, K\b.*found \(2, 3\)"),
        ("coefficients", (B, T - 1, E, D, K), r"(coefficients|forcing): .*\bT\b.*(\(3, 4, 2, 2, 3\)|\(3, 5, 2\))"),
        ("forcing", (), r"forcing: .*\bT.*E\b.*found \(\)"),
        ("forcing", (B, T - 1, E), r"forcing: .*T = 5.*found \(3, 4, 2\)"),
        ("forcing", (B, T, E + 1), r"forcing: .*E = 2.*found \(3, 5, 3\)"),
        ("forcing", (B, T, 1), r"forcing: .*E = 2.*found \(3, 5, 1\)"),
        ("initial", (D, K0), r"initial: .*T0.*D, K0\b.*found \(2, 2\)"),
        ("initial", (B, T0, D + 1, K0), r"initial: .*D = 2.*found \(3, 1, 3, 2\)"),
        ("initial", (B, T0, 1, K0), r"initial: .*D = 2.*found \(3, 1, 1, 2\)"),
        ("initial", (B, T0, D, K + 1), r"initial: .*K0 <= K = 3.*found K0 = 4"),
        ("initial", (B, T + 1, D, K0), r"initial: .*T0 <= T = 5.*found T0 = 6"),
        ("steps", (), r"steps: .*T-1.*found \(\)"),
        ("steps", (B, T), r"steps: .*T-1 = 4.*found \(3, 5\)"),
        ("steps", (B, T - 2), r"steps: .*T-1 = 4.*found \(3, 3\)"),
        ("weight_equation", (B, T - 1, E), r"weights?\W+equation: .*T = 5.*found \(3, 4, 2\)"),
        ("weight_equation", (B, T, E + 1), r"weights?\W+equation: .*E = 2.*found \(3, 5, 3\)"),
        ("weight_initial", (B, T0, D, K0 + 1), r"weights?\W+initial: .*K0 = 2.*found \(3, 1, 2, 3\)"),
        ("weight_taylor", (B, T, D), r"weights?\W+taylor: .*T-1 = 4.*found \(3, 5, 2\)"),
        ("weight_taylor", (B, T - 1, D + 1), r"weights?\W+taylor: .*D = 2.*found \(3, 4, 3\)"),
    ],
)
def test_wrong_shape(name, shape, message):
    with pytest.raises(ValueError, match=message):
        ode(**{name: torch.ones(shape, dtype=torch.float64)})


@pytest.mark.parametrize("name", ["forcing", "initial", "steps", "weight_equation", "weight_initial", "weight_taylor"])
def test_batch_that_does_not_broadcast(name):
    full = {"weight_equation": (T, E), "weight_initial": (T0, D, K0), "weight_taylor": (T - 1, D)}
    tail = full[name] if name in full else tuple(arguments()[name].shape[1:])
    with pytest.raises(ValueError, match=name.replace("weight_", r"weights?\W+") + r": .*batch shape \(2,\).*\(3,\)"):
        ode(**{name: torch.ones(2, *tail, dtype=torch.float64)})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_steps": T + 1}, r"T = 6.*found.*\b5\b"),
        ({"n_steps": 1}, r"n_steps: .*at least 2.*found 1"),
        ({"n_initial": T + 1}, r"initial: .*T0 <= T = 5.*found T0 = 6"),
        ({"n_initial": 3, "initial": randn(B, 2, D, K0)}, r"initial: .*T0 = 3.*found \(3, 2, 2, 2\)"),
        ({"n_initial": -1}, r"(n_initial|T0).*(>= 0|0 <=|at least 0).*-1"),
    ],
)
def test_wrong_counts(changes, message):
    with pytest.raises(ValueError, match=message):
        ode(**changes)


@pytest.mark.parametrize("name", ["n_steps", "n_initial"])
@pytest.mark.parametrize("count", [5.5, "5"])
def test_counts_that_are_no_integers(name, count):
    with pytest.raises(TypeError, match=rf"{name}: .*int.*found {type(count).__name__}"):
        ode(**{name: count})


def test_one_grid_point_is_too_few():
    with pytest.raises(ValueError, match=r"at least 2 grid points.*found 1"):
        ode(coefficients=randn(1, E, D, K), forcing=randn(1, E), initial=randn(1, D, K0), steps=randn(0))


def test_grid_points_that_nothing_tells():
    with pytest.raises(ValueError, match=r"n_steps: .*(say|give|specify)"):
        ode(coefficients=randn(1, E, D, K), forcing=randn(1, E), initial=randn(1, D, K0), steps=torch.ones(1).double())


def test_central_rows_need_two_derivatives():
    with pytest.raises(ValueError, match=r"central.* K >= 2.*found 1"):
        ode(coefficients=randn(B, T, E, D, 1), initial=randn(B, T0, D, 1), central=True)


# Types


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.bool, torch.complex128])
@pytest.mark.parametrize("name", ["forcing", "initial", "steps", "weight_equation", "weight_initial", "weight_taylor"])
def test_mixed_dtypes(name, dtype):
    full = {"weight_equation": (T, E), "weight_initial": (T0, D, K0), "weight_taylor": (T - 1, D)}
    value = torch.ones(full[name], dtype=dtype) if name in full else arguments()[name].to(dtype)
    argument = name.replace("weight_", r"weights?\W+")
    with pytest.raises(TypeError, match=rf"{argument}: .*float64.*found {str(dtype).replace('.', '[.]')}"):
        ode(**{name: value})


@pytest.mark.parametrize("dtype", [torch.int64, torch.float16, torch.bfloat16, torch.complex64])
def test_dtypes_that_no_solver_has(dtype):
    with pytest.raises(TypeError, match=rf"coefficients: .*float32 or .*float64.*found {dtype!s}"):
        ode(**{name: value.to(dtype) for name, value in arguments().items()})


@pytest.mark.parametrize("name", ["coefficients", "forcing", "initial", "steps", "weight_equation"])
def test_things_that_are_no_tensors(name):
    with pytest.raises(TypeError, match=name.replace("weight_", r"weights?\W+") + r": .*Tensor.*found (list|str)"):
        ode(**{name: "one" if name.startswith("weight") else [1.0, 2.0]})


# Values


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
def test_steps_that_are_not_positive(value, method, backend):
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


def test_two_batch_dimensions_are_both_named():
    forcing = randn(2, 3, T, E)
    forcing[1, 2, 4, 0] = float("nan")
    with pytest.raises(ValueError, match=r"^forcing: .*batch index \(1, 2\), grid point 4\b"):
        solve(ode(forcing=forcing))


def test_drop_in_checks_too():
    values = arguments(**changed("steps", (2, 1), 0.0))
    with pytest.raises(ValueError, match=r"steps.*positive.*batch index \(?2,?\)?, grid point 1\b"):
        ode_forward(*values.values())


# Rank


def two_variables(n_rows_of_last: int, central: bool) -> LinearODE:
    """Three systems; in the second, variable 1 has `n_rows_of_last` initial rows and no equation."""
    coefficients = torch.zeros(3, 1, 2, 2, 3, dtype=torch.float64)
    coefficients[:, 0, [0, 1], [0, 1], 0] = 1
    coefficients[:, 0, [0, 1], [0, 1], 2] = 1
    coefficients[1, :, 1] = 0
    weight = torch.ones(3, 1, 2, 2, dtype=torch.float64)
    weight[1, :, 1, n_rows_of_last:] = 0
    return LinearODE(
        coefficients,
        torch.ones(1, 2, dtype=torch.float64),
        torch.ones(1, 2, 2, dtype=torch.float64),
        torch.full((1,), 0.1, dtype=torch.float64),
        weights=Weights(initial=weight),
        central=central,
        n_steps=8,
        n_initial=1,
    )


@every_backend
@both_row_modes
@pytest.mark.parametrize("n_rows, method", [(0, "qr"), (1, "qr"), (2, "qr"), (0, "cholesky"), (1, "cholesky")])
def test_variable_that_nothing_determines(n_rows, central, method, backend):
    """K = 3 and no equation: derivatives from n_rows on are free, whatever the initial rows say."""
    with pytest.raises(RankDeficient, match=r"batch index \(?1,?\)?.*derivative [012] of variable 1\b") as caught:
        solve(two_variables(n_rows, central), backend=backend, method=method)
    assert isinstance(caught.value, ValueError)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("n_steps", [2, 10, 100])
def test_derivative_without_initial_value(n_steps, h, central, method, backend):
    """u' = f says nothing about u itself."""
    coefficients = torch.tensor([[[[0, 1.0, 0]]]], dtype=torch.float64)
    none, steps = torch.zeros(0, 1, 1, dtype=torch.float64), torch.tensor([h], dtype=torch.float64)
    problem = LinearODE(coefficients, randn(1, 1), none, steps, central=central, n_steps=n_steps)
    with pytest.raises(RankDeficient, match=r"derivative 0 of variable 0\b"):
        solve(problem, backend=backend, method=method)


def integrated(order: int, n_given: int, h: float, n_steps: int, central: bool) -> LinearODE:
    """u^(order) = 1 with K = 4, and u, u', .. = 1 at 0 for the first n_given derivatives."""
    coefficients = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    coefficients[..., order] = 1
    one, initial = torch.ones(1, 1, dtype=torch.float64), torch.ones(1, 1, n_given, dtype=torch.float64)
    steps = torch.tensor([h], dtype=torch.float64)
    return LinearODE(coefficients, one, initial, steps, central=central, n_steps=n_steps, n_initial=1)


@every_backend
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("n_steps", [5, 100])
@pytest.mark.parametrize("order, n_given", [(2, 0), (2, 1), (3, 1), (3, 2)])
def test_one_initial_value_too_few(order, n_given, n_steps, h, central, backend):
    """The mistake that everybody makes: u'' = 1 with u(0) and no u'(0). Any answer would be made up of rounding.

    With "cholesky" such a pivot, squared, cannot always be told from that of an ill-conditioned system: "qr" it is.
    """
    with pytest.raises(RankDeficient, match=r"rank-deficient.*derivative [0-3] of variable 0\b"):
        solve(integrated(order, n_given, h, n_steps, central), backend=backend, method="qr")


@every_backend
def test_hopeless_normal_equations_point_to_qr(backend):
    with pytest.raises(RankDeficient, match=r"rank-deficient.*use method='qr'"):
        solve(integrated(2, 0, 1.0, 5, central=False), backend=backend, method="cholesky")


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("h", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("n_steps", [5, 100])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_initial_values_just_enough(order, n_steps, h, central, method, backend):
    """u is the polynomial with derivatives 1, 1, .. at 0: no alarm, and the right answer."""
    u = solve(integrated(order, order, h, n_steps, central), backend=backend, method=method).u[:, 0, 0]
    t = h * torch.arange(n_steps, dtype=torch.float64)
    expected = sum(t**k / factorial(k) for k in range(order + 1))
    torch.testing.assert_close(u, expected, rtol=1e-9 if method == "qr" else 1e-4, atol=0)


@every_linear_backend
@both_row_modes
def test_no_false_alarm_in_a_long_record_of_small_steps(central, backend):
    """u'' + u = 0, u(0) = 1, u'(0) = 0 at h = 1e-4, T = 20,000: well-posed, and u = cos t."""
    coefficients = torch.tensor([[[[1.0, 0, 1]]]], dtype=torch.float64)
    initial = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    steps, zero = torch.tensor([1e-4], dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    problem = LinearODE(coefficients, zero, initial, steps, central=central, n_steps=20_000)
    u = solve(problem, backend=backend).u[:, 0, 0]
    torch.testing.assert_close(u, torch.cos(1e-4 * torch.arange(20_000, dtype=torch.float64)), rtol=0, atol=1e-7)


@every_backend
@both_row_modes
@pytest.mark.parametrize("weight", [1e-6, 1e-9])
def test_no_false_alarm_at_a_small_weight(weight, central, backend):
    """u' = 1 and a faint u(0) = 2: u = 2 + t, as far as a weight this small determines it."""
    coefficients = torch.tensor([[[[0, 1.0, 0]]]], dtype=torch.float64)
    one, steps = torch.ones(1, 1, dtype=torch.float64), torch.tensor([0.1], dtype=torch.float64)
    problem = LinearODE(
        coefficients, one, 2 * one[None], steps, weights=Weights(initial=weight), central=central, n_steps=20
    )
    u = solve(problem, backend=backend).u[:, 0, 0]
    torch.testing.assert_close(u, 2 + 0.1 * torch.arange(20, dtype=torch.float64), rtol=0, atol=1e-14 / weight)


# Names


def test_unknown_backend():
    with pytest.raises(ValueError, match=r"backend: .*'auto'.*'banded'.*'dense'.*found 'sparse'"):
        solve(ode(), backend="sparse")


def test_unknown_method():
    with pytest.raises(ValueError, match=r"method: .*'cholesky'.*'qr'.*found 'lu'"):
        solve(ode(), method="lu")


def test_backend_that_cannot_serve_says_why():
    """A dense matrix of 1.6 TB is refused, not tried; and nobody else steps in."""
    long = ode(
        coefficients=randn(1, E, D, K), forcing=randn(1, E), initial=randn(1, D, K0), steps=torch.ones(1).double(),
        n_steps=100_000,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"backend: .*'dense' cannot serve.*GiB.*'banded'"):
        solve(long, backend="dense")


def test_every_backend_is_listed_with_its_reason():
    for name, reason in available().items():
        assert isinstance(reason, str)
        if reason:
            with pytest.raises(ValueError, match=f"backend: .*{name}"):
                solve(ode(), backend=name)
        else:
            assert solve(ode(central=name == "mnn"), backend=name, method="cholesky").backend == name


@every_method
def test_auto_picks_one_that_can_serve(method):
    solution = solve(ode(), backend="auto", method=method)
    assert available()[solution.backend] == ""


# Without checks: a status per system


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
    """The first system is bad and says so; the others are good, and right."""
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
    for system in (0, 2):  # u'' + u = 1, u(0) = u'(0) = 1, up to the discretisation
        torch.testing.assert_close(solution.u[system, :, 1, 0], 1 + torch.sin(t), rtol=0, atol=5e-3)


def test_every_status_gives_advice():
    for status in Status:
        assert len(status.advice.split()) >= (1 if status == Status.OK else 5)
        assert str(status) == status.advice
