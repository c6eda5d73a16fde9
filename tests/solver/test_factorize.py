"""`factorize`, and the frozen left-hand sides of the drop-in: one factor, many right-hand sides, nothing stale."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.accuracy import oscillator_minimiser
from tests.solver.cases import (
    both_row_modes,
    every_backend,
    every_linear_backend,
    every_method,
    oscillator,
    randn,
    small_problem,
)
from workbench.solver import LinearODE, RankDeficient, Weights, backends, factorize, ode_forward, solve
from workbench.solver.drop_in import FrozenFactors

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
    """Any batch that broadcasts with that of the left-hand side."""
    problem = small_problem(left, central)
    factored = factorize(problem, backend=backend, method=method)
    for seed in (1, 2):
        r, v = randn(*forcing, T, E, seed=seed), randn(*initial, T0, D, K0, seed=seed)
        found = factored.solve(r, v)
        expected = solve(replace(problem, forcing=r, initial=v), backend=backend, method=method)
        assert (found.backend, found.method) == (backend, method)
        assert found.status.shape == expected.status.shape
        torch.testing.assert_close(found.u, expected.u, rtol=1e-10, atol=1e-12 * float(expected.u.detach().abs().max()))


@every_backend
@every_method
@both_row_modes
def test_gradients_are_those_of_solve(central, method, backend):
    """Of forcing, initial values and the whole left-hand side, and the second derivative."""
    problem = small_problem((3,), central, gradients=True)
    r, v = randn(4, 3, T, E, seed=1).requires_grad_(), randn(3, T0, D, K0, seed=1).requires_grad_()
    leaves = [r, v, problem.coefficients, problem.steps, *vars(problem.weights).values()]
    u = factorize(problem, backend=backend, method=method).solve(r, v).u
    expected = solve(replace(problem, forcing=r, initial=v), backend=backend, method=method).u
    for ours, theirs in zip(derivatives(u, leaves), derivatives(expected, leaves), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10 * float(theirs.detach().abs().max()))


def derivatives(u: torch.Tensor, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    first = torch.autograd.grad(u.sin().sum(), leaves, create_graph=True)
    return [*first, *torch.autograd.grad(sum(x.square().sum() for x in first), leaves)]


@every_linear_backend
@pytest.mark.parametrize("h", ["1e-3", "1e-4"])
def test_qr_keeps_its_digits_at_small_steps(h, backend):
    """The distance to the minimiser is that of `solve`, where the normal equations lose it."""
    ode = oscillator(float(h), 1000)
    u = factorize(ode, backend=backend).solve(ode.forcing, ode.initial).u[:, 0, 0]
    assert (u - oscillator_minimiser(h, 1000)).abs().max() <= 1e-12


@pytest.mark.parametrize("h", [1e-3, 1e-4])
def test_dense_qr_keeps_its_digits_at_small_steps(h):
    ode = oscillator(h, 100)
    solved = solve(ode, backend="banded").u
    again = factorize(ode, backend="dense").solve(ode.forcing, ode.initial).u
    alone = solve(ode, backend="dense").u
    error, expected = ((x - solved)[..., 0].abs().max() for x in (again, alone))
    assert error <= 3 * expected + 1e-14


def test_float32_in_and_out():
    problem = small_problem((3,), False).to(torch.float32)
    u = factorize(problem).solve(problem.forcing, problem.initial).u
    assert u.dtype == torch.float32
    torch.testing.assert_close(u, solve(problem).u)


# What an optional `resolve` is worth, and life without one


@pytest.mark.parametrize("missing", [True, False])
def test_a_backend_without_resolve_solves_anew(missing, monkeypatch):
    """And one that is handed no factor makes it again."""
    offered = dict(vars(backends.banded))
    if missing:
        del offered["resolve"]
    else:
        offered["solve"] = lambda problem, method, keep: backends.banded.solve(problem, method, "nothing")
        offered["factor_shapes"] = lambda problem, keep: []
    monkeypatch.setitem(backends.TABLE, "other", SimpleNamespace(**offered))
    problem = small_problem((3,), False, gradients=True)
    r, v = randn(3, T, E, seed=1).requires_grad_(), randn(3, T0, D, K0, seed=1)
    u = factorize(problem, backend="other").solve(r, v).u
    expected = solve(replace(problem, forcing=r, initial=v)).u
    torch.testing.assert_close(u, expected, rtol=1e-12, atol=1e-12)
    for leaf in (r, problem.coefficients):
        ours, theirs = (torch.autograd.grad(x.sin().sum(), leaf, retain_graph=True)[0] for x in (u, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


# What does not fit


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
def test_right_hand_sides_that_do_not_fit_raise(scalars, forcing, initial, message):
    problem = small_problem((3,), False)
    factored = factorize(replace(problem, weights=Weights()) if scalars else problem)
    with pytest.raises(ValueError, match=message):
        factored.solve(randn(*forcing), randn(*initial))


def test_another_dtype_raises():
    factored = factorize(small_problem((3,), False))
    with pytest.raises(TypeError, match=r"forcing: expected dtype torch.float64"):
        factored.solve(randn(T, E).float(), randn(T0, D, K0).float())


def test_a_left_hand_side_changed_in_place_raises():
    problem = small_problem((3,), False)
    factored = factorize(problem)
    problem.coefficients.mul_(2)
    with pytest.raises(ValueError, match=r"changed in place.*factorize it again"):
        factored.solve(problem.forcing, problem.initial)


@every_backend
def test_bad_left_hand_sides_raise_when_factored(backend):
    problem = small_problem((3,), False)
    steps = problem.steps.clone()
    steps[1, 2] = -1
    with pytest.raises(ValueError, match=r"steps: .*positive.*\(1,\).*grid point 2"):
        factorize(replace(problem, steps=steps), backend=backend)
    nothing = torch.zeros_like(problem.coefficients)
    with pytest.raises(RankDeficient, match=r"batch index \(0,\)"):
        factorize(replace(problem, coefficients=nothing, weights=Weights(initial=0.0)), backend=backend)


@every_backend
@every_method
def test_without_checks_the_status_says_it(method, backend):
    problem = small_problem((3,), False)
    coefficients = problem.coefficients.clone()
    coefficients[1] = 0
    hopeless = replace(problem, coefficients=coefficients, weights=Weights(initial=0.0))
    found = factorize(hopeless, backend=backend, method=method, check=False).solve(
        randn(2, 3, T, E), problem.initial, check=False
    )
    assert found.status.tolist() == [[0, 4, 0]] * 2
    assert found.u.isnan().flatten(2).all(-1).tolist() == [[False, True, False]] * 2


# The drop-in's frozen left-hand sides


def frozen(problem: LinearODE, version: int, cache: FrozenFactors, backend: str = "auto", method: str = "qr") -> Any:
    return cache.solve(version, problem, backend, method, check=True)


def count_factorisations(monkeypatch: pytest.MonkeyPatch, backend: str) -> list[str]:
    """What each solve of the backend is asked to keep, as it happens."""
    seen, module = [], backends.TABLE[backend]

    def recorded(problem: LinearODE, method: str, keep: str) -> Any:
        seen.append(keep)
        return module.solve(problem, method, keep)

    monkeypatch.setitem(backends.TABLE, backend, SimpleNamespace(**vars(module) | {"solve": recorded}))
    return seen


@pytest.mark.parametrize("backend", ["dense", "banded"])
def test_a_frozen_left_hand_side_is_factored_once(backend, monkeypatch):
    seen, cache = count_factorisations(monkeypatch, backend), FrozenFactors(2)
    for batch in ((3,), (3,), (5, 3), (1, 3)):
        problem = replace(small_problem((3,), False), forcing=randn(*batch, T, E))
        u = frozen(problem, 1, cache, backend).u
        torch.testing.assert_close(u, solve(problem, backend="banded").u, rtol=1e-10, atol=1e-12)
    assert seen == ["resolve"] + ["nothing"] * (4 if backend == "banded" else 0)


@every_method
@both_row_modes
def test_gradients_under_a_frozen_version(central, method):
    cache = FrozenFactors(2)
    frozen(small_problem((3,), central), 1, cache, method=method)
    found = []
    for call in (lambda p: frozen(p, 1, cache, method=method), lambda p: solve(p, method=method)):
        problem = small_problem((3,), central, gradients=True)
        leaves = [
            problem.forcing,
            problem.initial,
            problem.coefficients,
            problem.steps,
            *vars(problem.weights).values(),
        ]
        found.append(derivatives(call(problem).u, leaves))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10 * float(theirs.detach().abs().max()))


OTHERS = {
    "coefficients has other values": lambda p: replace(p, coefficients=p.coefficients + 1e-12),
    r"coefficients has shape \(1, 6, 2, 2, 3\), had \(3, 6, 2, 2, 3\)": lambda p: replace(
        p, coefficients=p.coefficients[:1]
    ),
    "steps has other values": lambda p: replace(p, steps=2 * p.steps),
    "weights.taylor has shape": lambda p: replace(p, weights=replace(p.weights, taylor=2.0)),
    "weights.equation has other values": lambda p: replace(
        p, weights=replace(p.weights, equation=2 * p.weights.equation)
    ),
    "central is True, was False": lambda p: replace(p, central=True),
    "dtype is torch.float32, was torch.float64": lambda p: p.to(torch.float32),
}


@pytest.mark.parametrize("told", OTHERS)
def test_another_left_hand_side_under_the_same_version_raises(told):
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 7, cache)
    with pytest.raises(ValueError, match=rf"frozen_lhs_cache_version: .*version 7.*{told}.*new version number"):
        frozen(OTHERS[told](problem), 7, cache)
    frozen(OTHERS[told](problem), 8, cache)
    frozen(problem, 7, cache)


@pytest.mark.parametrize("changed, told", [({"method": "cholesky"}, "method is"), ({"backend": "dense"}, "backend is")])
def test_another_solver_under_the_same_version_raises(changed, told):
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 7, cache, backend="banded")
    with pytest.raises(ValueError, match=rf"version 7.*{told}"):
        frozen(problem, 7, cache, **{"backend": "banded", "method": "qr"} | changed)


def test_a_frozen_left_hand_side_changed_in_place_raises():
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 1, cache)
    problem.coefficients.add_(1)
    with pytest.raises(ValueError, match="coefficients has other values"):
        frozen(problem, 1, cache)


def test_gaps_do_not_make_a_left_hand_side_another():
    """NaN in dropped rows is equal to itself."""
    problem = small_problem((3,), False)
    dropped = torch.ones(3, T, E, dtype=torch.float64)
    dropped[:, 2] = 0
    gap = torch.where(dropped[..., None, None] == 0, torch.nan, problem.coefficients)
    problem = replace(problem, coefficients=gap, weights=Weights(equation=dropped))
    cache = FrozenFactors(1)
    assert torch.equal(frozen(problem, 1, cache).u, frozen(problem, 1, cache).u)


def test_native_factors_what_systems_share_once(monkeypatch, required):
    """Right-hand sides that come later, and their gradients, use the factor that is kept."""
    native = backends.TABLE["native"]
    required(not native.unfit(torch.device("cpu")), "install a C++ compiler and then the package again")
    problem = small_problem((), False)
    factored = factorize(problem, backend="native")

    def never(*arguments: Any) -> Any:
        raise AssertionError("factored again")

    monkeypatch.setattr(native._native, "factor", never)
    r, v = randn(9, T, E).requires_grad_(), randn(9, *problem.initial.shape[-3:])
    u = factored.solve(r, v).u
    (found,) = torch.autograd.grad(u.sin().sum(), r)
    other = solve(replace(problem, forcing=r, initial=v), backend="banded").u
    torch.testing.assert_close(u, other, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found, torch.autograd.grad(other.sin().sum(), r)[0], rtol=1e-9, atol=1e-11)


def test_the_cache_is_bounded_and_forgets_what_was_used_longest_ago(monkeypatch):
    seen, cache = count_factorisations(monkeypatch, "banded"), FrozenFactors(3)
    problems = [small_problem((3,), False, seed=seed) for seed in range(5)]
    for version in (0, 1, 2, 0, 3, 0, 4):
        frozen(problems[version], version, cache, "banded")
    assert len(cache) == 3
    assert seen == ["resolve"] * 5
    frozen(problems[0], 0, cache, "banded")
    assert len(seen) == 5
    frozen(problems[1], 1, cache, "banded")
    assert len(seen) == 6


@every_backend
def test_frozen_versions_keep_no_more_alive_than_the_bound(backend):
    def tensors_alive() -> int:
        gc.collect()
        return sum(type(thing) is torch.Tensor for thing in gc.get_objects())

    def use(versions: range) -> None:
        for version in versions:
            problem = small_problem((3,), False, gradients=True)
            torch.autograd.grad(frozen(problem, version, cache, backend).u.sum(), problem.coefficients)

    cache = FrozenFactors(3)
    use(range(1, 4))
    full = tensors_alive()
    use(range(4, 9))
    assert tensors_alive() == full


def test_frozen_versions_in_several_threads():
    cache = FrozenFactors(2)
    problems = [small_problem((3,), False, seed=seed) for seed in range(4)]
    expected = [solve(p, backend="banded").u for p in problems]
    versions = [i % 4 for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: frozen(problems[i], i, cache, "banded").u, versions))
    for version, u in zip(versions, found, strict=True):
        torch.testing.assert_close(u, expected[version], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("version", [0, None])
def test_no_version_keeps_nothing(version, monkeypatch):
    seen = count_factorisations(monkeypatch, "banded")
    for seed in (1, 2):
        p = small_problem((3,), False, seed=seed)
        arguments = p.coefficients, p.forcing, p.initial, p.steps
        ode_forward(*arguments, frozen_lhs_cache_version=version, backend="banded")
    assert seen == ["nothing"] * 2
