"""Regression tests for the faults of the published code listed in SOLVER.md section 6."""

import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch

from tests.solver import oracle
from tests.solver.cases import (
    FULL,
    assert_agrees,
    assert_same,
    both_row_modes,
    conditions,
    draw,
    every_backend,
    every_method,
    linear_ode,
    relative_error,
    tensors,
)
from tests.solver.oracle import NAMES, Arrays
from workbench.solver import LinearODE, RankDeficient, ode_forward, solve
from workbench.solver import drop_in as drop_in_module

SIZES = {"T": 6, "D": 2, "E": 2, "K": 3, "T0": 1, "K0": 2, "h": 0.5, "whole": True, "gaps": False}


@cache
def problem(seed: int, central: bool, batch: tuple[int, ...] = (3,)) -> Arrays:
    """A problem of fixed shape: every argument with all batch dimensions, unit weights."""
    a = draw(seed, central=central, limit=1e3, patterns=FULL, batch=batch, scalars=True, **SIZES)
    return replace(a, weight_equation=1.0, weight_initial=1.0, weight_taylor=1.0)


def leaves(a: Arrays) -> list[torch.Tensor]:
    return [value.requires_grad_() for value in tensors(a).values() if isinstance(value, torch.Tensor)]


def forward(a: Arrays, values: list[torch.Tensor], backend: str, method: str) -> torch.Tensor:
    """u from `solve`."""
    named = tensors(a) | dict(zip(NAMES, values, strict=False))
    return solve(linear_ode(a, named), backend=backend, method=method).u


def drop_in(a: Arrays, values: list[torch.Tensor], backend: str, method: str, version: int = 0) -> torch.Tensor:
    """u from `ode_forward` with a frozen version."""
    return ode_forward(
        *values,
        enable_central_smoothness=a.central,
        frozen_lhs_cache_version=version,
        backend=backend,
        method=method,
    )


def gradients(u: torch.Tensor, values: list[torch.Tensor], **options: Any) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(u.square().sum(), values, **options)


