"""Invalid arguments: exceptions that name the argument and what was expected."""

import pytest
import torch

from tests.solver.cases import every_method
from tests.solver.invalid.problems import K0, T0, B, D, E, K, T, arguments, ode, randn
from workbench.solver import available, solve


def test_the_valid_problem_is_solved():
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
def test_batch_shapes_that_do_not_broadcast(name):
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
def test_non_integer_counts(name, count):
    with pytest.raises(TypeError, match=rf"{name}: .*int.*found {type(count).__name__}"):
        ode(**{name: count})


def test_a_single_grid_point():
    with pytest.raises(ValueError, match=r"at least 2 grid points.*found 1"):
        ode(coefficients=randn(1, E, D, K), forcing=randn(1, E), initial=randn(1, D, K0), steps=randn(0))


def test_unknown_number_of_grid_points():
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
def test_unsupported_dtypes(dtype):
    with pytest.raises(TypeError, match=rf"coefficients: .*float32 or .*float64.*found {dtype!s}"):
        ode(**{name: value.to(dtype) for name, value in arguments().items()})


@pytest.mark.parametrize("name", ["coefficients", "forcing", "initial", "steps", "weight_equation"])
def test_arguments_that_are_not_tensors(name):
    with pytest.raises(TypeError, match=name.replace("weight_", r"weights?\W+") + r": .*Tensor.*found (list|str)"):
        ode(**{name: "one" if name.startswith("weight") else [1.0, 2.0]})


# Names


def test_unknown_backend():
    with pytest.raises(ValueError, match=r"backend: .*'auto'.*'banded'.*'dense'.*found 'sparse'"):
        solve(ode(), backend="sparse")


def test_unknown_method():
    with pytest.raises(ValueError, match=r"method: .*'cholesky'.*'qr'.*found 'lu'"):
        solve(ode(), method="lu")


def test_an_unsupported_problem_raises_with_the_reason():
    """A dense matrix of 1.6 TB raises; no other backend is used instead."""
    long = ode(
        coefficients=randn(1, E, D, K), forcing=randn(1, E), initial=randn(1, D, K0), steps=torch.ones(1).double(),
        n_steps=100_000,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"backend: .*'dense' cannot solve this problem.*GiB.*'banded'"):
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
def test_auto_selects_an_available_backend(method):
    solution = solve(ode(), backend="auto", method=method)
    assert available()[solution.backend] == ""
