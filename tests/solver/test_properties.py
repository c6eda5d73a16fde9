"""Invariants of every problem, with shapes and values from hypothesis, the same in every run.

The matrix A does not depend on forcing and initial values, systems of a batch are independent, and the solution does
not depend on the unit of time or on the order of variables and equations.
"""

from dataclasses import replace
from functools import cache, partial
from math import factorial
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.solver import oracle
from tests.solver.cases import (
    EPS,
    ROUNDED,
    both_row_modes,
    conditions,
    every_backend,
    every_method,
    linear_ode,
    tolerance,
)
from tests.solver.oracle import NAMES, Arrays
from tests.solver.shapes import Shape, batch, condition, for_all_shapes, solution_and_gradients
from workbench.solver import solve

for_all_shapes_and_units = partial(for_all_shapes, s=st.floats(0.25, 4))


def answer(a: Arrays, backend: str, method: str) -> np.ndarray:
    return solve(linear_ode(a), backend=backend, method=method).u.numpy()


def assert_near(ours: np.ndarray, expected: np.ndarray, allowed: float) -> None:
    error = np.linalg.norm((ours - expected).ravel())
    assert error <= allowed * np.linalg.norm(expected.ravel()), f"error {error}, allowed {allowed} of |expected|"


# The systems of a batch


def part(a: Arrays, index: Any) -> Arrays:
    return replace(a, **{name: getattr(a, name)[index] for name in NAMES})


@every_backend
@every_method
@both_row_modes
@for_all_shapes
def test_systems_of_a_batch_are_independent(shape, central, method, backend):
    """u and gradients are the same for a single system, in the batch, and in a permuted batch.

    Bitwise for reproducible backends. The gradients to weights may come from plain torch and agree up to rounding,
    relative to the largest gradient.
    """
    a = batch(shape, central)
    u, *together = solution_and_gradients(a, backend, method)
    order = np.random.default_rng(shape.seed).permutation(shape.B)
    allowed = tolerance(method, condition(shape, central))
    largest = max(float(x.abs().max()) for x in together if x.numel())
    for index in (order, *order[:3]):
        alone, *gradients = solution_and_gradients(part(a, index), backend, method)
        if backend not in ROUNDED:
            pairs = zip([alone, *gradients[:4]], [u, *together[:4]], strict=True)
            assert all(torch.equal(ours, expected[index]) for ours, expected in pairs)
        assert_near(alone.numpy(), u[index].numpy(), allowed)
        for ours, expected in zip(gradients, together, strict=True):
            torch.testing.assert_close(ours, expected[index], rtol=0, atol=10 * allowed * largest)


@every_backend
@every_method
@both_row_modes
@for_all_shapes
def test_right_hand_sides_of_one_matrix_are_independent(shape, central, method, backend):
    """Forcing and initial values of the batch, everything else from its first system."""
    a = without_gaps(batch(shape, central))
    left = {name: getattr(a, name)[0] for name in NAMES if name not in ("forcing", "initial")}
    together = answer(replace(a, **left), backend, method)
    for index in range(shape.B):
        alone = replace(part(a, index), **left)
        assert_near(together[index], answer(alone, backend, method), 2 * tolerance(method, condition(shape, central)))


def without_gaps(a: Arrays) -> Arrays:
    """Replace NaN by numbers; the rows stay dropped."""
    return replace(a, forcing=np.nan_to_num(a.forcing, nan=1.0), initial=np.nan_to_num(a.initial, nan=1.0))


# Linearity


@every_backend
@every_method
@both_row_modes
@for_all_shapes
def test_u_is_linear_in_forcing_and_initial_values(shape, central, method, backend):
    """u(p r + q r', p v + q v') = p u(r, v) + q u(r', v'), and u(0, 0) = 0."""
    one = batch(shape, central)
    rng = np.random.default_rng(shape.seed)
    other = replace(
        one,
        forcing=one.forcing + rng.standard_normal(one.forcing.shape),
        initial=one.initial + rng.standard_normal(one.initial.shape),
    )
    p, q = 0.75, -1.5
    data = {name: p * getattr(one, name) + q * getattr(other, name) for name in ("forcing", "initial")}
    terms = p * answer(one, backend, method), q * answer(other, backend, method)
    error = np.linalg.norm(answer(replace(one, **data), backend, method) - sum(terms))
    assert error <= 2 * tolerance(method, condition(shape, central)) * sum(map(np.linalg.norm, terms))
    zero = {name: 0 * getattr(one, name) for name in ("forcing", "initial")}
    assert not answer(replace(one, **zero), backend, method).any()


