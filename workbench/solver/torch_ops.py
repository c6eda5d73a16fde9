"""The steps of `workbench.solver.autograd` as torch.library operators: a schema, what they do, what shape that has.

Tensors are those of `LinearODE.tensors`, in its order; `factor` is what a backend kept. (`torch.library.custom_op` says
all this in one decorator, and loads the compiler at the first call: more than a second.)
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from workbench.solver.backends import load
from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT

Options = tuple[int, int, bool, str, str]
"""What a problem is beside its tensors, and who solves it: n_steps, n_initial, central, backend, method."""

_OPTIONS = "Tensor[] tensors, int n_steps, int n_initial, bool central, str backend, str method"

torch.library.define(
    "workbench::solve", f"(str keep, Tensor[] factor, {_OPTIONS}) -> (Tensor u, Tensor deficient, Tensor[] factor)"
)
torch.library.define("workbench::normal_solve", f"(Tensor g, Tensor[] factor, {_OPTIONS}) -> Tensor")
torch.library.define("workbench::vjp", f"(Tensor g, Tensor u, bool[] wanted, Tensor[] factor, {_OPTIONS}) -> Tensor[]")


def posed(
    tensors: Sequence[Tensor], n_steps: int, n_initial: int, central: bool, backend: str, method: str
) -> tuple[LinearODE, ModuleType, str]:
    """The problem again, from what crossed the operator's boundary; its backend and method."""
    problem = LinearODE.from_tensors(tensors, n_steps, n_initial, central)
    return problem, load(backend), method


def solve(how: str, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u, the rank indicator and what is kept of the factor."""
    problem, backend, method = posed(tensors, *options)
    if factor and hasattr(backend, "resolve"):
        return (*backend.resolve(problem, method, factor), [])
    u, deficient, made = backend.solve(problem, method, "nothing" if factor else how)
    return u, deficient, [x.contiguous() for x in made]


def _fake_solve(
    how: str, factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> tuple[Tensor, Tensor, list[Tensor]]:
    problem, backend, method = posed(tensors, *options)
    like = problem.coefficients
    u = like.new_empty(*problem.batch, problem.T, problem.D, problem.K)
    deficient = like.new_empty(problem.batch, dtype=torch.int64)
    shapes = backend.factor_shapes(problem, method, "nothing" if factor else how)
    dtype = getattr(backend, "FACTORS", {}).get(method, torch.float64)
    return u, deficient, [like.new_empty(shape, dtype=dtype) for shape in shapes]


def normal_solve(g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> Tensor:
    """(A^T A)^-1 g."""
    problem, backend, method = posed(tensors, *options)
    return backend.normal_solve(problem, method, factor, g)


def _fake_normal_solve(g: Tensor, factor: list[Tensor], tensors: list[Tensor], *options: Any) -> Tensor:
    return torch.empty_like(g, memory_format=torch.contiguous_format)


def covered(backend: ModuleType) -> tuple[str, ...]:
    """The arguments whose gradients the backend's fused vector-Jacobian product computes."""
    return getattr(backend, "GRADIENTS", ("coefficients", "forcing", "initial", "steps"))


def vjp(
    g: Tensor, u: Tensor, wanted: list[bool], factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> list[Tensor]:
    """lam, and a gradient per argument of LAYOUT; empty where it is not wanted or not covered by the backend.

    lam is wanted where a wanted gradient is not covered.
    """
    problem, backend, method = posed(tensors, *options)
    names = [name for name, want in zip(LAYOUT, wanted, strict=True) if want]
    lam, found = backend.vjp(problem, method, factor, u, g, names)
    expected = {*names} & {*covered(backend)}
    if expected - {*found}:
        raise RuntimeError(f"{options[3]}: vjp returned no gradient for {', '.join(sorted(expected - {*found}))}")
    gradients = [found[name].detach() if name in expected else g.new_empty(0) for name in LAYOUT]
    return [g.new_empty(0) if lam is None or expected == {*names} else lam, *gradients]


def _fake_vjp(
    g: Tensor, u: Tensor, wanted: list[bool], factor: list[Tensor], tensors: list[Tensor], *options: Any
) -> list[Tensor]:
    names = covered(load(options[3]))
    shapes = [
        x.shape if want and name in names else (0,) for name, x, want in zip(LAYOUT, tensors, wanted, strict=True)
    ]
    rest = any(want and name not in names for name, want in zip(LAYOUT, wanted, strict=True))
    return [g.new_empty(u.shape if rest else 0), *(g.new_empty(shape) for shape in shapes)]


_MEANS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "solve": (solve, _fake_solve),
    "normal_solve": (normal_solve, _fake_normal_solve),
    "vjp": (vjp, _fake_vjp),
}
for _name, (_function, _fake) in _MEANS.items():
    torch.library.impl(f"workbench::{_name}", "CompositeExplicitAutograd")(_function)
    torch.library.register_fake(f"workbench::{_name}", _fake)


def step(name: str, tensors: Sequence[Tensor]) -> Callable[..., Any]:
    """The operator of that name; for plain tensors that nobody watches the function itself, without dispatch."""
    watched = torch._C._len_torch_dispatch_stack() > 0 or torch._C._are_functorch_transforms_active()
    plain = not watched and all(type(x) in _PLAIN for x in tensors)
    return _MEANS[name][0] if plain else getattr(torch.ops.workbench, name)


_PLAIN = (Tensor, torch.nn.Parameter)
