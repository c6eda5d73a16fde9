"""`ode_forward`, `ode_forward_basic`, `ode_forward_reference`: published signatures, layouts, broadcast dimensions."""

import inspect
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.solver import oracle
from tests.solver.cases import (
    FULL,
    METHODS,
    PATTERNS,
    assert_agrees,
    both_row_modes,
    conditions,
    draw,
    every_backend,
    every_method,
    tensors,
)
from tests.solver.oracle import NAMES, Arrays
from workbench.solver import drop_in, ode_forward, ode_forward_basic, ode_forward_reference

PUBLISHED = {  # name -> default, in the published order
    ode_forward: {
        "coefficients": inspect.Parameter.empty,
        "rhs_equation": inspect.Parameter.empty,
        "init_vars": inspect.Parameter.empty,
        "steps": inspect.Parameter.empty,
        "n_steps": None,
        "n_init_var_steps": None,
        "is_step_dim_first": False,
        "weight_equation": 1.0,
        "weight_init_var": 1.0,
        "weight_smooth": 1.0,
        "enable_central_smoothness": False,
        "prefer_cuda_graph": True,
        "frozen_lhs_cache_version": 0,
    },
    ode_forward_basic: {
        "coefficients": inspect.Parameter.empty,
        "rhs_equation": inspect.Parameter.empty,
        "rhs_init": inspect.Parameter.empty,
        "steps": inspect.Parameter.empty,
        "n_steps": None,
        "n_init_var_steps": None,
    },
    ode_forward_reference: {
        "coefficients": inspect.Parameter.empty,
        "rhs_equation": inspect.Parameter.empty,
        "rhs_init": inspect.Parameter.empty,
        "steps": inspect.Parameter.empty,
    },
}
DIMS_AFTER_STEPS = {"coefficients": 3, "forcing": 1, "initial": 2, "steps": 0}


@pytest.mark.parametrize("function", PUBLISHED, ids=lambda function: function.__name__)
def test_signature(function):
    parameters = inspect.signature(function).parameters.values()
    positional = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert list(positional.items()) == list(PUBLISHED[function].items())
    extra = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    if function is ode_forward:
        assert extra == {"backend", "method", "check"}
    assert len(positional) + len(extra) == len(parameters)


@cache
def drawn_problem(seed: int, central: bool, **fixed: Any) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """A problem with scalar weights, the solution of the oracle, and cond(A)."""
    sizes = {"T": 6, "K": 3, "D": 2, "E": 2, "T0": 3, "K0": 2, "h": 0.5, "scalars": True, "whole": True}
    a = draw(seed, central=central, limit=1e4, **(sizes | fixed))
    return a, oracle.solve(a), conditions(a)


def call(a: Arrays, *, step_dim_first: bool = False, **options: Any) -> torch.Tensor:
    values = {name: value for name, value in tensors(a).items() if name in DIMS_AFTER_STEPS}
    if step_dim_first:
        values = {name: value.movedim(-1 - DIMS_AFTER_STEPS[name], 0) for name, value in values.items()}
    u = ode_forward(
        *values.values(),
        weight_equation=a.weight_equation,
        weight_init_var=a.weight_initial,
        weight_smooth=a.weight_taylor,
        enable_central_smoothness=a.central,
        is_step_dim_first=step_dim_first,
        **options,
    )
    return u.movedim(0, -3) if step_dim_first else u


def first_grid_point(a: Arrays, *names: str) -> Arrays:
    """The named arguments with size 1 in the step dimension."""
    return replace(a, **{n: np.take(getattr(a, n), [0], axis=-1 - DIMS_AFTER_STEPS[n]) for n in names})


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("step_dim_first", [False, True])
@pytest.mark.parametrize("batch", [(), (4,), (5,), (2, 3)])
def test_layouts(batch, step_dim_first, central, method, backend):
    """Batch before or after the steps, including a batch of 5 = T-1; scalar weights."""
    a, truth, condition = drawn_problem(1, central, batch=batch, patterns=FULL)
    u = call(a, step_dim_first=step_dim_first, backend=backend, method=method)
    assert_agrees(u, truth, condition, method)


@every_backend
@both_row_modes
@pytest.mark.parametrize("step_dim_first", [False, True])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", DIMS_AFTER_STEPS)
def test_batch_forms(name, pattern, step_dim_first, central, backend):
    patterns = tuple((other, pattern if other == name else "full") for other in NAMES)
    a, truth, condition = drawn_problem(2, central, batch=(2, 3), patterns=patterns)
    u = call(a, step_dim_first=step_dim_first, backend=backend)
    assert_agrees(u, truth, condition, "qr")


