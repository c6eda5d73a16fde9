"""The derivative of the solver, for every backend.

u = argmin 1/2 |A u - b|^2 satisfies A^T (A u - b) = 0. With the upstream gradient g and lam = (A^T A)^-1 g, the
vector-Jacobian product for every input is the gradient, u and lam held constant, of

    phi = -<A lam, A u - b>.

This only requires evaluating the rows (`workbench.solver.rows`, or those of the backend). lam is `normal_solve`,
differentiable in the same way: with upstream k and mu = (A^T A)^-1 k, its gradient to g is mu, and to the problem that
of -<A mu, A lam>. Derivatives of any order therefore need two linear-algebra steps, each opaque to automatic
differentiation, and one factor.

Both steps have two wrappers around one implementation: a torch.library operator (`workbench.solver.torch_ops`), which
torch.compile does not trace into, and an autograd.Function, which torch.func can transform (it does not support the
derivatives of torch.library).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from workbench.solver.backends import load
from workbench.solver.problem import LinearODE
from workbench.solver.rows import data_constants, data_rows, rows
from workbench.solver.shapes import LAYOUT, RIGHT
from workbench.solver.torch_ops import Options, operator, unpack_problem

_N = len(LAYOUT)


def keep_mode(tensors: Sequence[Tensor], checkpoint: bool = False) -> str:
    """The `keep` argument of a backend: "nothing" without a gradient, "carry" with `checkpoint`, else "factor"."""
    if not torch.is_grad_enabled() or not any(x.requires_grad for x in tensors):
        return "nothing"
    return "carry" if checkpoint else "factor"


def solve(
    keep: str, tensors: Sequence[Tensor], options: Options, factor: Sequence[Tensor] = ()
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u, the rank indicator and the part of the factor that `keep` names ([] if `factor` is given).

    factor: that of this left-hand side, or (). Differentiable in every tensor.
    """
    if torch.compiler.is_compiling():
        return torch.ops.workbench.solve(keep, list(factor), list(tensors), *options)
    function = _Solve if torch._C._are_functorch_transforms_active() else _EagerSolve
    u, deficient, *new_factor = function.apply(keep, options, *tensors, *factor)  # type: ignore[no-untyped-call]
    return u, deficient, new_factor


def normal_solve(g: Tensor, factor: Sequence[Tensor], tensors: Sequence[Tensor], options: Options) -> Tensor:
    """(A^T A)^-1 g, differentiable in g and in every tensor."""
    if torch.compiler.is_compiling():
        return torch.ops.workbench.normal_solve(g, list(factor), list(tensors), *options)
    return _NormalSolve.apply(options, g, *tensors, *factor)  # type: ignore[no-untyped-call]


# the derivative


def _gradients(
    phi: Callable[[LinearODE], Tensor], tensors: Sequence[Tensor], needs_grad: Sequence[bool], options: Options
) -> list[Tensor | None]:
    """Gradient of phi(problem) to the tensors that need one, everything else in phi held constant.

    For a second derivative (gradients are being recorded) the tensors are differentiated through aliases: closures of
    phi may depend on them, are constant here, and stay part of the recorded graph. torch.func.grad is used only inside
    a transform of torch.func, where it is needed: its first call takes two seconds.
    """
    indices = [i for i, needed in enumerate(needs_grad) if needed]
    if not indices:
        return [None] * len(tensors)
    inputs = [tensors[i] for i in indices]

    def value(*replacements: Tensor) -> Tensor:
        replaced = dict(zip(indices, replacements, strict=True))
        return phi(unpack_problem([replaced.get(i, x) for i, x in enumerate(tensors)], *options)[0])

    if torch._C._are_functorch_transforms_active():
        gradients = torch.func.grad(value, tuple(range(len(inputs))))(*inputs)
    else:
        record = torch.is_grad_enabled()
        with torch.enable_grad():
            aliases = [x.view_as(x) if record else x.detach().requires_grad_() for x in inputs]
            gradients = torch.autograd.grad(value(*aliases), aliases, create_graph=record, allow_unused=True)
    by_index = dict(zip(indices, gradients, strict=True))
    return [by_index.get(i) for i in range(len(tensors))]


