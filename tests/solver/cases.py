"""Pseudo-random problems for the solver tests, and their conversion from numpy arrays to `LinearODE`."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch

from tests.solver import oracle
from tests.solver.oracle import NAMES, Arrays
from workbench.solver import LinearODE, Weights, available

METHODS = ("qr", "cholesky")
# `mnn` solves another problem (with a slack unknown) and has a separate oracle.
BACKENDS = tuple(name for name, reason in available().items() if not reason and name != "mnn")

every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_linear_backend = pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "dense"])  # dense: T^3
every_method = pytest.mark.parametrize("method", METHODS)
both_row_modes = pytest.mark.parametrize("central", [False, True], ids=["default", "central"])
# Plain torch: BLAS and LAPACK select kernels by batch size and alignment, so results of a system are reproducible up to
# rounding only. All other backends are bitwise reproducible.
ROUNDED = ("dense", "banded")
EPS = float(np.finfo(np.float64).eps)
PATTERNS = ("full", "ones", "missing", "first", "last")
FULL = tuple((name, "full") for name in NAMES)
Patterns = tuple[tuple[str, str], ...]  # (argument, batch form) pairs; hashable, unlike a dict


def tolerance(method: str, condition: float) -> float:
    """The permitted relative error: SOLVER.md section 7."""
    if method == "qr":
        return 1e-10 if condition <= 1e5 else 100 * EPS * condition
    return 1e-10 if condition <= 1e3 else 100 * EPS * condition**2


def pattern_shape(batch: tuple[int, ...], pattern: str, tail: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an argument whose batch dimensions are all present, of size 1, missing, or partly present."""
    own = {
        "full": batch,
        "ones": (1,) * len(batch),
        "missing": (),
        "first": batch[:1] + (1,) * (len(batch) - 1),
        "last": batch[1:],
    }[pattern]
    return own + tail


def draw(seed: int, *, central: bool, limit: float = 1e4, patterns: Patterns = (), **fixed: Any) -> Arrays:
    """A random problem of full rank with cond(A) < `limit` for each system.

    `fixed` sets any of T, E, D, K, T0, K0, batch, h (typical step), whole (True: nothing broadcast over time), scalars
    (True: scalar weights, False: tensors) and gaps (False: no dropped rows); `patterns` sets batch forms of arguments.
    """
    return _draw_with_conditions(seed, central, limit, dict(patterns), fixed)[0]


def _draw_with_conditions(
    seed: int, central: bool, limit: float, patterns: dict[str, str], fixed: dict[str, Any]
) -> tuple[Arrays, np.ndarray]:
    """The problem of `draw`, and cond(A) of each of its systems."""
    rng = np.random.default_rng([seed, central])
    for _ in range(500):
        a = _candidate(rng, central, patterns, fixed)
        condition = conditions(a)
        if np.all(condition < limit):
            return a, condition
    raise RuntimeError(f"no problem of full rank with cond(A) < {limit:g} found for seed {seed}, {fixed}")


