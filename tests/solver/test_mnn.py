"""The backend `mnn`: the original problem with a slack in all Taylor and central rows, against a separate oracle."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.solver import oracle
from tests.solver.cases import EPS, FULL, PATTERNS, assert_agrees, draw, linear_ode, relative_error, tensors
from tests.solver.oracle import NAMES, Arrays
from tests.solver.oracle import mnn as oracle_mnn
from workbench.solver import LinearODE, RankDeficient, Status, Weights, available, backends, factorize, solve
from workbench.solver.backends import TABLE, mnn, select


def answer(problem: LinearODE, **options: Any) -> torch.Tensor:
    return solve(problem, backend="mnn", method="cholesky", **options).u


@cache
def reference_case(seed: int, **fixed: Any) -> tuple[Arrays, np.ndarray, np.ndarray, np.ndarray]:
    """A random problem, u and alpha of the oracle, and the condition number of each system."""
    a = draw(seed, central=True, **fixed)
    return a, *oracle_mnn.solve(a), oracle_mnn.conditions(a)


def check(case: tuple[Arrays, np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Compare u from `solve`, and u and alpha from `minimise`, with the oracle."""
    a, truth, slack, condition = case
    assert_agrees(answer(linear_ode(a)), truth, condition, "cholesky")
    u, alpha = mnn.minimise(linear_ode(a))
    assert_agrees(u, truth, condition, "cholesky")
    tolerance = np.maximum(1e-10, 100 * EPS * condition**2) * np.sqrt(np.square(truth).sum((-3, -2, -1)))
    assert np.all(np.abs(alpha.numpy() - slack) <= tolerance)


# The oracle itself


def test_oracle_rows_of_a_small_problem():
    """T = 3, K = 2, one variable, unequal steps 2 and 3: the slack in the four Taylor rows and in the central row."""
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
        central=True,
    )
    data = [[5, 6, 0, 0, 0, 0, 0], [0, 0, 0, 0, 90, 100, 0], [100, 0, 0, 0, 0, 0, 0]]
    smooth = [
        [1, 2, -1, 0, 0, 0, 1],
        [-1, 0, 1, -2, 0, 0, 1],
        [0, 0, 0.5, 1.5, -0.5, 0, 1],
        [0, 0, -0.5, 0, 0.5, -1.5, 1],
        [0.2, 0, 0, 1, -0.2, 0, 1],
    ]
    A, b = oracle_mnn.matrix(a)
    assert sorted(np.round(A + 0.0, 12).tolist()) == sorted(np.array(data + smooth, float).tolist())
    assert b[:3].tolist() == [1, 30, 400]
    assert not b[3:].any()


def test_the_slack_changes_the_solution():
    a, truth, slack, _ = reference_case(3)
    assert np.all(np.abs(slack) > 1e-6)
    assert np.all(relative_error(oracle.solve(a), truth) > 1e-6)


# Agreement


@pytest.mark.parametrize("seed", range(40))
def test_random_problems(seed):
    check(reference_case(seed))


