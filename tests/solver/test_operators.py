"""The torch.library operators keep what their schemas promise, and the backend protocol what its docstring does."""

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
PROMISES = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
operators = torch.ops.workbench


def arguments(problem: LinearODE, backend: str, method: str) -> tuple[Any, ...]:
    return [*problem.tensors.values()], problem.T, problem.T0, problem.central, backend, method


def leaves(problem: LinearODE) -> list[Tensor]:
    return [x for x in problem.tensors.values() if x.requires_grad]


@every_backend
@pytest.mark.parametrize("method, central", [("qr", False), ("cholesky", True)])
def test_operators_keep_their_promises(central, method, backend):
    """Schema, fake version and derivative agree with what they do, traced ahead of time too."""
    call = arguments(small_problem((3,), central, gradients=True), backend, method)
    torch.library.opcheck(operators.solve.default, ("factor", [], *call), test_utils=PROMISES)
    with torch.no_grad():
        u, _, factor = operators.solve("factor", [], *call)
    torch.library.opcheck(operators.solve.default, ("nothing", factor, *call), test_utils=PROMISES)
    g = u.clone().requires_grad_()
    torch.library.opcheck(operators.normal_solve.default, (g, factor, *call), test_utils=PROMISES)


@every_backend
@every_method
@both_row_modes
@pytest.mark.parametrize("keep", KEEP)
def test_whatever_is_kept_the_rest_is_computed_again(keep, central, method, backend):
    """The shapes are those foretold, nothing is float32, and the adjoint is that of the whole factor."""
    problem = small_problem((3,), central)
    call = arguments(problem, backend, method)
    u, deficient, factor = operators.solve(keep, [], *call)
    shapes = backends.load(backend).factor_shapes(problem, method, keep)
    assert [tuple(x.shape) for x in factor] == [tuple(shape) for shape in shapes]
    assert all(x.dtype == torch.float64 for x in factor)
    assert keep != "nothing" or not factor
    assert not deficient.any()
    whole, _, best = operators.solve("factor", [], *call)
    assert torch.equal(u, whole)
    expected = operators.normal_solve(u, best, *call)
    tolerance = {"rtol": 1e-10, "atol": 1e-12 * float(expected.abs().max())}
    torch.testing.assert_close(operators.normal_solve(u, factor, *call), expected, **tolerance)
    torch.testing.assert_close(operators.normal_solve(u, [], *call), expected, **tolerance)
    torch.testing.assert_close(operators.solve("nothing", factor, *call)[0], u, rtol=1e-10, atol=1e-12)


