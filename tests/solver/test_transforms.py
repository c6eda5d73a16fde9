"""torch.func, torch.compile and torch.autocast over `solve`."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from tests.solver.cases import both_row_modes, every_backend, every_method, randn, small_problem
from workbench.solver import LinearODE, Weights, factorize, solve

T, E, D, K, T0, K0, V = 6, 2, 2, 3, 2, 2, 3
ARGUMENTS = ("coefficients", "forcing", "initial", "steps", "equation")  # one of the weights
Values = tuple[Tensor, ...]


def values(**batch: tuple[int, ...]) -> Values:
    """The five arguments, each with its batch shape."""
    tails = {
        "coefficients": (T, E, D, K),
        "forcing": (T, E),
        "initial": (T0, D, K0),
        "steps": (T - 1,),
        "equation": (T, E),
    }
    drawn = {name: randn(*batch.get(name, ()), *tails[name], seed=seed) for seed, name in enumerate(ARGUMENTS)}
    return tuple(1 + 0.3 * x.sin() if name in ("steps", "equation") else x for name, x in drawn.items())


def solution_function(central: bool, backend: str, method: str) -> Callable[..., Tensor]:
    def u(c: Tensor, r: Tensor, v: Tensor, h: Tensor, w: Tensor) -> Tensor:
        ode = LinearODE(c, r, v, h, weights=Weights(equation=w), central=central)
        return solve(ode, backend=backend, method=method, check=False).u

    return u


def loss(u: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *x: u(*x).sin().sum()


def one_by_one(f: Callable[..., Any], dims: tuple[int | None, ...], x: Values) -> Any:
    """The result of vmap as a loop."""
    results = []
    for i in range(V):
        results.append(f(*(y if dim is None else y.select(dim, i) for y, dim in zip(x, dims, strict=True))))
    if isinstance(results[0], Tensor):
        return torch.stack(results)
    return tuple(map(torch.stack, zip(*results, strict=True)))


def assert_same(ours: Any, theirs: Any) -> None:
    scale = max(float(x.detach().abs().max()) for x in (theirs if isinstance(theirs, tuple) else (theirs,)))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11 * scale)


MAPPED = {
    "all": ((0, 0, 0, 0, 0), {name: (V, 2) for name in ARGUMENTS}),
    "left-hand sides": (
        (0, None, None, 0, 0),
        {"coefficients": (V, 2), "steps": (V,), "equation": (V,), "forcing": (2,)},
    ),
    "right-hand sides": ((None, 0, 0, None, None), {"forcing": (V,), "initial": (V, 4, 2), "coefficients": (2,)}),
    "forcing": ((None, 0, None, None, None), {"forcing": (V, 2)}),
    "another dimension": ((None, 1, None, None, None), {"forcing": (2, V), "coefficients": (4, 1)}),
}
every_map = pytest.mark.parametrize("mapped", MAPPED)


@every_backend
@every_method
@both_row_modes
@every_map
def test_vmap_agrees_with_a_loop(mapped, central, method, backend):
    """Different batch ranks, and every choice of mapped arguments."""
    dims, batch = MAPPED[mapped]
    u, x = solution_function(central, backend, method), values(**batch)
    assert_same(vmap(u, dims)(*x), one_by_one(u, dims, x))


@every_backend
@every_method
@both_row_modes
@every_map
def test_per_sample_gradients(mapped, central, method, backend):
    dims, batch = MAPPED[mapped]
    gradient, x = grad(loss(solution_function(central, backend, method)), tuple(range(5))), values(**batch)
    assert_same(vmap(gradient, dims)(*x), one_by_one(gradient, dims, x))


@every_backend
@every_method
@every_map
def test_gradient_of_a_mapped_solve(mapped, method, backend):
    dims, batch = MAPPED[mapped]
    u, x = solution_function(False, backend, method), tuple(y.requires_grad_() for y in values(**batch))
    expected = torch.autograd.grad(one_by_one(u, dims, x).sin().sum(), x)
    assert_same(torch.autograd.grad(vmap(u, dims)(*x).sin().sum(), x), expected)
    assert_same(grad(loss(vmap(u, dims)), tuple(range(5)))(*x), expected)


@every_backend
@every_method
@both_row_modes
def test_jacobian_and_hessian_under_vmap(central, method, backend):
    u = solution_function(central, backend, method)
    x = values(initial=(V,))

    def of_initial(f: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda v: f(x[0], x[1], v, x[3], x[4])

    def transformed(v: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = jacrev(lambda r: u(x[0], r, v, x[3], x[4]).square())(x[1])
        return jacobian, jacrev(grad(lambda c: loss(u)(c, x[1], v, x[3], x[4])))(x[0])

    def plain(v: Tensor) -> tuple[Tensor, Tensor]:
        jacobian = torch.autograd.functional.jacobian(lambda r: u(x[0], r, v, x[3], x[4]).square(), x[1])
        return jacobian, torch.autograd.functional.hessian(lambda c: loss(u)(c, x[1], v, x[3], x[4]), x[0])

    assert_same(vmap(transformed)(x[2]), tuple(map(torch.stack, zip(*map(plain, x[2]), strict=True))))


@every_backend
def test_nested_vmap(backend):
    u = grad(loss(solution_function(False, backend, "qr")), (0, 1))
    x = values(coefficients=(V, 2), forcing=(V,), initial=(2,))
    inner = vmap(u, (0, None, 0, None, None))
    expected = one_by_one(lambda c, r: inner(c, r, *x[2:]), (0, 0), x[:2])
    assert_same(vmap(inner, (0, 0, None, None, None))(*x), expected)


@every_backend
@every_method
def test_factorization_under_vmap(method, backend):
    problem = small_problem((2,), False)
    factored = factorize(problem, backend=backend, method=method)
    r = randn(V, 2, T, E, seed=5)

    def total(r: Tensor) -> Tensor:
        return factored.solve(r, problem.initial, check=False).u.sin().sum()

    assert_same(vmap(grad(total))(r), torch.stack([grad(total)(each) for each in r]))


def test_checks_are_not_supported_under_vmap():
    x = values(forcing=(V,))
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(lambda r: solve(LinearODE(x[0], r, *x[2:4]), check=True).u)(x[1])


# torch.compile


@pytest.fixture
def fresh_compiler() -> None:
    torch.compiler.reset()


@every_backend
def test_compile_without_a_graph_break(backend, fresh_compiler):
    """Forward and backward pass with fullgraph=True, which raises at a graph break."""
    u, x = solution_function(False, backend, "qr"), tuple(y.requires_grad_() for y in values(forcing=(3,)))
    compiled = torch.compile(loss(u), backend="aot_eager", fullgraph=True)
    expected = loss(u)(*x)
    result = compiled(*x)
    assert_same(result, expected)
    assert_same(torch.autograd.grad(result, x), torch.autograd.grad(expected, x))


def test_compile_with_automatic_backend_and_float32(fresh_compiler):
    def total(r: Tensor) -> Tensor:
        return solve(LinearODE(x[0], r, *x[2:4]), check=False).u.sin().sum()

    x = tuple(y.float() for y in values())
    compiled = torch.compile(total, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x[1]), total(x[1]))


def test_compile_factorization(fresh_compiler):
    problem = small_problem((2,), False)
    factored = factorize(problem)

    def total(r: Tensor) -> Tensor:
        return factored.solve(r, problem.initial, check=False).u.sin().sum()

    r = problem.forcing.clone().requires_grad_()
    compiled = torch.compile(total, backend="aot_eager", fullgraph=True)
    assert_same(torch.autograd.grad(compiled(r), r), torch.autograd.grad(total(r), r))


def test_compile_vmap(fresh_compiler):
    u, (dims, batch) = solution_function(False, "banded", "qr"), MAPPED["right-hand sides"]
    x = tuple(y.requires_grad_() for y in values(**batch))
    compiled = torch.compile(loss(vmap(u, dims)), backend="aot_eager", fullgraph=True)
    assert_same(torch.autograd.grad(compiled(*x), x), torch.autograd.grad(loss(vmap(u, dims))(*x), x))


# torch.autocast


def typed(dtypes: tuple[torch.dtype, ...]) -> LinearODE:
    x = [y.to(dtype) for y, dtype in zip(values(forcing=(3,)), dtypes, strict=True)]
    return LinearODE(*x[:4], weights=Weights(equation=x[4]))


F16, BF16, F32, F64 = torch.float16, torch.bfloat16, torch.float32, torch.float64
MIXED = [(BF16,) * 5, (F16,) * 5, (F16, F32, F32, F32, F32), (F32, BF16, F32, F32, F32), (BF16, BF16, F32, F64, F32)]


@pytest.mark.parametrize("dtypes", MIXED)
def test_autocast_casts_half_precision_and_mixed_dtypes_to_float32(dtypes):
    """Without further rounding; outside autocast they raise."""
    with torch.autocast("cpu", dtype=BF16):
        u = solve(typed(dtypes)).u
    assert u.dtype == F32
    x = [y.to(dtype).float() for y, dtype in zip(values(forcing=(3,)), dtypes, strict=True)]
    torch.testing.assert_close(u, solve(LinearODE(*x[:4], weights=Weights(equation=x[4]))).u, rtol=0, atol=0)
    with pytest.raises(TypeError, match="dtype"):
        typed(dtypes)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_autocast_does_not_change_full_precision(dtype):
    with torch.autocast("cpu", dtype=BF16):
        u = solve(typed((dtype,) * 5)).u
    torch.testing.assert_close(u, solve(typed((dtype,) * 5)).u, rtol=0, atol=0)


def test_autocast_does_not_cast_integers():
    x = values()
    with torch.autocast("cpu", dtype=BF16), pytest.raises(TypeError, match="forcing"):
        LinearODE(x[0], x[1].long(), *x[2:4])


@every_backend
@pytest.mark.parametrize("inside", [True, False])
def test_autocast_gradients(inside, backend):
    """A bfloat16 network before the solver; backward inside and outside of the context."""
    network = torch.nn.Linear(4, E)
    data, x = randn(3, T, 4).float(), [y.float() for y in values()]
    with torch.autocast("cpu", dtype=BF16):
        forcing = network(data)
        assert forcing.dtype == BF16
        u = solve(LinearODE(x[0], forcing, *x[2:4]), backend=backend).u
    rounded = forcing.detach().float().requires_grad_()
    expected = solve(LinearODE(x[0], rounded, *x[2:4]), backend=backend).u
    (upstream,) = torch.autograd.grad(expected.square().sum(), rounded)
    with torch.autocast("cpu", dtype=BF16) if inside else nullcontext():
        (gradient,) = torch.autograd.grad(u.square().sum(), network.bias)
    torch.testing.assert_close(gradient, upstream.sum((0, 1)), rtol=2e-2, atol=2e-2 * float(upstream.abs().max()))


def test_autocast_does_not_affect_the_solver():
    """Derivatives are computed in float64."""
    problem = replace(small_problem((2,), False, gradients=True), weights=Weights())
    expected = torch.autograd.grad(solve(problem).u.sin().sum(), problem.coefficients)
    with torch.autocast("cpu", dtype=BF16):
        gradients = torch.autograd.grad(solve(problem).u.sin().sum(), problem.coefficients)
    torch.testing.assert_close(gradients, expected, rtol=0, atol=0)