@pytest.mark.parametrize("K", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("D, E", [(1, 1), (1, 4), (2, 1), (3, 2), (4, 4), (4, 1)])
def test_every_size(D, E, K):
    """Initial rows at every grid point, so that few equations suffice."""
    check(reference_case(K, D=D, E=E, K=K, T=3, T0=3, K0=K, batch=(2,), h=1.0, gaps=False))


@pytest.mark.parametrize("T0, K0", [(0, 0), (0, 1), (2, 0), (2, 2), (1, 1)])
def test_two_grid_points(T0, K0):
    """The smallest T has no central rows."""
    check(reference_case(0, T=2, K=2, D=1, E=3, T0=T0, K0=K0, batch=(2,), gaps=False))


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", NAMES)
def test_every_batch_form_of_every_argument(name, pattern):
    patterns = tuple((other, pattern if other == name else "full") for other in NAMES)
    sizes = {"T": 5, "K": 2, "D": 2, "E": 2, "T0": 2, "K0": 1, "batch": (2, 3)}
    check(reference_case(1, patterns=patterns, **sizes, whole=True, scalars=False))


@pytest.mark.parametrize("left, right", [((), (5,)), ((2, 1), (2, 3)), ((4,), ())])
def test_shared_sides(left, right):
    """Many right-hand sides per left-hand side, and vice versa."""
    sizes = {"T": 5, "K": 3, "D": 2, "E": 2, "T0": 2, "K0": 2, "h": 0.5, "whole": True, "gaps": False}
    a = draw(4, central=True, batch=left, scalars=False, patterns=FULL, **sizes)
    rng = np.random.default_rng(0)
    a = replace(a, forcing=rng.standard_normal((*right, 5, 2)), initial=rng.standard_normal((*right, 2, 2, 2)))
    check((a, *oracle_mnn.solve(a), oracle_mnn.conditions(a)))


@pytest.mark.parametrize("seed", range(10))
def test_linear_term_of_the_slack(seed):
    """gamma of either sign, one per system."""
    a, _, _, condition = reference_case(seed)
    gamma = 10 * np.random.default_rng(seed).standard_normal(oracle.batch(a))
    expected, slack = oracle_mnn.solve_with_gamma(a, gamma)
    u, alpha = mnn.minimise(linear_ode(a), torch.as_tensor(gamma))
    assert_agrees(u, expected, condition, "cholesky")
    size = np.sqrt(np.square(expected).sum((-3, -2, -1))) + np.abs(slack)
    assert np.all(np.abs(alpha.numpy() - slack) <= np.maximum(1e-10, 100 * EPS * condition**2) * size)


def test_scalar_gamma():
    a = reference_case(1)[0]
    each = mnn.minimise(linear_ode(a), torch.full(oracle.batch(a), 0.5, dtype=torch.float64))
    torch.testing.assert_close(mnn.minimise(linear_ode(a), 0.5), each)


def test_float32():
    a = draw(2, central=True, limit=1e2, gaps=False, scalars=False)
    a = replace(a, **{name: np.float32(getattr(a, name)) for name in NAMES})
    single, double = linear_ode(a, tensors(a, torch.float32)), linear_ode(a, tensors(a, torch.float64))
    for ours, expected in zip(
        (answer(single), *mnn.minimise(single)), (answer(double), *mnn.minimise(double)), strict=True
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), expected, rtol=1e-6, atol=1e-6)


# Gradients


def small() -> tuple[Arrays, list[torch.Tensor]]:
    """A well-conditioned problem of two systems with shared steps, and its arguments as leaves."""
    patterns = tuple((name, "missing" if name == "steps" else "full") for name in NAMES)
    sizes = {"T": 4, "K": 3, "D": 2, "E": 2, "T0": 2, "K0": 1, "batch": (2,), "h": 0.5, "whole": False}
    a = draw(7, central=True, limit=100, patterns=patterns, scalars=False, gaps=False, **sizes)
    return a, [value.requires_grad_() for value in tensors(a).values()]


def by_solve(a: Arrays, values: Any, **options: Any) -> torch.Tensor:
    return answer(linear_ode(a, dict(zip(NAMES, values, strict=True))), **options)


def test_gradients_against_finite_differences_of_the_oracle():
    a, values = small()
    rng = np.random.default_rng(0)
    u = by_solve(a, values)
    upstream = rng.standard_normal(u.shape)
    gradients = torch.autograd.grad(u, values, torch.as_tensor(upstream))
    s = oracle.LONG(1e-4)
    for name, gradient in zip(NAMES, gradients, strict=True):
        value, direction = getattr(a, name).astype(oracle.LONG), rng.standard_normal(gradient.shape)

        def loss(shift: Any, name: str = name, value: Any = value, direction: Any = direction) -> Any:
            return np.sum(upstream * oracle_mnn.solve(replace(a, **{name: value + shift * direction}))[0])

        derivative = (8 * (loss(s) - loss(-s)) - (loss(2 * s) - loss(-2 * s))) / (12 * s)
        terms = gradient.numpy() * direction
        assert abs(terms.sum() - float(derivative)) <= 1e-9 * np.abs(terms).sum(), name


