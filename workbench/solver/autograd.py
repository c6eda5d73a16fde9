"""The steps that join a backend and the derivative, which is written once, here.

u = argmin 1/2 |A u - b|^2, so A^T (A u - b) = 0. Differentiating this and pairing with the upstream gradient g through
lam = (A^T A)^-1 g, the vector-Jacobian product for every input is the gradient, u and lam held constant, of

    phi = -<A lam, A u - b>.

All that has to be known of A and b is how to evaluate their rows (`workbench.solver.rows`, or those of a backend that
minimises others). lam itself is `normal_solve`, differentiable the same way: with upstream k and mu = (A^T A)^-1 k, the
gradient to g is mu, and to the problem that of -<A mu, A lam>. So derivatives of any order need two linear-algebra
steps, each opaque to automatic differentiation, and one factor.

Every step exists twice over one implementation: as an operator of torch.library (`workbench.solver.torch_ops`), which
torch.compile takes whole, and as an autograd.Function around it, which torch.func can transform (it refuses the
derivatives of torch.library).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from workbench.solver import rows as standard
from workbench.solver.backends import load
from workbench.solver.problem import LinearODE
from workbench.solver.rows import data_constants, data_rows
from workbench.solver.shapes import LAYOUT, RIGHT
from workbench.solver.torch_ops import Options, covered, posed, step

_N = len(LAYOUT)


def keep(tensors: Sequence[Tensor], checkpoint: bool = False) -> str:
    """How much of the factor a solve is to return: none without a gradient, little with `checkpoint`."""
    if not torch.is_grad_enabled() or not any(x.requires_grad for x in tensors):
        return "nothing"
    return "carry" if checkpoint else "factor"


def solve(
    how: str, tensors: Sequence[Tensor], options: Options, factor: Sequence[Tensor] = ()
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u, the rank indicator and as much of the factor as `how` says; with a factor of this left-hand side: no other.

    Differentiable in every tensor.
    """
    if torch.compiler.is_compiling():
        return torch.ops.workbench.solve(how, list(factor), list(tensors), *options)
    step = _Solve if torch._C._are_functorch_transforms_active() else _EagerSolve
    u, deficient, *made = step.apply(how, options, *tensors, *factor)  # type: ignore[no-untyped-call]
    return u, deficient, made


def normal_solve(g: Tensor, factor: Sequence[Tensor], tensors: Sequence[Tensor], options: Options) -> Tensor:
    """(A^T A)^-1 g, differentiable in g and in every tensor."""
    if torch.compiler.is_compiling():
        return torch.ops.workbench.normal_solve(g, list(factor), list(tensors), *options)
    return _NormalSolve.apply(options, g, *tensors, *factor)  # type: ignore[no-untyped-call]


# the derivative


def _gradients(
    phi: Callable[[LinearODE], Tensor], tensors: Sequence[Tensor], wanted: Sequence[bool], options: Options
) -> list[Tensor | None]:
    """Gradient of phi(problem) to the wanted tensors, everything else in phi held constant.

    For a second derivative (gradients are being recorded) the tensors are differentiated through aliases: what else phi
    holds may depend on them, stays constant here, and stays live in the recorded graph. Inside a transform of
    torch.func only its own `grad` sees what is mapped; elsewhere it is not used: its first call takes two seconds.
    """
    places = [i for i, want in enumerate(wanted) if want]
    if not places:
        return [None] * len(tensors)
    given = [tensors[i] for i in places]

    def value(*changed: Tensor) -> Tensor:
        swapped = dict(zip(places, changed, strict=True))
        return phi(posed([swapped.get(i, x) for i, x in enumerate(tensors)], *options)[0])

    if torch._C._are_functorch_transforms_active():
        found = torch.func.grad(value, tuple(range(len(given))))(*given)
    else:
        record = torch.is_grad_enabled()
        with torch.enable_grad():
            aliases = [x.view_as(x) if record else x.detach().requires_grad_() for x in given]
            found = torch.autograd.grad(value(*aliases), aliases, create_graph=record, allow_unused=True)
    grads = dict(zip(places, found, strict=True))
    return [grads.get(i) for i in range(len(tensors))]


