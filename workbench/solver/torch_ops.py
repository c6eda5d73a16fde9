"""The linear-algebra steps of `workbench.solver.autograd` as torch.library operators, with schemas and fake versions.

`tensors` are those of `LinearODE.tensors`, in its order; `factor` is the kept factor. `torch.library.custom_op`
is not used: it loads the compiler at its first call, which takes more than a second.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.solver.backends import load
from workbench.solver.backends.base import Backend
from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT

Options = tuple[int, int, bool, str, str]
"""The arguments of an operator that are not tensors: n_steps, n_initial, central, backend, method."""

_OPTIONS = "Tensor[] tensors, int n_steps, int n_initial, bool central, str backend, str method"

torch.library.define(
    "workbench::solve", f"(str keep, Tensor[] factor, {_OPTIONS}) -> (Tensor u, Tensor deficient, Tensor[] factor)"
)
torch.library.define("workbench::normal_solve", f"(Tensor g, Tensor[] factor, {_OPTIONS}) -> Tensor")
torch.library.define(
    "workbench::vjp", f"(Tensor g, Tensor u, bool[] needs_grad, Tensor[] factor, {_OPTIONS}) -> Tensor[]"
)


def unpack_problem(
    tensors: Sequence[Tensor], n_steps: int, n_initial: int, central: bool, backend: str, method: str
) -> tuple[LinearODE, Backend, str]:
    """The problem, backend and method from the arguments of an operator."""
    problem = LinearODE.from_tensors(tensors, n_steps, n_initial, central)
    return problem, load(backend), method


def solve(keep: str, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u, the rank indicator and the kept part of the factor."""
    problem, backend, method = unpack_problem(tensors, *options)
    if factor and backend.resolve is not None:
        return (*backend.resolve(problem, method, factor), [])
    u, deficient, new_factor = backend.solve(problem, method, "nothing" if factor else keep)
    return u, deficient, [x.contiguous() for x in new_factor]


def _fake_solve(
    keep: str, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Tensor, Tensor, list[Tensor]]:
    problem, backend, method = unpack_problem(tensors, *options)
    like = problem.coefficients
    u = like.new_empty(*problem.batch, problem.T, problem.D, problem.K)
    deficient = like.new_empty(problem.batch, dtype=torch.int64)
    shapes = backend.factor_shapes(problem, method, "nothing" if factor else keep)
    dtype = backend.FACTOR_DTYPES.get(method, torch.float64)
    return u, deficient, [like.new_empty(shape, dtype=dtype) for shape in shapes]


def normal_solve(g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> Tensor:
    """(A^T A)^-1 g."""
    problem, backend, method = unpack_problem(tensors, *options)
    return backend.normal_solve(problem, method, factor, g)


def _fake_normal_solve(g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> Tensor:
    return torch.empty_like(g, memory_format=torch.contiguous_format)


def vjp(
    g: Tensor, u: Tensor, needs_grad: list[bool], factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> list[Tensor]:
    """lam, and the gradient to every argument of LAYOUT; empty where not needed or not covered by the backend.

    lam is empty if the backend covers every gradient that is needed.

    Raises RuntimeError if the backend returns no gradient for an argument that it covers.
    """
    problem, backend, method = unpack_problem(tensors, *options)
    names = [name for name, needed in zip(LAYOUT, needs_grad, strict=True) if needed]
    if backend.vjp is None:
        raise RuntimeError(f"{options[3]}: the backend has no vjp")
    lam, computed = backend.vjp(problem, method, factor, u, g, names)
    expected = {*names} & {*backend.GRADIENTS}
    missing = sorted(expected - {*computed})
    if missing:
        raise RuntimeError(f"{options[3]}: vjp returned no gradient for {', '.join(missing)}")
    gradients = [computed[name].detach() if name in expected else g.new_empty(0) for name in LAYOUT]
    return [g.new_empty(0) if lam is None or expected == {*names} else lam, *gradients]


def _fake_vjp(
    g: Tensor, u: Tensor, needs_grad: list[bool], factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> list[Tensor]:
    covered = load(options[3]).GRADIENTS
    arguments = [*zip(LAYOUT, tensors, needs_grad, strict=True)]
    shapes = [x.shape if needed and name in covered else (0,) for name, x, needed in arguments]
    needs_lam = any(needed and name not in covered for name, _, needed in arguments)
    return [g.new_empty(u.shape if needs_lam else 0), *(g.new_empty(shape) for shape in shapes)]


_IMPLEMENTATIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "solve": (solve, _fake_solve),
    "normal_solve": (normal_solve, _fake_normal_solve),
    "vjp": (vjp, _fake_vjp),
}
for _name, (_function, _fake) in _IMPLEMENTATIONS.items():
    torch.library.impl(f"workbench::{_name}", "CompositeExplicitAutograd")(_function)
    torch.library.register_fake(f"workbench::{_name}", _fake)


def operator(name: str, tensors: Sequence[Tensor]) -> Callable[..., Any]:
    """The operator of that name; for plain tensors outside dispatch modes and transforms, the function behind it."""
    dispatched = torch._C._len_torch_dispatch_stack() > 0 or torch._C._are_functorch_transforms_active()
    plain = not dispatched and all(type(x) in _PLAIN for x in tensors)
    return _IMPLEMENTATIONS[name][0] if plain else getattr(torch.ops.workbench, name)


_PLAIN = (Tensor, torch.nn.Parameter)