def test_second_derivative():
    a, values = small()
    generator = torch.Generator().manual_seed(0)
    upstream = torch.randn(2, 4, 2, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    assert gradgradcheck(lambda *each: by_solve(a, each), values, (upstream,), atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("names", [NAMES, ("forcing",), ("initial",), ("steps",)])
@pytest.mark.parametrize("options", [{}, {"checkpoint": True}, {"check": False}])
def test_gradients_of_solve_and_minimise_agree(options, names):
    """`solve` uses the operators, `minimise` plain torch."""
    a, values = small()
    values = [value.requires_grad_(name in names) for name, value in zip(NAMES, values, strict=True)]
    inputs = [value for value in values if value.requires_grad]
    u, _ = mnn.minimise(linear_ode(a, dict(zip(NAMES, values, strict=True))))
    expected = torch.autograd.grad(u.square().sum(), inputs)
    gradients = torch.autograd.grad(by_solve(a, values, **options).square().sum(), inputs)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10 * float(theirs.abs().max()))


def test_gradients_to_gamma():
    a, values = small()
    gamma = torch.tensor([0.3, -2.0], dtype=torch.float64, requires_grad=True)

    def both(gamma: torch.Tensor, *each: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return mnn.minimise(linear_ode(a, dict(zip(NAMES, each, strict=True))), gamma)

    assert gradcheck(both, (gamma, *values), atol=1e-7, rtol=1e-6, fast_mode=True)


# The operators


def test_operators():
    """Schemas, fake versions and derivatives are consistent, and a missing factor is recomputed."""
    a, values = small()
    problem = linear_ode(a, dict(zip(NAMES, values, strict=True)))
    call = ([*problem.tensors.values()], problem.T, problem.T0, True, "mnn", "cholesky")
    tests = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
    torch.library.opcheck(torch.ops.workbench.solve.default, ("factor", [], *call), test_utils=tests)
    with torch.no_grad():
        u, _, factor = torch.ops.workbench.solve("factor", [], *call)
        for keep in ("nothing", "carry"):
            torch.testing.assert_close(torch.ops.workbench.solve(keep, [], *call)[0], u)
        adjoint = torch.ops.workbench.normal_solve(u, factor, *call)
        torch.testing.assert_close(torch.ops.workbench.normal_solve(u, [], *call), adjoint)


def test_one_factor_for_many_right_hand_sides():
    a = reference_case(4, T=5, batch=(2,), gaps=False, whole=True)[0]
    problem = linear_ode(a)
    factored = factorize(problem, backend="mnn", method="cholesky")
    forcing, initial = problem.forcing.expand(3, 2, *problem.forcing.shape[-2:]) + 1, -problem.initial
    expected = answer(replace(problem, forcing=forcing, initial=initial))
    torch.testing.assert_close(factored.solve(forcing, initial).u, expected, rtol=1e-10, atol=1e-10)


# Unsupported problems


def oscillator(central: bool = True, K: int = 3, h: float = 0.1, n_steps: int = 5) -> LinearODE:
    """u'' + u = 1, u(0) = u'(0) = 1."""
    coefficients = torch.zeros(1, 1, 1, K, dtype=torch.float64)
    coefficients[..., 0] = coefficients[..., 2] = 1
    one, step = torch.ones(1, 1, 2, dtype=torch.float64), torch.tensor([h], dtype=torch.float64)
    return LinearODE(coefficients, one[0, :, :1], one, step, central=central, n_steps=n_steps)


def test_mnn_is_never_selected_automatically(monkeypatch):
    assert available()["mnn"] == ""
    assert list(TABLE)[-1] == "mnn"
    assert solve(oscillator(), method="cholesky").backend != "mnn"
    monkeypatch.setattr(backends, "TABLE", {"mnn": TABLE["mnn"]})
    assert select(oscillator(), "mnn", "cholesky") == "mnn"
    with pytest.raises(ValueError, match=r"backend: 'auto' cannot solve this problem: mnn: .*another problem.*by name"):
        select(oscillator(), "auto", "cholesky")


def test_default_rows_are_unsupported():
    with pytest.raises(ValueError, match=r"backend: 'mnn' cannot solve .*central rows: expected central=True"):
        answer(oscillator(central=False))
    with pytest.raises(ValueError, match=r"backend: 'mnn' cannot solve .*central rows: expected central=True"):
        mnn.minimise(oscillator(central=False))


def test_qr_is_unsupported():
    with pytest.raises(ValueError, match=r"backend: 'mnn' cannot solve .*expected method 'cholesky', found 'qr'"):
        solve(oscillator(), backend="mnn")


def test_long_records_are_unsupported():
    """A dense matrix of 1.6 TB raises; no other backend is recommended, since it would solve another problem."""
    with pytest.raises(ValueError, match=r"backend: 'mnn' cannot solve this problem: mnn: .* GiB \(limit \d+\)$"):
        answer(oscillator(n_steps=200_000))


@pytest.mark.parametrize("call", [answer, mnn.minimise])
def test_invalid_values_are_named(call):
    problem = replace(oscillator(), steps=torch.tensor([0.1, 0.1, -0.1, 0.1], dtype=torch.float64))
    with pytest.raises(ValueError, match=r"^steps: expected a positive, finite step at grid point 2"):
        call(problem)


@pytest.mark.parametrize("call", [answer, mnn.minimise])
@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_an_undetermined_variable_is_named(n_rows, call):
    """In system 1 of 3, variable 1 has no equation and initial rows for n_rows derivatives."""
    coefficients = torch.zeros(3, 1, 2, 2, 3, dtype=torch.float64)
    coefficients[:, 0, [0, 1], [0, 1], 0] = coefficients[:, 0, [0, 1], [0, 1], 2] = 1
    coefficients[1, :, 1] = 0
    weight = torch.ones(3, 1, 2, 2, dtype=torch.float64)
    weight[1, :, 1, n_rows:] = 0
    one, step = torch.ones(1, 2, 2, dtype=torch.float64), torch.full((1,), 0.5, dtype=torch.float64)
    weights = Weights(initial=weight)
    problem = LinearODE(coefficients, one[0, :1], one, step, weights=weights, central=True, n_steps=8)
    with pytest.raises(RankDeficient, match=r"batch index \(1,\).*derivative [012] of variable 1\b") as caught:
        call(problem)
    assert "qr" not in str(caught.value)
    solution = solve(problem, backend="mnn", method="cholesky", check=False)
    assert solution.status.tolist() == [Status.OK, Status.RANK_DEFICIENT, Status.OK]
    assert solution.u.isnan().flatten(1).all(1).tolist() == [False, True, False]


@pytest.mark.parametrize("weight", [1e-8, 1e-6, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("K", [3, 4, 5])
@pytest.mark.parametrize("h", [1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10])
def test_mnn_raises_or_is_accurate(h, K, weight):
    """If the normal equations break down, it raises instead of returning inaccurate values or NaN."""
    problem = replace(oscillator(K=K, h=h, n_steps=20), weights=Weights(equation=weight))
    coefficients = problem.coefficients.numpy()
    a = Arrays(coefficients, np.ones((1, 1)), np.ones((1, 1, 2)), np.array([h]), 20, 1, weight, central=True)
    try:
        u = answer(problem)[..., 0]
    except RankDeficient:
        assert oracle_mnn.conditions(a) > 1e5
    else:
        expected = oracle_mnn.solve(a)[0][..., 0].astype(float)
        np.testing.assert_allclose(u.numpy(), expected, rtol=0, atol=2e-3 * np.abs(expected).max())