@every_backend
@every_method
@both_row_modes
def test_a_factor_serves_any_batch_of_right_hand_sides(central, method, backend):
    """It depends on the left-hand side alone: jacobians and `factorize` rest on that."""
    problem = small_problem((3,), central)
    _, _, factor = operators.solve("factor", [], *arguments(problem, backend, method))
    g = torch.stack([problem.coefficients.flatten(2)[..., :6].unflatten(-1, (2, 3)) * i for i in range(5)])
    tensors, *options = arguments(problem, backend, method)
    tensors[1] = tensors[1].expand(5, 3, 6, 2)
    together = operators.normal_solve(g, factor, tensors, *options)
    alone = torch.stack([operators.normal_solve(each, factor, *arguments(problem, backend, method)) for each in g])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-12 * float(alone.abs().max()))


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The backend calls that follow, in order."""
    seen, module = [], backends.TABLE[name]

    def record(problem: LinearODE, method: str, *rest: Any) -> Any:
        seen.append(rest[0] if isinstance(rest[0], str) else "adjoint")
        return (module.solve if isinstance(rest[0], str) else module.normal_solve)(problem, method, *rest)

    monkeypatch.setitem(
        backends.TABLE, name, SimpleNamespace(**vars(module) | {"solve": record, "normal_solve": record})
    )
    return seen


@pytest.mark.parametrize("backend", ["dense", "banded"])
def test_only_what_a_gradient_needs_is_kept(backend, monkeypatch):
    seen = counted(monkeypatch, backend)
    problem, fixed = (small_problem((3,), False, gradients=gradients) for gradients in (True, False))
    solve(fixed, backend=backend)
    with torch.no_grad():
        solve(problem, backend=backend)
    plain = solve(problem, backend=backend).u
    sparing = solve(problem, backend=backend, checkpoint=True).u
    assert seen == ["nothing", "nothing", "factor", "carry"]
    expected, found = (torch.autograd.grad(u.sin().sum(), leaves(problem)) for u in (plain, sparing))
    assert seen[4:] == ["adjoint", "adjoint"]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


# The optional parts of the protocol


def other(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    """A backend "other": banded, with parts of its own."""
    monkeypatch.setitem(backends.TABLE, "other", SimpleNamespace(**vars(backends.banded) | parts))


def forcing_only(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, wanted: list[str]
) -> tuple[Tensor, dict[str, Tensor]]:
    """lam, and the gradient w_e^2 (c lam) of the forcing alone."""
    p = problem.tensors
    assert wanted == [*LAYOUT]
    lam = backends.banded.normal_solve(problem, method, factor, g)
    return lam, {"forcing": p["weights.equation"] ** 2 * torch.einsum("...edk,...dk->...e", p["coefficients"], lam)}


def test_a_fused_product_and_the_plain_derivative_share_the_work(monkeypatch):
    other(monkeypatch, vjp=forcing_only, GRADIENTS=("forcing",))
    problem = small_problem((3,), True, gradients=True)
    expected = torch.autograd.grad(solve(problem, backend="banded").u.sin().sum(), leaves(problem))
    torch.testing.assert_close(
        torch.autograd.grad(solve(problem, backend="other").u.sin().sum(), leaves(problem)), expected
    )
    call = arguments(problem, "other", "qr")
    u, _, factor = operators.solve("factor", [], *call)
    wanted = [True] * len(LAYOUT)
    torch.library.opcheck(
        operators.vjp.default,
        (u.detach(), u.detach(), wanted, factor, [x.detach() for x in call[0]], *call[1:]),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_a_fused_product_is_not_used_where_it_is_to_be_differentiated(monkeypatch):
    def never(*arguments: Any) -> Any:
        raise AssertionError("vjp has no derivative")

    other(monkeypatch, vjp=never)
    problem = small_problem((3,), False, gradients=True)
    torch.autograd.grad(solve(problem, backend="other").u.sin().sum(), leaves(problem), create_graph=True)
    curvature(problem, problem.coefficients.detach(), "other")


def test_a_fused_product_in_compiled_code(monkeypatch):
    other(monkeypatch, vjp=forcing_only, GRADIENTS=("forcing",))
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


def test_a_fused_product_that_keeps_less_than_it_promises(monkeypatch):
    other(monkeypatch, vjp=forcing_only)
    problem = small_problem((3,), False, gradients=True)
    with pytest.raises(RuntimeError, match="other: vjp returned no gradient for coefficients, initial, steps"):
        solve(problem, backend="other").u.sum().backward()


def test_rows_of_its_own(monkeypatch):
    """A backend that counts every row twice, |A u - b|^2 + |A u - b|^2: same u, same gradient."""

    def twice(x: Tensor) -> Tensor:
        return torch.cat([x, x], dim=-1)

    def half(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
        return backends.banded.normal_solve(problem, method, factor, g) / 2

    other(
        monkeypatch,
        rows=lambda problem, x: twice(rows(problem, x)),
        residual=lambda problem, u: twice(residual(problem, u)),
        normal_solve=half,
    )
    problem = small_problem((3,), True, gradients=True)
    for wanted in (leaves(problem), [problem.forcing]):
        found, expected = (
            torch.autograd.grad(solve(problem, backend=name).u.sin().sum(), wanted) for name in ("other", "banded")
        )
        torch.testing.assert_close(found, expected)
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
