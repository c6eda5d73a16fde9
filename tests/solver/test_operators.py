"""The torch.library operators and the interface of backends (`workbench.solver.backends.base`)."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.solver.cases import both_row_modes, every_backend, every_method, small_problem
from workbench.solver import LinearODE, backends, solve
from workbench.solver.rows import residual, rows
from workbench.solver.shapes import LAYOUT

KEEP = ("nothing", "factor", "carry")
OPCHECKS = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
operators = torch.ops.workbench


def arguments(problem: LinearODE, backend: str, method: str) -> tuple[Any, ...]:
    return [*problem.tensors.values()], problem.T, problem.T0, problem.central, backend, method


def leaves(problem: LinearODE) -> list[Tensor]:
    return [x for x in problem.tensors.values() if x.requires_grad]


@every_backend
@pytest.mark.parametrize("method, central", [("qr", False), ("cholesky", True)])
def test_operators_pass_opcheck(central, method, backend):
    """Schemas, fake versions and derivatives are consistent, also under ahead-of-time tracing."""
    call = arguments(small_problem((3,), central, gradients=True), backend, method)
    torch.library.opcheck(operators.solve.default, ("factor", [], *call), test_utils=OPCHECKS)
    with torch.no_grad():
        u, _, factor = operators.solve("factor", [], *call)
    torch.library.opcheck(operators.solve.default, ("nothing", factor, *call), test_utils=OPCHECKS)
    g = u.clone().requires_grad_()
    torch.library.opcheck(operators.normal_solve.default, (g, factor, *call), test_utils=OPCHECKS)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("keep", KEEP)
def test_missing_parts_of_the_factor_are_recomputed(keep, central, method, backend):
    """The factor has the declared shapes in float64, and the adjoint is that of the whole factor."""
    problem = small_problem((3,), central)
    call = arguments(problem, backend, method)
    u, deficient, factor = operators.solve(keep, [], *call)
    shapes = backends.load(backend).factor_shapes(problem, method, keep)
    assert [tuple(x.shape) for x in factor] == [tuple(shape) for shape in shapes]
    assert all(x.dtype == torch.float64 for x in factor)
    assert keep != "nothing" or not factor
    assert not deficient.any()
    other_u, _, whole = operators.solve("factor", [], *call)
    assert torch.equal(u, other_u)
    expected = operators.normal_solve(u, whole, *call)
    tolerance = {"rtol": 1e-10, "atol": 1e-12 * float(expected.abs().max())}
    torch.testing.assert_close(operators.normal_solve(u, factor, *call), expected, **tolerance)
    torch.testing.assert_close(operators.normal_solve(u, [], *call), expected, **tolerance)
    torch.testing.assert_close(operators.solve("nothing", factor, *call)[0], u, rtol=1e-10, atol=1e-12)


@every_backend
@every_method
@both_row_modes
def test_a_factor_is_independent_of_the_right_hand_sides(central, method, backend):
    """Jacobians and `factorize` rely on this."""
    problem = small_problem((3,), central)
    _, _, factor = operators.solve("factor", [], *arguments(problem, backend, method))
    g = torch.stack([problem.coefficients.flatten(2)[..., :6].unflatten(-1, (2, 3)) * i for i in range(5)])
    tensors, *options = arguments(problem, backend, method)
    tensors[1] = tensors[1].expand(5, 3, 6, 2)
    together = operators.normal_solve(g, factor, tensors, *options)
    alone = torch.stack([operators.normal_solve(each, factor, *arguments(problem, backend, method)) for each in g])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12 * float(alone.abs().max()))


def recorded_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """A list that collects the later calls of the backend."""
    calls, module = [], backends.TABLE[name]

    def record(problem: LinearODE, method: str, *rest: Any) -> Any:
        calls.append(rest[0] if isinstance(rest[0], str) else "adjoint")
        return (module.solve if isinstance(rest[0], str) else module.normal_solve)(problem, method, *rest)

    monkeypatch.setitem(
        backends.TABLE, name, SimpleNamespace(**vars(module) | {"solve": record, "normal_solve": record})
    )
    return calls


@pytest.mark.parametrize("backend", ["dense", "banded"])
def test_a_factor_is_kept_only_for_gradients(backend, monkeypatch):
    calls = recorded_calls(monkeypatch, backend)
    problem, fixed = (small_problem((3,), False, gradients=gradients) for gradients in (True, False))
    solve(fixed, backend=backend)
    with torch.no_grad():
        solve(problem, backend=backend)
    plain = solve(problem, backend=backend).u
    checkpointed = solve(problem, backend=backend, checkpoint=True).u
    assert calls == ["nothing", "nothing", "factor", "carry"]
    expected, actual = (torch.autograd.grad(u.sin().sum(), leaves(problem)) for u in (plain, checkpointed))
    assert calls[4:] == ["adjoint", "adjoint"]
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


# The optional members of a backend


def register_other(monkeypatch: pytest.MonkeyPatch, **members: Any) -> None:
    """Register a backend "other": banded with replaced members."""
    monkeypatch.setitem(backends.TABLE, "other", SimpleNamespace(**vars(backends.banded) | members))


def forcing_only(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, names: list[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """lam, and the gradient w_e^2 (c lam) of the forcing alone."""
    p = problem.tensors
    assert names == [*LAYOUT]
    lam = backends.banded.normal_solve(problem, method, factor, g)
    return lam, {"forcing": p["weights.equation"] ** 2 * torch.einsum("...edk,...dk->...e", p["coefficients"], lam)}


def test_vjp_is_combined_with_the_derivative_of_the_rows(monkeypatch):
    register_other(monkeypatch, vjp=forcing_only, GRADIENTS=("forcing",))
    problem = small_problem((3,), True, gradients=True)
    expected = torch.autograd.grad(solve(problem, backend="banded").u.sin().sum(), leaves(problem))
    torch.testing.assert_close(
        torch.autograd.grad(solve(problem, backend="other").u.sin().sum(), leaves(problem)), expected
    )
    call = arguments(problem, "other", "qr")
    u, _, factor = operators.solve("factor", [], *call)
    needs_grad = [True] * len(LAYOUT)
    torch.library.opcheck(
        operators.vjp.default,
        (u.detach(), u.detach(), needs_grad, factor, [x.detach() for x in call[0]], *call[1:]),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_vjp_is_not_used_if_it_would_be_differentiated(monkeypatch):
    def never(*arguments: Any) -> Any:
        raise AssertionError("vjp has no derivative")

    register_other(monkeypatch, vjp=never)
    problem = small_problem((3,), False, gradients=True)
    torch.autograd.grad(solve(problem, backend="other").u.sin().sum(), leaves(problem), create_graph=True)
    curvature(problem, problem.coefficients.detach(), "other")


def test_vjp_in_compiled_code(monkeypatch):
    register_other(monkeypatch, vjp=forcing_only, GRADIENTS=("forcing",))
    problem = small_problem((3,), False, gradients=True)
    names = ("coefficients", "forcing", "initial", "steps")

    def loss(*values: Tensor) -> Tensor:
        return solve(LinearODE(*values, weights=problem.weights), backend="other", check=False).u.sin().sum()

    values = [getattr(problem, name) for name in names]
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(
        torch.autograd.grad(compiled(*values), leaves(problem)), torch.autograd.grad(loss(*values), leaves(problem))
    )


def test_vjp_with_missing_gradients_raises(monkeypatch):
    register_other(monkeypatch, vjp=forcing_only)
    problem = small_problem((3,), False, gradients=True)
    with pytest.raises(RuntimeError, match="other: vjp returned no gradient for coefficients, initial, steps"):
        solve(problem, backend="other").u.sum().backward()


def test_a_backend_with_different_rows(monkeypatch):
    """A backend that minimises 2 |A u - b|^2: same u, same gradients."""

    def twice(x: Tensor) -> Tensor:
        return torch.cat([x, x], dim=-1)

    def half(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
        return backends.banded.normal_solve(problem, method, factor, g) / 2

    register_other(
        monkeypatch,
        rows=lambda problem, x: twice(rows(problem, x)),
        residual=lambda problem, u: twice(residual(problem, u)),
        normal_solve=half,
    )
    problem = small_problem((3,), True, gradients=True)
    for inputs in (leaves(problem), [problem.forcing]):
        actual, expected = (
            torch.autograd.grad(solve(problem, backend=name).u.sin().sum(), inputs) for name in ("other", "banded")
        )
        torch.testing.assert_close(actual, expected)
    one, two = (
        torch.func.grad(lambda c, name=name: curvature(problem, c, name))(problem.coefficients.detach())
        for name in ("other", "banded")
    )
    torch.testing.assert_close(one, two)


def curvature(problem: LinearODE, c: Tensor, backend: str) -> Tensor:
    def loss(c: Tensor) -> Tensor:
        return (
            solve(LinearODE(c, problem.forcing, problem.initial, problem.steps, central=True), backend=backend)
            .u.sin()
            .sum()
        )

    return torch.func.grad(loss)(c).square().sum()