def _solve_gradients(
    g: Tensor,
    u: Tensor,
    factor: Sequence[Tensor],
    tensors: Sequence[Tensor],
    needs_grad: Sequence[bool],
    options: Options,
) -> list[Tensor | None]:
    """The gradient of <g, u> to every tensor that needs one."""
    backend = load(options[3])
    fused: list[Tensor | None] = [None] * _N
    if backend.vjp is not None and not torch.is_grad_enabled():
        inputs = (g, u, list(needs_grad), list(factor), list(tensors))
        lam, *gradients = operator("vjp", (g, u, *factor, *tensors))(*inputs, *options)
        covered = [needed and name in backend.GRADIENTS for name, needed in zip(LAYOUT, needs_grad, strict=True)]
        fused = [x if is_covered else None for x, is_covered in zip(gradients, covered, strict=True)]
        needs_grad = [needed and not is_covered for needed, is_covered in zip(needs_grad, covered, strict=True)]
    else:
        lam = normal_solve(g, factor, tensors, options)
    if not any(needs_grad):
        return fused
    needs_left = any(needed for name, needed in zip(LAYOUT, needs_grad, strict=True) if name not in RIGHT)
    if needs_left or backend.rows is not rows:
        others = _gradients(
            lambda p: -(backend.rows(p, lam) * backend.residual(p, u)).sum(), tensors, needs_grad, options
        )
    else:  # phi = <A lam, b> + a term that does not depend on b
        others = _gradients(lambda p: (data_rows(p, lam) * data_constants(p)).sum(), tensors, needs_grad, options)
    return [y if x is None else x for x, y in zip(fused, others, strict=True)]