def _solve_gradients(
    g: Tensor, u: Tensor, factor: Sequence[Tensor], tensors: Sequence[Tensor], wanted: Sequence[bool], options: Options
) -> list[Tensor | None]:
    """The gradient of <g, u> to every wanted tensor."""
    backend = load(options[3])
    fused: list[Tensor | None] = [None] * _N
    if hasattr(backend, "vjp") and not torch.is_grad_enabled():
        given = (g, u, list(wanted), list(factor), list(tensors))
        lam, *found = step("vjp", (g, u, *factor, *tensors))(*given, *options)
        done = [want and name in covered(backend) for name, want in zip(LAYOUT, wanted, strict=True)]
        fused = [x if is_done else None for x, is_done in zip(found, done, strict=True)]
        wanted = [want and not is_done for want, is_done in zip(wanted, done, strict=True)]
    else:
        lam = normal_solve(g, factor, tensors, options)
    if not any(wanted):
        return fused
    rows, residual = getattr(backend, "rows", standard.rows), getattr(backend, "residual", standard.residual)
    wants_left = any(want for name, want in zip(LAYOUT, wanted, strict=True) if name not in RIGHT)
    if wants_left or rows is not standard.rows:
        rest = _gradients(lambda p: -(rows(p, lam) * residual(p, u)).sum(), tensors, wanted, options)
    else:  # phi = <A lam, b> + what does not depend on b
        rest = _gradients(lambda p: (data_rows(p, lam) * data_constants(p)).sum(), tensors, wanted, options)
    return [other if mine is None else mine for mine, other in zip(fused, rest, strict=True)]


