"""The frozen left-hand sides of the drop-in functions."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.solver.cases import both_row_modes, derivatives, every_backend, every_method, randn, small_problem
from workbench.solver import LinearODE, Weights, backends, ode_forward, solve
from workbench.solver.drop_in import FrozenFactors

T, E = 6, 2


def frozen(problem: LinearODE, version: int, cache: FrozenFactors, backend: str = "auto", method: str = "qr") -> Any:
    return cache.solve(version, problem, backend, method, check=True)


def count_factorisations(monkeypatch: pytest.MonkeyPatch, backend: str) -> list[str]:
    """A list that collects the argument `keep` of every later solve of the backend."""
    calls, module = [], backends.TABLE[backend]

    def recorded(problem: LinearODE, method: str, keep: str) -> Any:
        calls.append(keep)
        return module.solve(problem, method, keep)

    monkeypatch.setitem(backends.TABLE, backend, SimpleNamespace(**vars(module) | {"solve": recorded}))
    return calls


@pytest.mark.parametrize("backend", ["dense", "banded"])
def test_a_frozen_left_hand_side_is_factored_once(backend, monkeypatch):
    calls, cache = count_factorisations(monkeypatch, backend), FrozenFactors(2)
    for batch in ((3,), (3,), (5, 3), (1, 3)):
        problem = replace(small_problem((3,), False), forcing=randn(*batch, T, E))
        u = frozen(problem, 1, cache, backend).u
        torch.testing.assert_close(u, solve(problem, backend="banded").u, rtol=1e-10, atol=1e-12)
    assert calls == ["resolve"] + ["nothing"] * (4 if backend == "banded" else 0)


@every_method
@both_row_modes
def test_gradients_under_a_frozen_version(central, method):
    cache = FrozenFactors(2)
    frozen(small_problem((3,), central), 1, cache, method=method)
    results = []
    for call in (lambda p: frozen(p, 1, cache, method=method), lambda p: solve(p, method=method)):
        problem = small_problem((3,), central, gradients=True)
        leaves = [
            problem.forcing,
            problem.initial,
            problem.coefficients,
            problem.steps,
            *vars(problem.weights).values(),
        ]
        results.append(derivatives(call(problem).u, leaves))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10 * float(theirs.detach().abs().max()))


OTHERS = {
    "coefficients has different values": lambda p: replace(p, coefficients=p.coefficients + 1e-12),
    r"coefficients has shape \(1, 6, 2, 2, 3\), had \(3, 6, 2, 2, 3\)": lambda p: replace(
        p, coefficients=p.coefficients[:1]
    ),
    "steps has different values": lambda p: replace(p, steps=2 * p.steps),
    "weights.taylor has shape": lambda p: replace(p, weights=replace(p.weights, taylor=2.0)),
    "weights.equation has different values": lambda p: replace(
        p, weights=replace(p.weights, equation=2 * p.weights.equation)
    ),
    "central is True, was False": lambda p: replace(p, central=True),
    "dtype is torch.float32, was torch.float64": lambda p: p.to(torch.float32),
}


@pytest.mark.parametrize("message", OTHERS)
def test_another_left_hand_side_under_the_same_version_raises(message):
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 7, cache)
    with pytest.raises(ValueError, match=rf"frozen_lhs_cache_version: .*version 7.*{message}.*new version number"):
        frozen(OTHERS[message](problem), 7, cache)
    frozen(OTHERS[message](problem), 8, cache)
    frozen(problem, 7, cache)


@pytest.mark.parametrize(
    "changed, message", [({"method": "cholesky"}, "method is"), ({"backend": "dense"}, "backend is")]
)
def test_another_backend_or_method_under_the_same_version_raises(changed, message):
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 7, cache, backend="banded")
    with pytest.raises(ValueError, match=rf"version 7.*{message}"):
        frozen(problem, 7, cache, **{"backend": "banded", "method": "qr"} | changed)


def test_an_in_place_change_of_a_frozen_left_hand_side_raises():
    cache, problem = FrozenFactors(2), small_problem((3,), False)
    frozen(problem, 1, cache)
    problem.coefficients.add_(1)
    with pytest.raises(ValueError, match="coefficients has different values"):
        frozen(problem, 1, cache)


def test_nan_in_dropped_rows_compares_equal():
    problem = small_problem((3,), False)
    dropped = torch.ones(3, T, E, dtype=torch.float64)
    dropped[:, 2] = 0
    gap = torch.where(dropped[..., None, None] == 0, torch.nan, problem.coefficients)
    problem = replace(problem, coefficients=gap, weights=Weights(equation=dropped))
    cache = FrozenFactors(1)
    assert torch.equal(frozen(problem, 1, cache).u, frozen(problem, 1, cache).u)


def test_the_cache_is_bounded_and_evicts_the_least_recently_used(monkeypatch):
    calls, cache = count_factorisations(monkeypatch, "banded"), FrozenFactors(3)
    problems = [small_problem((3,), False, seed=seed) for seed in range(5)]
    for version in (0, 1, 2, 0, 3, 0, 4):
        frozen(problems[version], version, cache, "banded")
    assert len(cache) == 3
    assert calls == ["resolve"] * 5
    frozen(problems[0], 0, cache, "banded")
    assert len(calls) == 5
    frozen(problems[1], 1, cache, "banded")
    assert len(calls) == 6


@every_backend
def test_evicted_versions_free_their_tensors(backend):
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
        results = list(pool.map(lambda i: frozen(problems[i], i, cache, "banded").u, versions))
    for version, u in zip(versions, results, strict=True):
        torch.testing.assert_close(u, expected[version], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("version", [0, None])
def test_version_zero_or_none_caches_nothing(version, monkeypatch):
    calls = count_factorisations(monkeypatch, "banded")
    for seed in (1, 2):
        p = small_problem((3,), False, seed=seed)
        arguments = p.coefficients, p.forcing, p.initial, p.steps
        ode_forward(*arguments, frozen_lhs_cache_version=version, backend="banded")
    assert calls == ["nothing"] * 2
