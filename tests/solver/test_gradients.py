"""Gradients to every input: against finite differences, the oracle and other backends, small steps, float32."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.solver import oracle
from tests.solver.cases import FULL, both_row_modes, draw, every_backend, every_method, linear_ode, tensors
from tests.solver.oracle import LONG, NAMES, Arrays
from workbench.solver import solve

FORMS = {  # broadcasting of the batch and time dimensions of the arguments
    "full": (FULL, {"whole": True}),
    "broadcast": (
        (
            ("coefficients", "missing"),
            ("forcing", "full"),
            ("initial", "ones"),
            ("steps", "missing"),
            ("weight_equation", "full"),
            ("weight_initial", "missing"),
            ("weight_taylor", "ones"),
        ),
        {"whole": False},
    ),
}
every_form = pytest.mark.parametrize("form", FORMS)


@cache
def small(form: str, central: bool, **fixed: Any) -> Arrays:
    """A small, well-conditioned problem with tensor weights and no gaps."""
    patterns, options = FORMS[form]
    sizes = {"T": 3, "K": 2, "D": 2, "E": 2, "T0": 2, "K0": 1, "batch": (2,), "h": 0.5, "scalars": False, "gaps": False}
    return draw(7, central=central, limit=100, patterns=patterns, **(sizes | options | fixed))


def leaves(a: Arrays, dtype: torch.dtype = torch.float64) -> dict[str, torch.Tensor]:
    """All seven arguments as tensors that require gradients."""
    return {name: torch.as_tensor(value, dtype=dtype).requires_grad_() for name, value in tensors(a, dtype).items()}


def gradients(a: Arrays, upstream: np.ndarray, backend: str, method: str, dtype: torch.dtype = torch.float64) -> dict:
    """The gradient of sum(upstream * u) to each argument."""
    values = leaves(a, dtype)
    u = solve(linear_ode(a, values), backend=backend, method=method).u
    grads = torch.autograd.grad(u, list(values.values()), torch.as_tensor(upstream, dtype=u.dtype))
    return dict(zip(NAMES, grads, strict=True))


def random_upstream(a: Arrays, seed: int = 0) -> np.ndarray:
    T, _, _, D, K, _ = oracle.sizes(a)
    return np.random.default_rng(seed).standard_normal((*oracle.batch(a), T, D, K))


def function_of_tensors(a: Arrays, backend: str, method: str) -> Any:
    def u(*values: torch.Tensor) -> torch.Tensor:
        return solve(linear_ode(a, dict(zip(NAMES, values, strict=True))), backend=backend, method=method).u

    return u


# gradcheck and gradgradcheck


@every_backend
@every_method
@both_row_modes
@every_form
def test_gradcheck(form, central, method, backend):
    a = small(form, central, D=1 if form == "full" else 2)
    assert gradcheck(function_of_tensors(a, backend, method), tuple(leaves(a).values()), atol=1e-7, rtol=1e-6)


@every_backend
@every_method
@both_row_modes
@every_form
def test_gradgradcheck(form, central, method, backend):
    a = small(form, central)
    inputs = tuple(leaves(a).values())
    generator = torch.Generator().manual_seed(0)
    upstream = torch.randn(random_upstream(a).shape, dtype=torch.float64, generator=generator, requires_grad=True)
    u = function_of_tensors(a, backend, method)
    assert gradgradcheck(u, inputs, (upstream,), atol=1e-6, rtol=1e-5, fast_mode=True)


@every_backend
@every_method
@both_row_modes
def test_scalar_tensor_weights(central, method, backend):
    a = small("full", central, scalars=True)
    values = list(leaves(a).values())
    fixed, weights = [value.detach() for value in values[:4]], tuple(values[4:])
    u = function_of_tensors(a, backend, method)
    assert gradcheck(lambda *each: u(*fixed, *each), weights, atol=1e-7, rtol=1e-6)


# Finite differences of the oracle


def directional_derivative(a: Arrays, name: str, direction: np.ndarray, upstream: np.ndarray) -> float:
    """d/ds sum(upstream * u(value + s direction)) at s = 0 by the oracle in extended precision; error O(s^4)."""
    value, s = getattr(a, name).astype(LONG), LONG(1e-4)

    def loss(s: Any) -> Any:
        return np.sum(upstream * oracle.solve(replace(a, **{name: value + s * direction})))

    return float((8 * (loss(s) - loss(-s)) - (loss(2 * s) - loss(-2 * s))) / (12 * s))


@cache
def reference_derivatives(form: str, central: bool) -> tuple[Arrays, np.ndarray, dict[str, tuple[np.ndarray, float]]]:
    a = small(form, central, K=3, T=6, K0=2)
    rng, upstream = np.random.default_rng(1), random_upstream(a)
    directions = {name: rng.standard_normal(np.shape(getattr(a, name))) * getattr(a, name) for name in NAMES}
    return (
        a,
        upstream,
        {name: (step, directional_derivative(a, name, step, upstream)) for name, step in directions.items()},
    )


@every_backend
@every_method
@both_row_modes
@every_form
def test_agreement_with_the_oracle(form, central, method, backend):
    a, upstream, expected = reference_derivatives(form, central)
    grads = gradients(a, upstream, backend, method)
    for name, (direction, value) in expected.items():
        terms = grads[name].numpy() * direction
        assert abs(terms.sum() - value) <= 1e-9 * np.abs(terms).sum(), name


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("name", NAMES)
def test_a_single_input_requires_gradients(name, central, method, backend):
    """The gradient to one input does not depend on which others require gradients."""
    a = small("broadcast", central)
    upstream = random_upstream(a)
    values = tensors(a)
    values[name].requires_grad_()
    u = solve(linear_ode(a, values), backend=backend, method=method).u
    (alone,) = torch.autograd.grad(u, values[name], torch.as_tensor(upstream))
    together = gradients(a, upstream, backend, method)[name]
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=1e-12 * float(together.abs().max()))


# Small steps


# Step, input and relative tolerance. phi = -<A lam, A u - b> with lam = N^-1 g cancels if |lam| is large: gradients to
# coefficients and forcing lose digits as h shrinks, those to initial values and steps do not. The gradient to the
# coefficients has no correct digit at h = 1e-4, where 30 points span 0.003 units of time: it is not tested.
small_steps = pytest.mark.parametrize(
    "h, name, tolerance",
    [(h, name, 1e-6) for h in (1e-2, 1e-3, 1e-4) for name in NAMES[2:4]]
    + [(1e-2, "coefficients", 1e-6), (1e-2, "forcing", 1e-6)]
    + [(1e-3, "coefficients", 3e-5), (1e-3, "forcing", 1e-5), (1e-4, "forcing", 5e-2)],
)


@cache
def oscillator(h: float, central: bool, n_derivatives: int = 3) -> Arrays:
    """c u + c' u' + u'' = r with varying coefficients and steps and tensor weights; T = 30."""
    rng, T = np.random.default_rng(2), 30
    coefficients = np.zeros((T, 1, 1, n_derivatives))
    coefficients[:, 0, 0, :3] = np.array([1.0, 0.5, 1.0]) + 0.2 * rng.standard_normal((T, 3))
    return Arrays(
        coefficients,
        rng.standard_normal((T, 1)),
        rng.standard_normal((1, 1, 2)),
        h * rng.uniform(0.5, 1.5, T - 1),
        T,
        1,
        rng.uniform(0.5, 2, (T, 1)),
        rng.uniform(0.5, 2, (1, 1, 2)),
        rng.uniform(0.5, 2, (T - 1, 1)),
        central,
    )


@cache
def oscillator_derivatives(h: float, central: bool) -> tuple[np.ndarray, dict[str, tuple[np.ndarray, float]]]:
    a = oscillator(h, central)
    rng, upstream = np.random.default_rng(3), random_upstream(a) * [1, 0, 0]  # a loss on the states, as in training
    directions = {name: rng.standard_normal(getattr(a, name).shape) * getattr(a, name) for name in NAMES[:4]}
    return upstream, {
        name: (step, directional_derivative(a, name, step, upstream)) for name, step in directions.items()
    }


@every_backend
@both_row_modes
@small_steps
def test_small_steps_agree_with_the_oracle(name, h, tolerance, central, backend):
    upstream, expected = oscillator_derivatives(h, central)
    direction, value = expected[name]
    terms = gradients(oscillator(h, central), upstream, backend, "qr")[name].numpy() * direction
    assert abs(terms.sum() - value) <= tolerance * np.abs(terms).sum()


@both_row_modes
@every_backend
@small_steps
def test_small_steps_agree_with_dense(name, h, tolerance, backend, central):
    a = oscillator(h, central)
    upstream = random_upstream(a) * [1, 0, 0]
    ours, dense = (gradients(a, upstream, each, "qr")[name] for each in (backend, "dense"))
    assert (ours - dense).norm() <= 2 * tolerance * dense.norm()


# float32


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("h", [0.5, 1e-2])
def test_float32_gradients_agree_with_float64(h, central, method, backend):
    """The same float32 inputs; the only difference is the rounding of the result."""
    a = oscillator(h, central)
    a = replace(a, **{name: getattr(a, name).astype(np.float32) for name in NAMES})
    upstream = (random_upstream(a) * [1, 0, 0]).astype(np.float32)
    single = gradients(a, upstream, backend, method, torch.float32)
    double = gradients(a, upstream, backend, method, torch.float64)
    for name in NAMES:
        assert single[name].dtype == torch.float32
        assert (single[name] - double[name]).norm() <= 1e-5 * double[name].norm(), name


# Gaps


@every_backend
@every_method
@both_row_modes
def test_nan_in_dropped_rows_has_zero_gradient(central, method, backend):
    """The gradient to NaN data with weight 0 is 0; all others are the same as for finite data."""
    a = small("full", central, T=8, K0=2)
    rng = np.random.default_rng(4)
    no_equation, no_initial = rng.random(a.weight_equation.shape) < 0.2, rng.random(a.weight_initial.shape) < 0.2
    assert no_equation.any()
    assert no_initial.any()
    weights = {
        "weight_equation": np.where(no_equation, 0, a.weight_equation),
        "weight_initial": np.where(no_initial, 0, a.weight_initial),
    }
    finite = replace(a, **weights)
    gaps = replace(
        finite,
        forcing=np.where(no_equation, np.nan, a.forcing),
        initial=np.where(no_initial, np.nan, a.initial),
    )
    assert all(oracle.condition(system) < 1e4 for _, system in oracle.systems(gaps))
    upstream = random_upstream(a)
    actual, expected = gradients(gaps, upstream, backend, method), gradients(finite, upstream, backend, method)
    for name in NAMES:
        torch.testing.assert_close(actual[name], expected[name], rtol=1e-12, atol=1e-12)
    assert not actual["forcing"][torch.as_tensor(no_equation)].any()
    assert not actual["initial"][torch.as_tensor(no_initial)].any()
    assert actual["forcing"].any()