def _normal_solve_gradients(
    k: Tensor,
    lam: Tensor,
    factor: Sequence[Tensor],
    tensors: Sequence[Tensor],
    wanted: Sequence[bool],
    options: Options,
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient of <k, lam> to g, and to every wanted tensor."""
    mu = normal_solve(k, factor, tensors, options)
    rows = getattr(load(options[3]), "rows", standard.rows)
    return mu, _gradients(lambda p: -(rows(p, mu) * rows(p, lam)).sum(), tensors, wanted, options)


# for torch.func


def _lead(tensors: Sequence[Tensor], dims: Sequence[int | None], n: int) -> list[Tensor]:
    """The tensors of a problem whose first batch dimension, of size n, is the one that is mapped over.

    Where it is mapped over, each tensor gets size 1 for the batch dimensions it lacks. Where none is, the forcing is
    spread over it: the left-hand side, and with it the factor, stays as it is.
    """
    ranks = [
        x.ndim - len(layout) - (dim is not None) for x, dim, layout in zip(tensors, dims, LAYOUT.values(), strict=True)
    ]
    moved = []
    for x, dim, rank in zip(tensors, dims, ranks, strict=True):
        if dim is not None:
            x = x.movedim(dim, 0)
            x = x.reshape(n, *(1,) * (max(ranks) - rank), *x.shape[1:])
        moved.append(x)
    if all(dim is None for dim in dims):
        r = moved[1]
        moved[1] = r.expand(n, *(1,) * (max(ranks) - ranks[1]), *r.shape)
    return moved


def _opaque(factor: Sequence[Tensor], dims: Sequence[int | None]) -> Sequence[Tensor]:
    """A factor is that of all mapped systems together, and not mapped over; another is of no use: [] is made anew."""
    return factor if all(dim is None for dim in dims) else []


class _Solve(Function):
    """apply(how, options, *tensors, *factor) -> (u, deficient, *factor)."""

    @staticmethod
    def forward(how: str, options: Options, *tensors: Tensor) -> tuple[Tensor, ...]:
        problem, factor = list(tensors[:_N]), list(tensors[_N:])
        u, deficient, made = step("solve", tensors)(how, factor, problem, *options)
        return u, deficient, *made

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, options, *tensors = inputs
        u, *rest = output
        ctx.mark_non_differentiable(*rest)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(u, *tensors, *rest[1:])
        ctx.options, ctx.n_given = options, len(tensors) - _N

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], how: str, options: Options, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        moved = _lead(tensors[:_N], dims[2 : 2 + _N], info.batch_size)
        if how == "nothing":  # inside the map no tensor is seen to require a gradient
            how = keep(moved)
        u, deficient, made = solve(how, moved, options, _opaque(tensors[_N:], dims[2 + _N :]))
        return (u, deficient, *made), (0, 0, *(None,) * len(made))

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *unused: None) -> tuple[Any, ...]:
        u, *saved = ctx.saved_tensors
        if g is None:
            return None, None, *(None,) * (_N + ctx.n_given)
        wanted = ctx.needs_input_grad[2 : 2 + _N]
        grads = _solve_gradients(g, u, saved[_N:], saved[:_N], wanted, ctx.options)
        return None, None, *grads, *(None,) * ctx.n_given


class _EagerSolve(Function):
    """`_Solve` outside torch.func, which costs a look at the signature per call."""

    @staticmethod
    def forward(ctx: Any, how: str, options: Options, *tensors: Tensor) -> tuple[Tensor, ...]:
        output = _Solve.forward(how, options, *tensors)
        _Solve.setup_context(ctx, (how, options, *tensors), output)
        return output

    backward = _Solve.backward


class _NormalSolve(Function):
    """apply(options, g, *tensors, *factor) -> lam."""

    @staticmethod
    def forward(options: Options, g: Tensor, *tensors: Tensor) -> Tensor:
        return step("normal_solve", (g, *tensors))(g, list(tensors[_N:]), list(tensors[:_N]), *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        options, _, *tensors = inputs
        ctx.save_for_backward(output, *tensors)
        ctx.options, ctx.n_given = options, len(tensors) - _N

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], options: Options, g: Tensor, *tensors: Tensor) -> tuple[Tensor, int]:
        moved = _lead(tensors[:_N], dims[2 : 2 + _N], info.batch_size)
        g = g.expand(info.batch_size, *g.shape) if dims[1] is None else g.movedim(dims[1], 0)
        return normal_solve(g, _opaque(tensors[_N:], dims[2 + _N :]), moved, options), 0

    @staticmethod
    def backward(ctx: Any, k: Tensor) -> tuple[Any, ...]:
        lam, *saved = ctx.saved_tensors
        wanted = ctx.needs_input_grad[2 : 2 + _N]
        mu, grads = _normal_solve_gradients(k, lam, saved[_N:], saved[:_N], wanted, ctx.options)
        return None, mu, *grads, *(None,) * ctx.n_given


# for torch.compile


def _map_solve(
    info: Any, dims: tuple[Any, ...], how: str, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Any, Any]:
    flat = None, None, *dims[2], *dims[1]
    (u, deficient, *made), _ = _Solve.vmap(info, flat, how, options, *tensors, *factor)
    return (u, deficient, made), (0, 0, [None] * len(made))


def _map_normal_solve(
    info: Any, dims: tuple[Any, ...], g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Any, Any]:
    flat = None, dims[0], *dims[2], *dims[1]
    return _NormalSolve.vmap(info, flat, options, g, *tensors, *factor)


def _keep_solve(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    _, factor, tensors, *options = inputs
    u, _, made = output
    ctx.save_for_backward(u, *tensors, *factor, *made)
    ctx.options, ctx.n_given = tuple(options), len(factor)


def _differentiate_solve(ctx: Any, g: Tensor, *unused: Any) -> tuple[Any, ...]:
    u, *saved = ctx.saved_tensors
    factor = [x.detach() for x in saved[_N:]]
    grads = _solve_gradients(g, u, factor, saved[:_N], ctx.needs_input_grad[2], ctx.options)
    return None, [None] * ctx.n_given, grads, *(None,) * len(ctx.options)


def _keep_normal_solve(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, factor, tensors, *options = inputs
    ctx.save_for_backward(output, *tensors, *factor)
    ctx.options, ctx.n_given = tuple(options), len(factor)


def _differentiate_normal_solve(ctx: Any, k: Tensor) -> tuple[Any, ...]:
    lam, *saved = ctx.saved_tensors
    factor = [x.detach() for x in saved[_N:]]
    mu, grads = _normal_solve_gradients(k, lam, factor, saved[:_N], ctx.needs_input_grad[2], ctx.options)
    return mu, [None] * ctx.n_given, grads, *(None,) * len(ctx.options)


torch.library.register_autograd("workbench::solve", _differentiate_solve, setup_context=_keep_solve)
torch.library.register_autograd(
    "workbench::normal_solve", _differentiate_normal_solve, setup_context=_keep_normal_solve
)
torch.library.register_vmap("workbench::solve", _map_solve)
torch.library.register_vmap("workbench::normal_solve", _map_normal_solve)