def equal(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# 1. Buffers shared between calls


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("call", [forward, drop_in])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_forwards_before_the_first_backward(order, call, central, method, backend):
    problems = [problem(seed, central) for seed in (1, 2)]
    inputs = [leaves(a) for a in problems]
    alone = [gradients(call(a, x, backend, method), x) for a, x in zip(problems, inputs, strict=True)]
    u = [call(a, x, backend, method) for a, x in zip(problems, inputs, strict=True)]
    for i in order:
        assert equal(gradients(u[i], inputs[i]), alone[i])
        assert_agrees(u[i], oracle.solve(problems[i]), conditions(problems[i]), method)


@every_backend
@every_method
@both_row_modes
def test_second_backward_through_one_node(central, method, backend):
    a = problem(1, central)
    x = leaves(a)
    u = forward(a, x, backend, method)
    first = gradients(u, x, retain_graph=True)
    forward(a, leaves(problem(2, central)), backend, method)
    assert equal(gradients(u, x, retain_graph=True), first)
    assert equal(gradients(u, x), first)


# 2. Frozen factors


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> drop_in_module.FrozenFactors:
    """An empty cache for the drop-in functions."""
    empty = drop_in_module.FrozenFactors(8)
    monkeypatch.setattr(drop_in_module, "FROZEN", empty)
    return empty


@every_backend
@every_method
@both_row_modes
def test_frozen_version_with_different_coefficients(frozen, central, method, backend):
    """Raises; under another version the new system is solved."""
    a, other = problem(1, central), problem(2, central)
    drop_in(a, leaves(a), backend, method, version=17)
    with pytest.raises(ValueError, match=r"version 17.*coefficients has different values.*new version number"):
        drop_in(other, leaves(other), backend, method, version=17)
    assert_agrees(
        drop_in(other, leaves(other), backend, method, version=18), oracle.solve(other), conditions(other), method
    )


@every_backend
@every_method
@both_row_modes
def test_frozen_version_has_gradients_to_every_argument(frozen, central, method, backend):
    """Including coefficients and steps, with a cached factor and new forcing and initial values."""
    first, second = problem(1, central), problem(2, central)
    second = replace(first, forcing=second.forcing, initial=second.initial)
    for a in (first, second):
        x = leaves(a)
        u = drop_in(a, x, backend, method, version=17)
        assert_agrees(u, oracle.solve(a), conditions(a), method)
        for ours, expected in zip(gradients(u, x), gradients(drop_in(a, x, backend, method), x), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-10 * float(expected.abs().max()))


@every_backend
@every_method
@both_row_modes
def test_frozen_version_with_different_batch_sizes(frozen, central, method, backend):
    """One left-hand side with varying numbers of right-hand sides."""
    left = problem(3, central, ())
    for batch in ((3,), (5,), (1,), (2, 2)):
        right = problem(3, central, batch)
        a = replace(left, forcing=right.forcing, initial=right.initial)
        u = drop_in(a, leaves(a), backend, method, version=18)
        assert_agrees(u, oracle.solve(a), conditions(a), method)


@every_backend
@every_method
def test_at_most_eight_frozen_versions_stay_alive(frozen, method, backend):
    a = problem(1, False)

    def tensors_alive() -> int:
        gc.collect()
        return sum(type(thing) is torch.Tensor for thing in gc.get_objects())

    def use(versions: range) -> None:
        for version in versions:
            gradients(drop_in(a, (x := leaves(a)), backend, method, version=version), x)

    use(range(100, 108))
    full = tensors_alive()
    use(range(108, 120))
    assert len(frozen) == 8
    assert tensors_alive() == full


# 3. Batch ranks that differ


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("n_batch", [5, 3], ids=["batch size T-1", "batch size 3"])
@pytest.mark.parametrize("bare", NAMES[:4])
def test_an_argument_without_batch_dimensions(bare, n_batch, central, method, backend):
    """T = 6: with a batch of 5 the published code confuses the batch of one argument with the steps of another."""
    a = problem(4, central, (n_batch,))
    a = replace(a, **{bare: getattr(a, bare)[0]})
    expected, condition = oracle.solve(a), conditions(a)
    values = [x.detach() for x in leaves(a)]
    assert_agrees(forward(a, values, backend, method), expected, condition, method)
    assert_agrees(drop_in(a, values, backend, method), expected, condition, method)


@pytest.mark.parametrize("name", NAMES[1:4])
def test_batch_shapes_that_do_not_broadcast_raise(name):
    a = problem(4, False, (5,))
    with pytest.raises(ValueError, match=r"batch shape.*\(5,\).*\(4,\)|batch shape.*\(4,\).*\(5,\)"):
        linear_ode(replace(a, **{name: getattr(a, name)[:4]}))


# 4. Silent failures


@every_backend
@both_row_modes
@pytest.mark.parametrize("K", [3, 5])
@pytest.mark.parametrize("h", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_cholesky_raises_or_is_accurate(h, K, central, backend):
    """u'' + u = 1, u(0) = u'(0) = 1: u = 1 + sin t. If the normal equations break down, solve raises."""
    coefficients = torch.zeros(1, 1, 1, K, dtype=torch.float64)
    coefficients[..., 0] = coefficients[..., 2] = 1
    one, step = torch.ones(1, 1, 2, dtype=torch.float64), torch.tensor([h], dtype=torch.float64)
    ode = LinearODE(coefficients, one[0, :, :1], one, step, central=central, n_steps=50)
    try:
        u = solve(ode, backend=backend, method="cholesky").u[:, 0, 0]
    except RankDeficient:
        assert h < 1e-6
    else:
        expected = 1 + torch.sin(h * torch.arange(50, dtype=torch.float64))
        torch.testing.assert_close(u, expected, rtol=0, atol=1e-5)


@every_backend
@every_method
@pytest.mark.parametrize("bad", [0.0, -0.1, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("call", [forward, drop_in])
def test_steps_that_are_not_positive_numbers_raise(call, bad, method, backend):
    a = problem(1, False)
    steps = a.steps.copy()
    steps[2, 4] = bad
    with pytest.raises(ValueError, match=r"\bsteps\b.*positive"):
        call(a, leaves(replace(a, steps=steps)), backend, method)


# 5. float32


@every_backend
@both_row_modes
@pytest.mark.parametrize("h, method", [(0.01, "qr"), (0.01, "cholesky"), (1e-3, "qr"), (1e-4, "qr")])
def test_float32_is_accurate_at_small_steps(h, method, central, backend):
    """float32 problems are solved in float64: the only error is the rounding of the result."""
    rng = np.random.default_rng(0)
    a = Arrays(
        np.array([[[[1, 0.1, 1]]]], np.float32),
        rng.standard_normal((2, 40, 1)).astype(np.float32),
        np.array([[[1, 0]]], np.float32),
        np.array([h], np.float32),
        n_steps=40,
        n_initial=1,
        central=central,
    )
    u = solve(linear_ode(a, tensors(a, torch.float32)), backend=backend, method=method).u
    assert u.dtype == torch.float32
    assert np.all(relative_error(u, oracle.solve(a)) < 1e-5)
    assert np.all(relative_error(u[..., :1], oracle.solve(a)[..., :1]) < 1e-5)


# 6. Second derivatives


@every_backend
@every_method
def test_double_backward_in_closed_form(method, backend):
    """c u = r: u = r/c, d2u/dc2 = 2 r/c^3 and d2u/dc dr = -1/c^2."""
    c, r = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.5, 0.7))
    ode = LinearODE(
        c.view(1, 1, 1, 1), r.view(1, 1), torch.zeros(0, 1, 1, dtype=c.dtype), torch.ones(1, dtype=c.dtype), n_steps=4
    )
    u = solve(ode, backend=backend, method=method).u[2, 0, 0]
    (du_dc,) = torch.autograd.grad(u, c, create_graph=True)
    second = torch.autograd.grad(du_dc, (c, r))
    torch.testing.assert_close(du_dc.detach(), -(r / c**2).detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(second, ((2 * r / c**3).detach(), (-1 / c**2).detach()), rtol=1e-11, atol=0)


# 7. A reference for the default rows too


@every_backend
@every_method
@both_row_modes
def test_both_row_modes_have_a_reference(central, method, backend):
    a = problem(5, central)
    values = [x.detach() for x in leaves(a)]
    reference = drop_in(a, values, "dense", "qr")
    torch.testing.assert_close(drop_in(a, values, backend, method), reference, rtol=1e-9, atol=1e-9)
    assert_agrees(reference, oracle.solve(a), conditions(a), "qr")


# 8. Several threads


@every_backend
@every_method
@both_row_modes
def test_several_threads_at_once(central, method, backend):
    """16 threads started together, each with a different problem; every second one uses a shared steps tensor."""
    problems = [problem(seed, central) for seed in range(1, 17)]
    shared = torch.as_tensor(problems[0].steps)

    def work(number: int, wait: Callable[[], Any] = int) -> list[torch.Tensor]:
        x = leaves(problems[number])
        if number % 2:
            x[3] = shared
        wait()
        u = forward(problems[number], x, backend, method)
        return [u.detach(), *gradients(u, x[:3])]

    alone = [work(number) for number in range(16)]
    together = Barrier(16)
    with ThreadPoolExecutor(16) as pool:
        for _ in range(3):
            for ours, expected in zip(pool.map(work, range(16), [together.wait] * 16), alone, strict=True):
                for value, other in zip(ours, expected, strict=True):
                    assert_same(value, other, backend)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("D, K", [(1, 3), (3, 2), (2, 5)])
def test_results_do_not_depend_on_the_batch(D, K, central, method, backend):
    """u and all gradients of a batch of 7, of its slices, and of single systems."""
    rng = np.random.default_rng(0)
    a = Arrays(
        rng.standard_normal((7, 9, D, D, K)),
        rng.standard_normal((7, 9, D)),
        rng.standard_normal((7, 2, D, K - 1)),
        rng.uniform(0.3, 0.6, (7, 8)),
        n_steps=9,
        n_initial=2,
        central=central,
    )

    def work(part: slice | int) -> list[torch.Tensor]:
        x = leaves(replace(a, **{name: getattr(a, name)[part] for name in NAMES[:4]}))
        u = forward(a, x, backend, method)
        return [u.detach(), *gradients(u, x)]

    whole = work(slice(None))
    for part in (slice(0, 3), slice(3, 7), slice(2, 3), *range(7)):
        for value, expected in zip(work(part), whole, strict=True):
            assert_same(value, expected[part], backend)
