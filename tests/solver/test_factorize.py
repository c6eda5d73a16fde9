"""`factorize`: one factor for many right-hand sides."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.solver.accuracy import oscillator_minimiser
from tests.solver.cases import (
    both_row_modes,
    derivatives,
    every_backend,
    every_linear_backend,
    every_method,
    oscillator,
    randn,
    small_problem,
)
from workbench.solver import RankDeficient, Weights, backends, factorize, solve

T, E, D, K, T0, K0 = 6, 2, 2, 3, 2, 2


# Agreement with `solve`


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize(
    "left, forcing, initial",
    [
        ((), (), ()),
        ((), (4,), (4,)),
        ((3,), (3,), ()),
        ((3,), (4, 3), (1, 3)),
        ((2, 1), (2, 3), (3,)),
        ((1,), (), (5,)),
    ],
)
def test_solves_for_other_right_hand_sides(forcing, initial, left, central, method, backend):
    """Right-hand sides of any batch shape that broadcasts with that of the left-hand side."""
    problem = small_problem(left, central)
    factored = factorize(problem, backend=backend, method=method)
    for seed in (1, 2):
        r, v = randn(*forcing, T, E, seed=seed), randn(*initial, T0, D, K0, seed=seed)
        solution = factored.solve(r, v)
        expected = solve(replace(problem, forcing=r, initial=v), backend=backend, method=method)
        assert (solution.backend, solution.method) == (backend, method)
        assert solution.status.shape == expected.status.shape
        torch.testing.assert_close(
            solution.u, expected.u, rtol=1e-10, atol=1e-12 * float(expected.u.detach().abs().max())
        )


@every_backend
@every_method
@both_row_modes
def test_gradients_agree_with_solve(central, method, backend):
    """First and second derivatives to forcing, initial values and the left-hand side."""
    problem = small_problem((3,), central, gradients=True)
    r, v = randn(4, 3, T, E, seed=1).requires_grad_(), randn(3, T0, D, K0, seed=1).requires_grad_()
    leaves = [r, v, problem.coefficients, problem.steps, *vars(problem.weights).values()]
    u = factorize(problem, backend=backend, method=method).solve(r, v).u
    expected = solve(replace(problem, forcing=r, initial=v), backend=backend, method=method).u
    for ours, theirs in zip(derivatives(u, leaves), derivatives(expected, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10 * float(theirs.detach().abs().max()))


@every_linear_backend
@pytest.mark.parametrize("h", ["1e-3", "1e-4"])
def test_qr_is_accurate_at_small_steps(h, backend):
    """The distance to the minimiser is that of `solve`; the normal equations alone are less accurate."""
    ode = oscillator(float(h), 1000)
    u = factorize(ode, backend=backend).solve(ode.forcing, ode.initial).u[:, 0, 0]
    assert (u - oscillator_minimiser(h, 1000)).abs().max() <= 1e-12


@pytest.mark.parametrize("h", [1e-3, 1e-4])
def test_dense_qr_is_accurate_at_small_steps(h):
    ode = oscillator(h, 100)
    reference = solve(ode, backend="banded").u
    factored = factorize(ode, backend="dense").solve(ode.forcing, ode.initial).u
    direct = solve(ode, backend="dense").u
    error, expected = ((x - reference)[..., 0].abs().max() for x in (factored, direct))
    assert error <= 3 * expected + 1e-14


def test_float32():
    problem = small_problem((3,), False).to(torch.float32)
    u = factorize(problem).solve(problem.forcing, problem.initial).u
    assert u.dtype == torch.float32
    torch.testing.assert_close(u, solve(problem).u)


# The optional `resolve`


@pytest.mark.parametrize("missing", [True, False])
def test_a_backend_without_resolve_or_factor_solves_again(missing, monkeypatch):
    """Without `resolve` the problem is solved again; without a factor, `resolve` recomputes it."""
    members = dict(vars(backends.banded))
    if missing:
        del members["resolve"]
    else:
        members["solve"] = lambda problem, method, keep: backends.banded.solve(problem, method, "nothing")
        members["factor_shapes"] = lambda problem, keep: []
    monkeypatch.setitem(backends.TABLE, "other", SimpleNamespace(**members))
    problem = small_problem((3,), False, gradients=True)
    r, v = randn(3, T, E, seed=1).requires_grad_(), randn(3, T0, D, K0, seed=1)
    u = factorize(problem, backend="other").solve(r, v).u
    expected = solve(replace(problem, forcing=r, initial=v)).u
    torch.testing.assert_close(u, expected, rtol=1e-12, atol=1e-12)
    for leaf in (r, problem.coefficients):
        ours, theirs = (torch.autograd.grad(x.sin().sum(), leaf, retain_graph=True)[0] for x in (u, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


# Invalid arguments


@pytest.mark.parametrize(
    "forcing, initial, message",
    [
        ((3, T, E + 1), (3, T0, D, K0), r"forcing: .*E = 2.*found \(3, 6, 3\)"),
        ((3, T - 1, E), (3, T0, D, K0), r"forcing: .*T = 6.*found \(3, 5, 2\)"),
        ((3, T, E), (3, T0 + 1, D, K0), r"initial: .*T0 = 2.*found \(3, 3, 2, 2\)"),
        ((3, T, E), (3, T0, D, K0 + 1), r"(initial|weights.initial): .*K0 = "),
        ((3, T, E), (3, T0, D, K0 - 1), r"(initial|weights.initial): .*K0 = "),
        ((4, T, E), (3, T0, D, K0), r"forcing: batch shape \(4,\).*\(3,\)"),
    ],
)
@pytest.mark.parametrize("scalars", [True, False])
def test_inconsistent_right_hand_sides_raise(scalars, forcing, initial, message):
    problem = small_problem((3,), False)
    factored = factorize(replace(problem, weights=Weights()) if scalars else problem)
    with pytest.raises(ValueError, match=message):
        factored.solve(randn(*forcing), randn(*initial))


def test_another_dtype_raises():
    factored = factorize(small_problem((3,), False))
    with pytest.raises(TypeError, match=r"forcing: expected dtype torch.float64"):
        factored.solve(randn(T, E).float(), randn(T0, D, K0).float())


def test_an_in_place_change_of_the_left_hand_side_raises():
    problem = small_problem((3,), False)
    factored = factorize(problem)
    problem.coefficients.mul_(2)
    with pytest.raises(ValueError, match=r"modified in place.*factorize it again"):
        factored.solve(problem.forcing, problem.initial)


@every_backend
def test_an_invalid_left_hand_side_raises(backend):
    problem = small_problem((3,), False)
    steps = problem.steps.clone()
    steps[1, 2] = -1
    with pytest.raises(ValueError, match=r"steps: .*positive.*\(1,\).*grid point 2"):
        factorize(replace(problem, steps=steps), backend=backend)
    zero = torch.zeros_like(problem.coefficients)
    with pytest.raises(RankDeficient, match=r"batch index \(0,\)"):
        factorize(replace(problem, coefficients=zero, weights=Weights(initial=0.0)), backend=backend)


@every_backend
@every_method
def test_rank_deficiency_without_checks_sets_the_status(method, backend):
    problem = small_problem((3,), False)
    coefficients = problem.coefficients.clone()
    coefficients[1] = 0
    deficient = replace(problem, coefficients=coefficients, weights=Weights(initial=0.0))
    solution = factorize(deficient, backend=backend, method=method, check=False).solve(
        randn(2, 3, T, E), problem.initial, check=False
    )
    assert solution.status.tolist() == [[0, 4, 0]] * 2
    assert solution.u.isnan().flatten(2).all(-1).tolist() == [[False, True, False]] * 2


def test_native_reuses_a_shared_factor(monkeypatch, required):
    """Later right-hand sides and their gradients use the kept factor."""
    native = backends.TABLE["native"]
    required(not native.unavailable_reason(torch.device("cpu")), "install a C++ compiler and reinstall the package")
    problem = small_problem((), False)
    factored = factorize(problem, backend="native")

    def never(*arguments: Any) -> Any:
        raise AssertionError("the factor was recomputed")

    monkeypatch.setattr(native._native, "factor", never)
    r, v = randn(9, T, E).requires_grad_(), randn(9, *problem.initial.shape[-3:])
    u = factored.solve(r, v).u
    (gradient,) = torch.autograd.grad(u.sin().sum(), r)
    other = solve(replace(problem, forcing=r, initial=v), backend="banded").u
    torch.testing.assert_close(u, other, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradient, torch.autograd.grad(other.sin().sum(), r)[0], rtol=1e-9, atol=1e-11)
