"""`solve`: one entry for every backend, and the derivative written once.

u = argmin 1/2 |A u - b|^2. With upstream gradient g and lam = (A^T A)^-1 g, the vector-Jacobian product for every
input is the gradient, u and lam held constant, of phi = -<A lam, A u - b>: stationarity A^T (A u - b) = 0 is
differentiated, and the rows of `workbench.solver.rows` are all that has to be known of A and b. lam itself is
`normal_solve`, differentiable the same way: with upstream k and mu = (A^T A)^-1 k, the gradient to g is mu, and to
the problem that of -<A mu, A lam>. Both are torch.library operators, so that automatic differentiation of any order
sees two opaque, linear-algebra-free steps.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from workbench.solver import checks
from workbench.solver.backends import load, select
from workbench.solver.problem import LAYOUT, LinearODE, Weights
from workbench.solver.rows import data_constants, data_rows, residual, rows
from workbench.solver.solution import Solution

_N = len(LAYOUT)


def solve(problem: LinearODE, *, backend: str = "auto", method: str = "qr", check: bool = True) -> Solution:
    """u (B, T, D, K) minimising the sum of squares of the rows of `problem`, differentiable in every tensor of it.

    backend: "auto" (the fastest that can serve) or a name of `workbench.solver.available()`.
    method: "qr" (orthogonal, accurate) or "cholesky" (normal equations, the published way: less work, squared
    conditioning).
    check: look at the values and raise; with False nothing waits for the device and `Solution.status` tells per system.
    float32 problems are solved in float64 and returned in float32.

    Raises ValueError for a backend or method that is unknown or cannot serve, with its reason; with `check`,
    ValueError for non-finite values, steps <= 0 and weights < 0, naming argument, batch index and grid point, and
    RankDeficient where the rows do not determine every unknown.
    Source: "Scalable Mechanistic Neural Networks", ICLR 2025; the sweep in the innovation is this project's own.
    """
    name = select(problem, backend, method)
    if check:
        checks.require_good_values(problem)
    wide = problem.to(torch.float64)
    u, deficient, _ = torch.ops.workbench.solve(list(wide.tensors.values()), *_options(problem), name, method)
    if check:
        checks.require_full_rank(problem, deficient, method)
        status = torch.zeros(problem.batch, dtype=torch.int8, device=problem.device)
    else:
        status = checks.status(problem, deficient).expand(problem.batch)
        u = torch.where((status == 0)[..., None, None, None], u, torch.nan)
    return Solution(u.to(problem.dtype), status, name, method)


def _options(problem: LinearODE) -> tuple[int, int, bool]:
    return problem.T, problem.T0, problem.central


def _problem(tensors: list[Tensor], n_steps: int, n_initial: int, central: bool) -> LinearODE:
    """The problem again, from what crossed the operator's boundary."""
    c, r, v, h, we, wi, ws = tensors
    return LinearODE(c, r, v, h, weights=Weights(we, wi, ws), central=central, n_steps=n_steps, n_initial=n_initial)


# The operators: a schema, what they do, what shape that has. (`torch.library.custom_op` says it in one decorator, and
# loads the compiler at the first call: more than a second.)

_OPTIONS = "Tensor[] tensors, int n_steps, int n_initial, bool central, str backend, str method"
torch.library.define("workbench::solve", f"({_OPTIONS}) -> (Tensor u, Tensor deficient, Tensor[] factor)")
torch.library.define("workbench::normal_solve", f"(Tensor g, Tensor[] factor, {_OPTIONS}) -> Tensor")


