"""Every backend and method against the row-by-row oracle: both row modes, random sizes, weights and broadcast forms."""

from dataclasses import replace
from functools import cache
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch

from tests.solver import oracle
from tests.solver.cases import (
    BACKENDS,
    FULL,
    PATTERNS,
    assert_agrees,
    both_row_modes,
    conditions,
    draw,
    every_backend,
    every_method,
    linear_ode,
    reference_case,
    relative_error,
    tensors,
)
from tests.solver.oracle import NAMES, Arrays
from workbench.solver import Solution, solve
from workbench.solver.rows import constants, residual, rows


def check(case: tuple[Arrays, np.ndarray, np.ndarray], backend: str, method: str) -> Solution:
    a, truth, condition = case
    solution = solve(linear_ode(a), backend=backend, method=method)
    assert_agrees(solution.u, truth, condition, method)
    assert (solution.backend, solution.method) == (backend, method)
    assert tuple(solution.status.shape) == oracle.batch(a)
    assert not solution.status.any()
    return solution


def test_backends_under_test():
    assert {"dense", "banded"} <= set(BACKENDS)


# The oracle itself


@both_row_modes
@pytest.mark.parametrize("seed", range(10))
def test_oracle_solves_its_normal_equations(seed, central):
    for _, system in oracle.systems(draw(seed, central=central)):
        A, b = oracle.matrix(system, oracle.LONG)
        u = oracle.solve_one(system).ravel()
        assert np.max(np.abs(A.T @ (A @ u - b))) <= 1e-12 * np.linalg.norm(A.astype(float)) ** 2 * np.max(np.abs(u))


@both_row_modes
@pytest.mark.parametrize("seed", range(10))
def test_oracle_agrees_with_itself_in_float64(seed, central):
    a = draw(seed, central=central)
    assert np.all(relative_error(oracle.solve(a, precise=False), oracle.solve(a)) <= 1e-10)


def test_oracle_rows_of_a_small_problem():
    """T = 3, K = 2, one variable, unequal steps 2 and 3: the rows of both modes as in SOLVER.md section 1."""
    a = Arrays(
        coefficients=np.array([[[5.0, 6.0]], [[7.0, 8.0]], [[9.0, 10.0]]]).reshape(3, 1, 1, 2),
        forcing=np.array([[1.0], [np.nan], [3.0]]),
        initial=np.array([[[4.0]]]),
        steps=np.array([2.0, 3.0]),
        n_steps=3,
        n_initial=1,
        weight_equation=np.array([[1.0], [0.0], [10.0]]),
        weight_initial=np.full((1, 1, 1), 100.0),
        weight_taylor=np.array([[1.0], [0.5]]),
    )
    data = [[5, 6, 0, 0, 0, 0], [0, 0, 0, 0, 90, 100], [100, 0, 0, 0, 0, 0]]
    order_0 = [[1, 2, -1, 0, 0, 0], [-1, 0, 1, -2, 0, 0], [0, 0, 0.5, 1.5, -0.5, 0], [0, 0, -0.5, 0, 0.5, -1.5]]
    order_1 = [[0, 2, 0, -2, 0, 0], [0, 2, 0, -2, 0, 0], [0, 0, 0, 1.5, 0, -1.5], [0, 0, 0, 1.5, 0, -1.5]]
    central = [[0.2, 0, 0, 1, -0.2, 0]]

    def as_set(A: np.ndarray) -> list[list[float]]:
        return sorted(np.round(A + 0.0, 12).tolist())

    A, b = oracle.matrix(a)
    assert as_set(A) == as_set(np.array(data + order_0 + order_1, float))
    assert b[:3].tolist() == [1, 30, 400]
    assert not b[3:].any()
    A, b = oracle.matrix(replace(a, central=True))
    assert as_set(A) == as_set(np.array(data + order_0 + central, float))
    assert not b[3:].any()