@every_backend
@both_row_modes
@pytest.mark.parametrize("step_dim_first", [False, True])
@pytest.mark.parametrize("names", [("coefficients",), ("forcing",), ("initial",), ("steps",), tuple(DIMS_AFTER_STEPS)])
def test_broadcast_over_steps(names, step_dim_first, central, backend):
    """Size 1 in the step dimension, with n_steps and n_init_var_steps."""
    a = first_grid_point(drawn_problem(3, central, batch=(2,), patterns=FULL)[0], *names)
    counts = {"n_steps": a.n_steps, "n_init_var_steps": a.n_initial}
    u = call(a, step_dim_first=step_dim_first, backend=backend, **counts)
    assert_agrees(u, oracle.solve(a), conditions(a), "qr")


def test_default_counts_are_those_of_the_published_code():
    """n_steps defaults to the number of steps plus one, n_init_var_steps to the size of init_vars."""
    a = drawn_problem(4, False, T=2, T0=1, batch=(), patterns=FULL)[0]
    a = first_grid_point(a, "coefficients", "forcing")
    assert_agrees(call(a), oracle.solve(a), conditions(a), "qr")


@every_backend
def test_positional_arguments(backend, monkeypatch):
    """All thirteen arguments in the published order."""
    monkeypatch.setattr(drop_in, "FROZEN", drop_in.FrozenFactors(1))
    a, truth, condition = drawn_problem(5, True, batch=(2,), patterns=FULL)
    values = [value for value in tensors(a).values() if isinstance(value, torch.Tensor)]
    weights = (a.weight_equation, a.weight_initial, a.weight_taylor)
    u = ode_forward(*values, a.n_steps, a.n_initial, False, *weights, True, False, 3, backend=backend)
    assert_agrees(u, truth, condition, "qr")


@every_method
@both_row_modes
def test_tensor_weights(central, method):
    fixed = {"scalars": False, "gaps": False, "batch": (2,), "patterns": FULL}
    a, truth, condition = drawn_problem(6, central, **fixed)
    values = tensors(a)
    u = ode_forward(
        *(values[name] for name in NAMES[:4]),
        weight_equation=values["weight_equation"],
        weight_init_var=values["weight_initial"],
        weight_smooth=values["weight_taylor"],
        enable_central_smoothness=central,
        method=method,
    )
    assert_agrees(u, truth, condition, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("step_dim_first", [False, True])
def test_gradients_have_the_layout_of_the_arguments(step_dim_first, central, method, backend):
    """The gradients of both layouts agree and are not zero."""
    a = drawn_problem(7, central, batch=(2,), patterns=FULL)[0]
    values = [tensors(a)[name].requires_grad_() for name in DIMS_AFTER_STEPS]
    moved = [
        value.detach().movedim(-1 - dims, 0).contiguous().requires_grad_()
        for value, dims in zip(values, DIMS_AFTER_STEPS.values(), strict=True)
    ]
    options = {"enable_central_smoothness": central, "backend": backend, "method": method}
    expected = torch.autograd.grad(ode_forward(*values, **options).sin().sum(), values)
    gradients = torch.autograd.grad(ode_forward(*moved, is_step_dim_first=True, **options).sin().sum(), moved)
    for ours, theirs, dims in zip(gradients, expected, DIMS_AFTER_STEPS.values(), strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours.movedim(0, -1 - dims), theirs, rtol=1e-9, atol=1e-12)


# ode_forward_basic and ode_forward_reference: central rows, unit weights


@cache
def unit_weights(names: tuple[str, ...] = ()) -> tuple[Arrays, np.ndarray, np.ndarray]:
    a = drawn_problem(8, True, batch=(3,), patterns=FULL)[0]
    a = first_grid_point(replace(a, weight_equation=1.0, weight_initial=1.0, weight_taylor=1.0), *names)
    return a, oracle.solve(a), conditions(a)


def first_four(a: Arrays) -> list[torch.Tensor]:
    return [tensors(a)[name] for name in DIMS_AFTER_STEPS]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("function", [ode_forward_basic, ode_forward_reference])
def test_basic_and_reference_have_central_rows_and_unit_weights(function, method):
    a, truth, condition = unit_weights()
    assert_agrees(function(*first_four(a), method=method), truth, condition, method)
    assert_agrees(function(*first_four(a)), truth, condition, "qr")


@pytest.mark.parametrize("names", [("coefficients",), ("forcing",), ("initial",), ("steps",), tuple(DIMS_AFTER_STEPS)])
def test_basic_broadcasts_over_steps(names):
    a, truth, condition = unit_weights(names)
    assert_agrees(ode_forward_basic(*first_four(a), a.n_steps, a.n_initial), truth, condition, "qr")


@pytest.mark.parametrize("function", [ode_forward_basic, ode_forward_reference])
def test_basic_and_reference_have_gradients(function):
    a = unit_weights()[0]
    one, other = ([value.requires_grad_() for value in first_four(a)] for _ in range(2))
    gradients = torch.autograd.grad(function(*one).sin().sum(), one)
    expected = torch.autograd.grad(ode_forward(*other, enable_central_smoothness=True).sin().sum(), other)
    for ours, theirs in zip(gradients, expected, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