@torch.library.impl("workbench::solve", "CompositeExplicitAutograd")
def _solve(
    tensors: list[Tensor], n_steps: int, n_initial: int, central: bool, backend: str, method: str
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u, the rank indicator and the factor of a problem; see `workbench.solver.backends`."""
    u, deficient, factor = load(backend).solve(_problem(tensors, n_steps, n_initial, central), method)
    return u, deficient, [x.contiguous() for x in factor]


def _fake_solve(
    tensors: list[Tensor], n_steps: int, n_initial: int, central: bool, backend: str, method: str
) -> tuple[Tensor, Tensor, list[Tensor]]:
    problem = _problem(tensors, n_steps, n_initial, central)
    like = problem.coefficients
    u = like.new_empty(*problem.batch, problem.T, problem.D, problem.K)
    deficient = like.new_empty(problem.batch, dtype=torch.int64)
    return u, deficient, [like.new_empty(shape) for shape in load(backend).factor_shapes(problem)]


@torch.library.impl("workbench::normal_solve", "CompositeExplicitAutograd")
def _normal_solve(
    g: Tensor,
    factor: list[Tensor],
    tensors: list[Tensor],
    n_steps: int,
    n_initial: int,
    central: bool,
    backend: str,
    method: str,
) -> Tensor:
    """(A^T A)^-1 g with the factor that `workbench::solve` made of the same problem."""
    return load(backend).normal_solve(_problem(tensors, n_steps, n_initial, central), method, factor, g)


def _fake_normal_solve(g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> Tensor:
    return torch.empty_like(g, memory_format=torch.contiguous_format)


# the derivative


def _gradients(
    phi: Callable[[LinearODE], Tensor], tensors: list[Tensor], options: tuple[int, int, bool]
) -> list[Tensor | None]:
    """Gradient of phi(problem) to every tensor that wants one, everything else in phi held constant.

    For a second derivative (gradients are being recorded) the tensors are differentiated through aliases: what else phi
    holds may depend on them, stays constant here, and stays live in the recorded graph.
    """
    record = torch.is_grad_enabled()
    with torch.enable_grad():
        aliases = [x.detach() if not x.requires_grad or not record else x.view_as(x) for x in tensors]
        if not record:
            aliases = [alias.requires_grad_(x.requires_grad) for alias, x in zip(aliases, tensors, strict=True)]
        wanted = [x for x in aliases if x.requires_grad]
        value = phi(_problem(aliases, *options))
        found = iter(torch.autograd.grad(value, wanted, create_graph=record, allow_unused=True))
    return [next(found) if x.requires_grad else None for x in aliases]


def _keep_solve(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    tensors, *options, backend, method = inputs
    u, _, factor = output
    ctx.save_for_backward(u, *tensors, *factor)
    ctx.options, ctx.who = tuple(options), (backend, method)


def _differentiate_solve(ctx: Any, g: Tensor, *unused: Any) -> tuple[Any, ...]:
    u, *saved = ctx.saved_tensors
    tensors, factor = saved[:_N], [x.detach() for x in saved[_N:]]
    lam = torch.ops.workbench.normal_solve(g, factor, tensors, *ctx.options, *ctx.who)
    if any(x.requires_grad for name, x in zip(LAYOUT, tensors, strict=True) if name not in ("forcing", "initial")):
        grads = _gradients(lambda p: -(rows(p, lam) * residual(p, u)).sum(), tensors, ctx.options)
    else:  # only b wants a gradient: phi = <A lam, b> + what does not depend on b
        grads = _gradients(lambda p: (data_rows(p, lam) * data_constants(p)).sum(), tensors, ctx.options)
    return grads, None, None, None, None, None


def _keep_normal_solve(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, factor, tensors, *options, backend, method = inputs
    ctx.save_for_backward(output, *tensors, *factor)
    ctx.options, ctx.who = tuple(options), (backend, method)


def _differentiate_normal_solve(ctx: Any, k: Tensor) -> tuple[Any, ...]:
    lam, *saved = ctx.saved_tensors
    tensors, factor = saved[:_N], [x.detach() for x in saved[_N:]]
    mu = torch.ops.workbench.normal_solve(k, factor, tensors, *ctx.options, *ctx.who)
    grads = _gradients(lambda p: -(rows(p, mu) * rows(p, lam)).sum(), tensors, ctx.options)
    return mu, [None] * len(factor), grads, None, None, None, None, None


torch.library.register_fake("workbench::solve", _fake_solve)
torch.library.register_fake("workbench::normal_solve", _fake_normal_solve)
torch.library.register_autograd("workbench::solve", _differentiate_solve, setup_context=_keep_solve)
torch.library.register_autograd(
    "workbench::normal_solve", _differentiate_normal_solve, setup_context=_keep_normal_solve
)
