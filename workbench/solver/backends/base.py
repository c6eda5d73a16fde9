"""The interface of a backend module.

`solve` computes the minimiser u of |A u - b|^2, with A and b the rows of the problem (`workbench.solver.rows`);
`normal_solve` applies (A^T A)^-1, which is all that the derivative needs. Common arguments:

problem: float64. Shapes use its symbols; L is the number of left-hand sides and R = D * K.
method: one of METHODS.
deficient: the rank indicator (B): 0 for full rank, else 1 + the flat index t*R + d*K + k of the first unknown that no
    row determines; -1 for invalid input or a non-finite solution, if CHECKS_INPUTS.
factor: tensors that depend on the left-hand side alone (coefficients, steps, weights), in the order of its systems and
    independent of the batch of right-hand sides; may be [] or incomplete, and missing parts are recomputed.
keep: the part of the factor that `solve` returns:

    "nothing"    []; no gradient follows
    "factor"     all of it
    "resolve"    all of it, and the additional parts that `resolve` needs
    "carry"      as little as suffices to recompute the rest; [] and the whole are allowed
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from workbench.solver import rows
from workbench.solver.problem import LinearODE


class BackendModule(Protocol):
    """The required members of a backend."""

    @property
    def METHODS(self) -> tuple[str, ...]:
        """The supported methods."""

    def unavailable_reason(self, device: torch.device) -> str:
        """Reason why the backend cannot run on `device`; "" if it can."""

    def unsupported_reason(self, problem: LinearODE, method: str) -> str:
        """Reason why the backend cannot solve `problem`; "" if it can."""

    def solve(self, problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
        """u (B, T, D, K), the rank indicator (B) and the factor."""

    def normal_solve(self, problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
        """(A^T A)^-1 g for g (B, T, D, K) of any strides."""

    def factor_shapes(self, problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
        """The shapes of the factor that `solve` returns."""


class Backend(BackendModule, Protocol):
    """The required and the optional members of a backend; `BackendTable` adds the optional ones that are missing."""

    EXPLICIT_ONLY: str
    """Reason why "auto" never selects this backend; default "": it may."""
    CHECKS_INPUTS: bool
    """Whether `solve` and `resolve` report invalid values themselves, as -1 in the rank indicator; default False."""
    FACTOR_DTYPES: Mapping[str, torch.dtype]
    """The dtype of the factor by method; float64 for the methods left out. Default {}."""
    GRADIENTS: Sequence[str]
    """The arguments whose gradients `vjp` computes; default coefficients, forcing, initial and steps. The others are
    derived from `rows` and `residual`."""
    rows: Callable[[LinearODE, Tensor], Tensor]
    """A x for x (..., T, D, K); default `workbench.solver.rows.rows`."""
    residual: Callable[[LinearODE, Tensor], Tensor]
    """A u - b; default `workbench.solver.rows.residual`."""
    resolve: Callable[[LinearODE, str, list[Tensor]], tuple[Tensor, Tensor]] | None
    """(problem, method, factor) -> u and the rank indicator for other forcing and initial values than the factor was
    computed with, as accurately as `solve`. Default None: `solve` is called again."""
    vjp: (
        Callable[[LinearODE, str, list[Tensor], Tensor, Tensor, Sequence[str]], tuple[Tensor | None, dict[str, Tensor]]]
        | None
    )
    """(problem, method, factor, u, g, names) -> lam and the gradients of <g, u> by name, in the exact shapes of
    problem.tensors, for those of `names` in GRADIENTS; lam = (A^T A)^-1 g, or None if GRADIENTS covers all of `names`.
    Never differentiated. Default None: `normal_solve` and the derivative of the rows."""


DEFAULTS: dict[str, Any] = {
    "EXPLICIT_ONLY": "",
    "CHECKS_INPUTS": False,
    "FACTOR_DTYPES": {},
    "GRADIENTS": ("coefficients", "forcing", "initial", "steps"),
    "rows": rows.rows,
    "residual": rows.residual,
    "resolve": None,
    "vjp": None,
}
"""The optional members and their defaults."""


class BackendTable(dict[str, Backend]):
    """Backends by name. Adding a module sets the optional members that it lacks to their defaults."""

    def __init__(self, **modules: BackendModule) -> None:
        super().__init__()
        for name, module in modules.items():
            self[name] = module

    def __setitem__(self, name: str, module: BackendModule) -> None:
        for member, value in DEFAULTS.items():
            if not hasattr(module, member):
                setattr(module, member, value)
        super().__setitem__(name, cast(Backend, module))
