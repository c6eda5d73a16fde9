"""The published functions under their own argument names: change an import, keep the rest.

`from workbench.solver import ode_forward` in place of `from smnn import ode_forward`. Results agree to 1e-9 relative
where the published code is accurate. Batch dimensions broadcast by the usual rules, or raise.
"""

from torch import Tensor

from workbench.solver.problem import LinearODE, Weights
from workbench.solver.solve import solve


def ode_forward(
    coefficients: Tensor,
    rhs_equation: Tensor,
    init_vars: Tensor,
    steps: Tensor,
    n_steps: int | None = None,
    n_init_var_steps: int | None = None,
    is_step_dim_first: bool = False,
    weight_equation: float = 1.0,
    weight_init_var: float = 1.0,
    weight_smooth: float = 1.0,
    enable_central_smoothness: bool = False,
    prefer_cuda_graph: bool = True,
    frozen_lhs_cache_version: int = 0,
    *,
    backend: str = "auto",
    method: str = "qr",
    check: bool = True,
) -> Tensor:
    """u (..., T, D, K) of `workbench.solver.solve`; the grid points come first with `is_step_dim_first`.

    coefficients (..., T or 1, E, D, K), rhs_equation (..., T or 1, E), init_vars (..., T0 or 1, D, K0),
    steps (..., T-1 or 1); with `is_step_dim_first` the dimension of the grid points leads each of them.
    n_steps and n_init_var_steps give T and T0 where the tensors are broadcast over them.
    prefer_cuda_graph and frozen_lhs_cache_version are accepted and have no effect: no buffer and no factor outlives a
    call, and systems that share a left-hand side are factored once without being told.

    Raises as `LinearODE` and `solve` do.
    """
    if is_step_dim_first:
        coefficients = coefficients.movedim(0, -4)
        rhs_equation = rhs_equation.movedim(0, -2)
        init_vars = init_vars.movedim(0, -3)
        steps = steps.movedim(0, -1)
    problem = LinearODE(
        coefficients,
        rhs_equation,
        init_vars,
        steps,
        weights=Weights(weight_equation, weight_init_var, weight_smooth),
        central=enable_central_smoothness,
        n_steps=steps.shape[-1] + 1 if n_steps is None else n_steps,
        n_initial=init_vars.shape[-3] if n_init_var_steps is None else n_init_var_steps,
    )
    u = solve(problem, backend=backend, method=method, check=check).u
    return u.movedim(-3, 0) if is_step_dim_first else u


def ode_forward_basic(
    coefficients: Tensor,
    rhs_equation: Tensor,
    rhs_init: Tensor,
    steps: Tensor,
    n_steps: int | None = None,
    n_init_var_steps: int | None = None,
    *,
    backend: str = "auto",
    method: str = "qr",
    check: bool = True,
) -> Tensor:
    """u (..., T, D, K) with unit weights and central rows; arguments as `ode_forward`."""
    return ode_forward(
        coefficients,
        rhs_equation,
        rhs_init,
        steps,
        n_steps,
        n_init_var_steps,
        enable_central_smoothness=True,
        backend=backend,
        method=method,
        check=check,
    )


def ode_forward_reference(
    coefficients: Tensor,
    rhs_equation: Tensor,
    rhs_init: Tensor,
    steps: Tensor,
    *,
    backend: str = "dense",
    method: str = "qr",
    check: bool = True,
) -> Tensor:
    """As `ode_forward_basic`, by the dense reference: O(T^3) time, O(T^2) memory."""
    return ode_forward_basic(coefficients, rhs_equation, rhs_init, steps, backend=backend, method=method, check=check)