# Agreement


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("seed", range(75))
def test_random_problems(seed, central, method, backend):
    check(reference_case(seed, central), backend, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("K", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("D, E", [(1, 1), (1, 4), (2, 1), (3, 2), (4, 4), (4, 1)])
def test_every_size(D, E, K, central, method, backend):
    """With initial rows at every grid point, few equations suffice."""
    check(reference_case(K, central, D=D, E=E, K=K, T=3, T0=3, K0=K, batch=(2,), h=1.0, gaps=False), backend, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("T0, K0", [(0, 0), (0, 1), (2, 0), (2, 2), (1, 1)])
def test_two_grid_points(T0, K0, K, central, method, backend):
    """The smallest T; central rows add nothing there."""
    case = reference_case(0, central, T=2, K=K, D=1, E=3, T0=T0, K0=K0, batch=(2,), gaps=False)
    check(case, backend, method)


@every_backend
@every_method
@pytest.mark.parametrize("seed", range(5))
def test_one_derivative_with_default_rows(seed, method, backend):
    check(reference_case(seed, False, K=1), backend, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", NAMES)
def test_every_batch_form_of_every_argument(name, pattern, central, method, backend):
    """Two batch dimensions: one argument has all, size 1, none or one of them; the others have all."""
    patterns = tuple((other, pattern if other == name else "full") for other in NAMES)
    sizes = {"T": 5, "K": 2, "D": 2, "E": 2, "T0": 2, "K0": 1, "batch": (2, 3)}
    check(reference_case(1, central, patterns, **sizes, whole=True, scalars=False), backend, method)


@cache
def one_grid_point(names: tuple[str, ...], central: bool, **fixed: Any) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """A problem in which the named arguments have size 1 in time."""
    sizes = {"T": 5, "K": 2, "D": 2, "E": 2, "T0": 3, "K0": 2, "whole": True, "gaps": False}
    a = draw(2, central=central, **sizes, **fixed)

    def first(name: str) -> np.ndarray:
        value = getattr(a, name)
        return np.take(value, [0], axis=value.ndim - len(oracle.trailing(a)[name]))

    a = replace(a, **{name: first(name) for name in names})
    return a, oracle.solve(a), conditions(a)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("only", [True, False], ids=["this one", "all others"])
def test_broadcast_over_time(name, only, central, method, backend):
    """Size 1 in time: one argument, or all but one."""
    names = tuple(other for other in NAMES if (other == name) == only)
    check(one_grid_point(names, central, batch=(2,), scalars=False), backend, method)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("batch", [(), (2,), (2, 2)])
def test_everything_broadcast_over_time(batch, central, method, backend):
    """Only n_steps and n_initial determine the number of grid points."""
    check(one_grid_point(NAMES[:4], central, batch=batch, scalars=True), backend, method)


@cache
def one_left_hand_side(
    left: tuple[int, ...], right: tuple[int, ...], scalars: bool, central: bool
) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """Coefficients, steps and weights of batch shape `left`; forcing and initial values of batch shape `right`."""
    sizes = {"T": 5, "K": 3, "D": 2, "E": 2, "T0": 2, "K0": 2, "h": 0.5, "whole": True, "gaps": False}
    a = draw(4, central=central, batch=left, scalars=scalars, patterns=FULL, **sizes)
    rng = np.random.default_rng(0)
    a = replace(a, forcing=rng.standard_normal((*right, 5, 2)), initial=rng.standard_normal((*right, 2, 2, 2)))
    return a, oracle.solve(a), conditions(a)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("left, right", [((), (5,)), ((1,), (5,)), ((), (2, 3)), ((2, 1), (2, 3)), ((3,), (2, 3))])
@pytest.mark.parametrize("scalars", [True, False], ids=["scalar weights", "tensor weights"])
def test_shared_left_hand_side(scalars, left, right, central, method, backend):
    """One left-hand side with many right-hand sides."""
    check(one_left_hand_side(left, right, scalars, central), backend, method)


@every_backend
@every_method
@both_row_modes
def test_shared_forcing_and_initial(central, method, backend):
    """One right-hand side with many left-hand sides."""
    patterns = tuple((name, "missing" if name in ("forcing", "initial") else "full") for name in NAMES)
    sizes = {"T": 6, "K": 3, "D": 2, "E": 2, "T0": 2, "K0": 2, "batch": (4,)}
    check(reference_case(5, central, patterns, **sizes, whole=True, scalars=False, gaps=False), backend, method)


@cache
def one_step_dropped(central: bool) -> tuple[Arrays, np.ndarray, np.ndarray]:
    """No Taylor rows between grid points 3 and 4, and sufficient data on either side."""
    sizes = {"T": 7, "T0": 7, "D": 1, "E": 2, "K": 2, "K0": 2, "batch": (2,), "h": 0.5, "gaps": False, "whole": True}
    a = draw(11, central=central, patterns=FULL, scalars=False, **sizes)
    weight = a.weight_taylor.copy()
    weight[:, 3] = 0
    a = replace(a, weight_taylor=weight)
    return a, oracle.solve(a), conditions(a)


@every_backend
@every_method
@both_row_modes
def test_a_step_of_weight_zero_separates_the_record(central, method, backend):
    check(one_step_dropped(central), backend, method)


@every_backend
@both_row_modes
@pytest.mark.parametrize("K, h", [(2, 1e-4), (3, 1e-2), (3, 1e-3), (4, 0.03), (5, 0.1), (6, 0.3)])
def test_polynomials_are_exact_for_any_condition_number(K, h, central, backend):
    """A polynomial of degree K-1 satisfies all Taylor and central rows, so its data have zero residual."""
    rng = np.random.default_rng(K)
    T, D, E = 8, 2, 2
    steps = h * rng.uniform(0.5, 1.5, (T - 1,))
    t = np.concatenate([[0.0], np.cumsum(steps)])
    at_zero = rng.standard_normal((D, K))
    u = np.zeros((T, D, K))
    for k in range(K):
        for j in range(k, K):
            u[:, :, k] += at_zero[None, :, j] * t[:, None] ** (j - k) / factorial(j - k)
    coefficients = rng.standard_normal((T, E, D, K))
    forcing = np.einsum("tedk,tdk->te", coefficients, u)
    a = Arrays(coefficients, forcing, u[:2], steps, T, 2, central=central)
    assert_agrees(solve(linear_ode(a), backend=backend, method="qr").u, u, conditions(a), "qr")


@every_backend
@both_row_modes
@pytest.mark.parametrize("K, h", [(2, 1e-3), (3, 1e-3), (3, 1e-4), (4, 1e-3)])
def test_accuracy_at_small_steps(K, h, central, backend):
    """u'' + 0.1 u' + u = 0 (K = 2: 0.1 u' + u = 0), the variable itself."""
    coefficients = np.array([1, 0.1, 1, 0])[:K].reshape(1, 1, 1, K)
    initial = np.eye(1, min(K - 1, 2)).reshape(1, 1, -1)
    a = Arrays(coefficients, np.zeros((1, 1)), initial, np.full((1,), h), 60, 1, central=central)
    u = solve(linear_ode(a), backend=backend, method="qr").u
    assert np.max(np.abs(u[..., 0].numpy() - oracle.solve(a)[..., 0])) <= 1e-12


# The rows used by the derivative


@both_row_modes
@pytest.mark.parametrize("seed", range(20))
def test_rows_are_those_of_the_oracle(seed, central):
    """All inner products of A x, A y, b and A u - b agree, independent of the order of the rows."""
    a = draw(seed, central=central, gaps=False)
    problem, shape = linear_ode(a), oracle.batch(a)
    T, _, _, D, K, _ = oracle.sizes(a)
    x, y = torch.randn(2, *shape, T, D, K, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    values = [rows(problem, x), rows(problem, y), constants(problem), residual(problem, x)]
    ours = torch.stack([value.expand(values[0].shape) for value in values], dim=-1)
    gram = ours.mT @ ours
    for index, system in oracle.systems(a):
        A, b = oracle.matrix(system)
        theirs = np.stack([A @ x[index].ravel().numpy(), A @ y[index].ravel().numpy(), b, b], axis=-1)
        theirs[:, 3] = theirs[:, 0] - b
        np.testing.assert_allclose(gram[index], theirs.T @ theirs, rtol=1e-12, atol=1e-12 * np.sum(theirs**2))


@every_backend
@every_method
@both_row_modes
def test_scalar_tensor_weights(central, method, backend):
    a, truth, condition = reference_case(6, central, scalars=True)
    values = {
        name: torch.tensor(value, dtype=torch.float64) if np.ndim(value) == 0 else value
        for name, value in tensors(a).items()
    }
    assert_agrees(solve(linear_ode(a, values), backend=backend, method=method).u, truth, condition, method)