def _candidate(rng: np.random.Generator, central: bool, patterns: dict[str, str], fixed: dict[str, Any]) -> Arrays:
    def pick(name: str, *choices: Any) -> Any:
        return fixed[name] if name in fixed else choices[rng.integers(len(choices))]

    T, K = pick("T", *range(2, 13)), pick("K", *((2, 3, 4, 5, 6) if central else (1, 2, 2, 3, 3, 4, 5, 6)))
    D = pick("D", *range(1, max(1, min(4, 100 // (T * K))) + 1))
    E, T0, K0 = pick("E", 1, 2, 3, 4), pick("T0", 0, 1, 1, 2, T), pick("K0", *range(K + 1))
    T0 = min(T0, T)
    batch = pick("batch", (), (2,), (3,), (2, 2), (3, 1), (2, 3))
    h = pick("h", 0.05, 0.2, 0.5, 1.0)
    whole, scalars, gaps = pick("whole", True, False), pick("scalars", True, False), pick("gaps", True, False)

    def shape(name: str, *tail: int, time: bool = True) -> tuple[int, ...]:
        pattern = patterns.get(name) or PATTERNS[rng.integers(len(PATTERNS))]
        one_step = time and not whole and tail[0] > 0 and rng.random() < 0.3
        return pattern_shape(batch, pattern, (1, *tail[1:]) if one_step else tail)

    def weight(name: str, *tail: int, drops: bool = False) -> Any:
        if scalars:
            return float(rng.uniform(0.5, 2))
        ones = [1 if rng.random() < 0.3 and not whole and size else size for size in tail[1:]]
        values = rng.uniform(0.5, 2, shape(name, tail[0], *ones))
        return np.where(rng.random(values.shape) < 0.15, 0.0, values) if drops and gaps else values

    a = Arrays(
        coefficients=rng.standard_normal(shape("coefficients", T, E, D, K)),
        forcing=rng.standard_normal(shape("forcing", T, E)),
        initial=rng.standard_normal(shape("initial", T0, D, K0)),
        steps=h * rng.uniform(0.5, 1.5, shape("steps", T - 1)),
        n_steps=T,
        n_initial=T0,
        weight_equation=weight("weight_equation", T, E, drops=True),
        weight_initial=weight("weight_initial", T0, D, K0, drops=True),
        weight_taylor=weight("weight_taylor", T - 1, D),
        central=central,
    )
    a = replace(
        a,
        forcing=with_gaps(a.forcing, a.weight_equation, T, E),
        initial=with_gaps(a.initial, a.weight_initial, T0, D, K0),
    )
    assert oracle.sizes(a) == (T, T0, E, D, K, K0)
    return a


def with_gaps(data: np.ndarray, weight: Any, *tail: int) -> np.ndarray:
    """The data with NaN at entries whose rows are all dropped."""
    if np.ndim(weight) == 0 or data.size == 0:
        return data
    own = data.shape[: data.ndim - len(tail)]
    weight = np.asarray(weight)
    common = np.broadcast_shapes(own, weight.shape[: weight.ndim - len(tail)])
    read = np.broadcast_to(weight, common + tail) != 0
    extra = tuple(range(len(common) - len(own)))
    read = read.any(axis=extra)
    for axis, size in enumerate(data.shape):
        if size == 1:
            read = read.any(axis=axis, keepdims=True)
    return np.where(read, data, np.nan)


def tensors(a: Arrays, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """The seven arguments as torch tensors; scalar weights unchanged."""
    return {
        name: value if np.ndim(value) == 0 else torch.tensor(np.asarray(value), dtype=dtype)
        for name in NAMES
        for value in [getattr(a, name)]
    }


def linear_ode(a: Arrays, values: dict[str, Any] | None = None) -> LinearODE:
    """The problem as `LinearODE`; `values` replaces the tensors, for instance by ones that require gradients."""
    v = tensors(a) if values is None else values
    return LinearODE(
        v["coefficients"],
        v["forcing"],
        v["initial"],
        v["steps"],
        weights=Weights(equation=v["weight_equation"], initial=v["weight_initial"], taylor=v["weight_taylor"]),
        central=a.central,
        n_steps=a.n_steps,
        n_initial=a.n_initial,
    )


def conditions(a: Arrays) -> np.ndarray:
    """cond(A) of each system of the batch."""
    values = np.empty(oracle.batch(a))
    for index, system in oracle.systems(a):
        values[index] = oracle.condition(system)
    return values


@cache
def reference_case(seed: int, central: bool, patterns: Patterns = (), **fixed: Any) -> tuple[Any, Any, Any]:
    """A random problem, the solution of the oracle, and cond(A) of each system; cached over backends."""
    a, condition = _draw_with_conditions(seed, central, 1e4, dict(patterns), fixed)
    return a, oracle.solve(a), condition


def assert_agrees(u: torch.Tensor, truth: np.ndarray, condition: np.ndarray, method: str) -> None:
    """The error of every system is within the tolerance for its condition number."""
    assert tuple(u.shape) == truth.shape
    error, allowed = relative_error(u, truth), np.vectorize(partial(tolerance, method))(condition)
    assert np.all(error <= allowed), f"{method}: relative errors {error}, allowed {allowed}, cond(A) {condition}"


def assert_same(ours: torch.Tensor, expected: torch.Tensor, backend: str, tolerance: float = 1e-10) -> None:
    """Bitwise equality, except for `dense`: LAPACK may depend on the number of threads and systems."""
    if backend == "dense":
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance * float(expected.abs().max()))
    else:
        assert torch.equal(ours, expected)


def relative_error(u: torch.Tensor | np.ndarray, truth: np.ndarray) -> np.ndarray:
    """|u - truth| / |truth| of each system, in the 2-norm over (T, D, K)."""
    difference = np.asarray(u.detach() if isinstance(u, torch.Tensor) else u).astype(truth.dtype) - truth

    def norm(x: np.ndarray) -> np.ndarray:
        return np.sqrt(np.sum(np.square(x), axis=(-3, -2, -1)))

    return (norm(difference) / norm(truth)).astype(np.float64)


# Problems as torch tensors, for tests without the oracle


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def small_problem(batch: tuple[int, ...], central: bool, *, seed: int = 0, gradients: bool = False) -> LinearODE:
    """T = 6, E = D = 2, K = 3, T0 = K0 = 2, all arguments with the same batch; cond(A) about 30."""

    def leaf(x: torch.Tensor) -> torch.Tensor:
        return x.requires_grad_(gradients)

    def positive(*shape: int) -> torch.Tensor:
        return leaf(1 + 0.3 * randn(*shape, seed=seed).sin())

    weights = Weights(positive(*batch, 6, 2), positive(*batch, 2, 2, 2), positive(*batch, 5, 2))
    data = leaf(randn(*batch, 6, 2, seed=seed)), leaf(randn(*batch, 2, 2, 2, seed=seed))
    coefficients = leaf(randn(*batch, 6, 2, 2, 3, seed=seed))
    return LinearODE(coefficients, *data, positive(*batch, 5), weights=weights, central=central)


def oscillator(h: float, T: int) -> LinearODE:
    """u'' + 0.1 u' + u = 0, u(0) = 1, u'(0) = 0, K = 3."""
    coefficients = torch.tensor([[[[1.0, 0.1, 1.0]]]], dtype=torch.float64)
    forcing, initial = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    return LinearODE(coefficients, forcing, initial, torch.full((1,), h, dtype=torch.float64), n_steps=T)


def derivatives(u: torch.Tensor, leaves: list[torch.Tensor]) -> list[torch.Tensor]:
    """First derivatives of the sum of sin u, and those of the sum of their squares."""
    first = torch.autograd.grad(u.sin().sum(), leaves, create_graph=True)
    return [*first, *torch.autograd.grad(sum(x.square().sum() for x in first), leaves)]
