"""Drop-in replacements for the functions of the published smnn.py, with their argument names.

Replace `from smnn import ode_forward` by `from workbench.solver import ode_forward`. Results agree to a relative 1e-9
where the published code is accurate. Batch dimensions broadcast by the usual rules.
"""

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

from torch import Tensor

from workbench.solver.factorize import Factorization, difference, factorize
from workbench.solver.problem import LinearODE, Weights
from workbench.solver.solution import Solution
from workbench.solver.solve import run, solve


class FrozenFactors:
    """Least-recently-used cache of at most `size` factors by version number; thread-safe."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._entries: OrderedDict[int, Factorization] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def solve(self, version: int, problem: LinearODE, backend: str, method: str, check: bool) -> Solution:
        """`solve` with the factor cached under `version`, which is computed at the first call.

        Raises ValueError if the left-hand side, the backend or the method differs from that of the version.
        """
        with self._lock:
            entry = self._entries.get(version)
        if entry is None:
            # a copy: later changes of the caller's tensors do not affect it
            entry = factorize(_copy_of_left(problem), backend=backend, method=method, check=check)
        else:
            change = _change(entry, problem, backend, method)
            if change:
                raise ValueError(
                    f"frozen_lhs_cache_version: expected the system first solved under version {version}, but "
                    f"{change}; a different system needs a new version number (0: no caching)"
                )
        with self._lock:
            self._entries[version] = entry
            self._entries.move_to_end(version)
            while len(self._entries) > self.size:
                self._entries.popitem(last=False)
        return run(problem, entry.backend, entry.method, check=check, factor=entry.factor)


def _copy_of_left(problem: LinearODE) -> LinearODE:
    w = problem.tensors
    weights = (w[f"weights.{name}"].detach().clone() for name in ("equation", "initial", "taylor"))
    return replace(
        problem,
        coefficients=problem.coefficients.detach().clone(),
        steps=problem.steps.detach().clone(),
        weights=Weights(*weights),
    )


def _change(entry: Factorization, problem: LinearODE, backend: str, method: str) -> str:
    """The first difference from the cached system; "" if there is none."""
    if method != entry.method:
        return f"method is {method!r}, was {entry.method!r}"
    if backend not in ("auto", entry.backend):
        return f"backend is {backend!r}, was {entry.backend!r}"
    return difference(entry.problem, problem)


FROZEN = FrozenFactors(8)
"""The cache behind `frozen_lhs_cache_version`; global because the published signature identifies factors by number."""


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
    frozen_lhs_cache_version: int | None = 0,
    *,
    backend: str = "auto",
    method: str = "qr",
    check: bool = True,
) -> Tensor:
    """u (..., T, D, K) of `workbench.solver.solve`; (T, ..., D, K) with `is_step_dim_first`.

    coefficients (..., T or 1, E, D, K), rhs_equation (..., T or 1, E), init_vars (..., T0 or 1, D, K0),
    steps (..., T-1 or 1); with `is_step_dim_first` the dimension of the grid points is the first of each.
    n_steps, n_init_var_steps: T and T0, if the tensors are broadcast over them.
    prefer_cuda_graph: accepted for compatibility, without effect: no buffer outlives a call.
    frozen_lhs_cache_version: if not 0, the factor of the left-hand side (coefficients, steps, weights) is cached under
    this number and used for every right-hand side and batch with the same left-hand side; the 8 most recently used
    numbers are cached. Gradients are the same as without caching. Comparing the values synchronises with the device.

    Raises as `LinearODE` and `solve` do, and ValueError if a version number is used for a different left-hand side.
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
    if frozen_lhs_cache_version:
        u = FROZEN.solve(frozen_lhs_cache_version, problem, backend, method, check).u
    else:
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
    """u (..., T, D, K) with unit weights and central rows; arguments as for `ode_forward`."""
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
    """`ode_forward_basic` with the dense reference backend: O(T^3) time, O(T^2) memory."""
    return ode_forward_basic(coefficients, rhs_equation, rhs_init, steps, backend=backend, method=method, check=check)