# The unit of time


def in_another_unit(a: Arrays, s: float) -> tuple[Arrays, np.ndarray]:
    """The same systems with the unit of time divided by s, t' = s t, and the factors that convert u' to u.

    The k-th derivative becomes u'_k = s^-k u_k, so v'_k = s^-k v_k, and with w'_k = s^k w_k the initial rows are
    unchanged; so are the equation rows with c'_k = s^k c_k. The Taylor rows consist of the dimensionless h^j u_j and
    are unchanged with the same weights. Central rows, H^(K-3) u_{K-2} and H^(K-2) u_{K-1}, are multiplied by s^-1,
    which cannot be compensated because they share their weights with the Taylor rows.
    """
    unit = s ** np.arange(a.coefficients.shape[-1])
    start = unit[: a.initial.shape[-1]]
    changed = replace(
        a,
        coefficients=a.coefficients * unit,
        initial=a.initial / start,
        weight_initial=a.weight_initial * start,
        steps=a.steps * s,
    )
    return changed, unit


@every_backend
@every_method
@for_all_shapes_and_units
def test_unit_of_time(shape, s, method, backend):
    """With default rows the minimiser does not depend on the unit of time."""
    a = batch(shape, False)
    changed, unit = in_another_unit(a, s)
    allowed = tolerance(method, max(condition(shape, False), condition_in_another_unit(shape, False, s))) * 4**shape.K
    assert_near(answer(changed, backend, method) * unit, answer(a, backend, method), allowed)


@cache
def condition_in_another_unit(shape: Shape, central: bool, s: float) -> float:
    return float(conditions(in_another_unit(batch(shape, central), s)[0]).max())


def polynomial(a: Arrays, seed: int) -> tuple[Arrays, np.ndarray]:
    """The problem with data of polynomials of degree K-1, and the polynomials, which satisfy every row."""
    T, T0, _, D, K, K0 = oracle.sizes(a)
    t = np.concatenate([np.zeros((len(a.steps), 1)), np.cumsum(a.steps, axis=1)], axis=1)[:, :, None]
    at_zero = np.random.default_rng(seed).standard_normal((len(a.steps), 1, D, K))
    u = np.zeros((len(a.steps), T, D, K))
    for k in range(K):
        for j in range(k, K):
            u[..., k] += at_zero[..., j] * t ** (j - k) / factorial(j - k)
    forcing = np.einsum("btedk,btdk->bte", a.coefficients, u)
    return replace(a, forcing=forcing, initial=u[:, :T0, :, :K0]), u


@every_backend
@every_method
@both_row_modes
@for_all_shapes_and_units
def test_unit_of_time_with_zero_residual(shape, s, central, method, backend):
    """Also with central rows: their factor s^-1 does not matter if the residual is zero."""
    a, u = polynomial(batch(shape, central), shape.seed)
    changed, unit = in_another_unit(a, s)
    allowed = tolerance(method, condition_in_another_unit(shape, central, s)) * 4**shape.K
    assert_near(answer(changed, backend, method) * unit, u, allowed)


# The order of variables and equations


@every_backend
@every_method
@both_row_modes
@for_all_shapes
def test_order_of_variables_and_equations(shape, central, method, backend):
    a = batch(shape, central)
    rng = np.random.default_rng(shape.seed)
    variables, equations = rng.permutation(shape.D), rng.permutation(shape.E)
    changed = replace(
        a,
        coefficients=a.coefficients[:, :, equations][:, :, :, variables],
        forcing=a.forcing[:, :, equations],
        initial=a.initial[:, :, variables],
        weight_equation=a.weight_equation[:, :, equations],
        weight_initial=a.weight_initial[:, :, variables],
        weight_taylor=a.weight_taylor[:, :, variables],
    )
    expected = answer(a, backend, method)[:, :, variables]
    assert_near(answer(changed, backend, method), expected, 2 * tolerance(method, condition(shape, central)))


# Stationarity


@every_backend
@every_method
@both_row_modes
@for_all_shapes
def test_residual_is_orthogonal_to_the_columns(shape, central, method, backend):
    """A^T (A u - b) = 0 for the rows of the oracle, up to rounding of u."""
    a = batch(shape, central)
    u = answer(a, backend, method)
    for index, one in oracle.systems(a):
        A, b = oracle.matrix(one)
        x, size = u[index].ravel(), np.linalg.norm(A, 2)
        moment = A.T @ (A @ x - b)
        assert np.linalg.norm(moment) <= 1000 * EPS * size * (size * np.linalg.norm(x) + np.linalg.norm(b))