def _normal_solve_gradients(
    k: Tensor,
    lam: Tensor,
    factor: Sequence[Tensor],
    tensors: Sequence[Tensor],
    needs_grad: Sequence[bool],
    options: Options,
) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient of <k, lam> to g, and to every tensor that needs one."""
    mu = normal_solve(k, factor, tensors, options)
    rows = load(options[3]).rows
    return mu, _gradients(lambda p: -(rows(p, mu) * rows(p, lam)).sum(), tensors, needs_grad, options)


# for torch.func


def _batch_first(tensors: Sequence[Tensor], dims: Sequence[int | None], n: int) -> list[Tensor]:
    """The tensors of a problem with the mapped dimension, of size n, as first batch dimension.

    A mapped tensor gets size 1 in the batch dimensions that it lacks. If no tensor is mapped, the forcing is expanded:
    the left-hand side, and with it the factor, is unchanged.
    """
    ranks = [
        x.ndim - len(layout) - (dim is not None) for x, dim, layout in zip(tensors, dims, LAYOUT.values(), strict=True)
    ]
    batched = []
    for x, dim, rank in zip(tensors, dims, ranks, strict=True):
        if dim is not None:
            x = x.movedim(dim, 0)
            x = x.reshape(n, *(1,) * (max(ranks) - rank), *x.shape[1:])
        batched.append(x)
    if all(dim is None for dim in dims):
        r = batched[1]
        batched[1] = r.expand(n, *(1,) * (max(ranks) - ranks[1]), *r.shape)
    return batched


def _unmapped_factor(factor: Sequence[Tensor], dims: Sequence[int | None]) -> Sequence[Tensor]:
    """The factor if it is that of all mapped systems together (not mapped over), else []: it is recomputed."""
    return factor if all(dim is None for dim in dims) else []


class _Solve(Function):
    """apply(keep, options, *tensors, *factor) -> (u, deficient, *factor)."""

    @staticmethod
    def forward(keep: str, options: Options, *tensors: Tensor) -> tuple[Tensor, ...]:
        problem, factor = list(tensors[:_N]), list(tensors[_N:])
        u, deficient, new_factor = operator("solve", tensors)(keep, factor, problem, *options)
        return u, deficient, *new_factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        _, options, *tensors = inputs
        u, *rest = output
        ctx.mark_non_differentiable(*rest)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(u, *tensors, *rest[1:])
        ctx.options, ctx.n_factor = options, len(tensors) - _N

    @staticmethod
    def vmap(
        info: Any, dims: tuple[Any, ...], keep: str, options: Options, *tensors: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int | None, ...]]:
        batched = _batch_first(tensors[:_N], dims[2 : 2 + _N], info.batch_size)
        if keep == "nothing":  # inside vmap no tensor appears to require a gradient
            keep = keep_mode(batched)
        u, deficient, new_factor = solve(keep, batched, options, _unmapped_factor(tensors[_N:], dims[2 + _N :]))
        return (u, deficient, *new_factor), (0, 0, *(None,) * len(new_factor))

    @staticmethod
    def backward(ctx: Any, g: Tensor | None, *unused: None) -> tuple[Any, ...]:
        u, *saved = ctx.saved_tensors
        if g is None:
            return None, None, *(None,) * (_N + ctx.n_factor)
        needs_grad = ctx.needs_input_grad[2 : 2 + _N]
        grads = _solve_gradients(g, u, saved[_N:], saved[:_N], needs_grad, ctx.options)
        return None, None, *grads, *(None,) * ctx.n_factor


class _EagerSolve(Function):
    """`_Solve` outside torch.func, without its inspection of the signature at every call."""

    @staticmethod
    def forward(ctx: Any, keep: str, options: Options, *tensors: Tensor) -> tuple[Tensor, ...]:
        output = _Solve.forward(keep, options, *tensors)
        _Solve.setup_context(ctx, (keep, options, *tensors), output)
        return output

    backward = _Solve.backward


class _NormalSolve(Function):
    """apply(options, g, *tensors, *factor) -> lam."""

    @staticmethod
    def forward(options: Options, g: Tensor, *tensors: Tensor) -> Tensor:
        return operator("normal_solve", (g, *tensors))(g, list(tensors[_N:]), list(tensors[:_N]), *options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        options, _, *tensors = inputs
        ctx.save_for_backward(output, *tensors)
        ctx.options, ctx.n_factor = options, len(tensors) - _N

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], options: Options, g: Tensor, *tensors: Tensor) -> tuple[Tensor, int]:
        batched = _batch_first(tensors[:_N], dims[2 : 2 + _N], info.batch_size)
        g = g.expand(info.batch_size, *g.shape) if dims[1] is None else g.movedim(dims[1], 0)
        return normal_solve(g, _unmapped_factor(tensors[_N:], dims[2 + _N :]), batched, options), 0

    @staticmethod
    def backward(ctx: Any, k: Tensor) -> tuple[Any, ...]:
        lam, *saved = ctx.saved_tensors
        needs_grad = ctx.needs_input_grad[2 : 2 + _N]
        mu, grads = _normal_solve_gradients(k, lam, saved[_N:], saved[:_N], needs_grad, ctx.options)
        return None, mu, *grads, *(None,) * ctx.n_factor


# for torch.compile


def _vmap_solve(
    info: Any, dims: tuple[Any, ...], keep: str, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Any, Any]:
    flat = None, None, *dims[2], *dims[1]
    (u, deficient, *new_factor), _ = _Solve.vmap(info, flat, keep, options, *tensors, *factor)
    return (u, deficient, new_factor), (0, 0, [None] * len(new_factor))


def _vmap_normal_solve(
    info: Any, dims: tuple[Any, ...], g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Any, Any]:
    flat = None, dims[0], *dims[2], *dims[1]
    return _NormalSolve.vmap(info, flat, options, g, *tensors, *factor)


def _setup_solve(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
    _, factor, tensors, *options = inputs
    u, _, new_factor = output
    ctx.save_for_backward(u, *tensors, *factor, *new_factor)
    ctx.options, ctx.n_factor = tuple(options), len(factor)


def _solve_backward(ctx: Any, g: Tensor, *unused: Any) -> tuple[Any, ...]:
    u, *saved = ctx.saved_tensors
    factor = [x.detach() for x in saved[_N:]]
    grads = _solve_gradients(g, u, factor, saved[:_N], ctx.needs_input_grad[2], ctx.options)
    return None, [None] * ctx.n_factor, grads, *(None,) * len(ctx.options)


def _setup_normal_solve(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, factor, tensors, *options = inputs
    ctx.save_for_backward(output, *tensors, *factor)
    ctx.options, ctx.n_factor = tuple(options), len(factor)


def _normal_solve_backward(ctx: Any, k: Tensor) -> tuple[Any, ...]:
    lam, *saved = ctx.saved_tensors
    factor = [x.detach() for x in saved[_N:]]
    mu, grads = _normal_solve_gradients(k, lam, factor, saved[:_N], ctx.needs_input_grad[2], ctx.options)
    return mu, [None] * ctx.n_factor, grads, *(None,) * len(ctx.options)


torch.library.register_autograd("workbench::solve", _solve_backward, setup_context=_setup_solve)
torch.library.register_autograd("workbench::normal_solve", _normal_solve_backward, setup_context=_setup_normal_solve)
torch.library.register_vmap("workbench::solve", _vmap_solve)
torch.library.register_vmap("workbench::normal_solve", _vmap_normal_solve)
