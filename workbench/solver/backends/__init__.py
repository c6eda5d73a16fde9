"""The table of backends: each is one file with a name, pure functions, and a reason in words when it cannot serve.

A backend module offers

    METHODS                                         the methods it knows
    unfit(device) -> str                            why it cannot serve on that device; "" if it can
    refusal(problem, method) -> str                 why it cannot solve this problem; "" if it can
    solve(problem, method, keep) -> (u, deficient, factor)
    normal_solve(problem, method, factor, g) -> (A^T A)^-1 g for g (B, T, D, K) of any strides
    factor_shapes(problem, method, keep) -> the shapes of the tensors in `factor`

`problem` is float64. `deficient` (B) is 0 for a system of full rank, else 1 + the flat index t*R + d*K + k of the first
unknown that nothing determines. `factor` is a list of float64 tensors that depend on the left-hand side alone
(coefficients, steps, weights), in the order of its systems: whatever the batch of right-hand sides, it is the same.
`keep` says how much of it is wanted:

    "nothing"    no gradient follows: []
    "factor"     the whole
    "resolve"    the whole, and what `resolve` needs beyond it
    "carry"      as little as the rest can be computed from again; may be [] or the whole

`normal_solve`, `resolve` and `vjp` take any of them, and compute again what is missing.

Optional, looked up by name:

    OTHER_PROBLEM                                   what it solves in place of this problem: "auto" never picks it
    rows(problem, x), residual(problem, u)          where the backend minimises other rows than `workbench.solver.rows`
    resolve(problem, method, factor) -> (u, deficient)
                                                    solves for other forcing and initial values than those that the
                                                    factor was made with, as accurately as `solve`
    vjp(problem, method, factor, u, g, wanted) -> (lam, gradients)
                                                    by name and in the exact shape of problem.tensors[name], the
                                                    gradients of <g, u> to those of the `wanted` tensors (names) that it
                                                    covers, and lam = (A^T A)^-1 g, or None where it covers all of them;
                                                    never differentiated itself
    SCREENS                                         true: `deficient` is -1 where a value of the system is not what it
                                                    should be, or its solution is not finite; nobody else looks then
    FACTORS                                         the dtype of `factor` by method, where it is not float64
    GRADIENTS                                       the names that `vjp` covers, by default coefficients, forcing,
                                                    initial and steps; the others are derived from `rows`

A new backend is one such file and one line in `TABLE`. Its order decides what "auto" takes: `native` on a CPU and
`cuda` on an NVIDIA GPU, where they are installed; else, and on any other accelerator that has float64, `banded`.
"""

from types import ModuleType

import torch

from workbench.solver.backends import banded, cuda, dense, mnn, native
from workbench.solver.problem import LinearODE

TABLE: dict[str, ModuleType] = {  # fastest first: "auto" takes the first that can serve
    "native": native,
    "cuda": cuda,
    "banded": banded,
    "dense": dense,
    "mnn": mnn,
}


def load(name: str) -> ModuleType:
    """The backend of that name. Raises ValueError for a name that is not in the table."""
    if name not in TABLE:
        raise ValueError(f"backend: expected 'auto' or one of {', '.join(map(repr, TABLE))}, found {name!r}")
    return TABLE[name]


def available(device: torch.device | str = "cpu") -> dict[str, str]:
    """Every backend's name and why it cannot serve on `device` ("" if it can)."""
    return {name: load(name).unfit(torch.device(device)) for name in TABLE}


def _unknown(module: ModuleType, method: str) -> str:
    return (
        ""
        if method in module.METHODS
        else f"expected method {' or '.join(map(repr, module.METHODS))}, found {method!r}"
    )


def select(problem: LinearODE, backend: str, method: str) -> str:
    """The name of the backend that solves `problem`; "auto" is the fastest that can.

    Raises ValueError, with the backend's own reason, where a backend asked for by name cannot serve, or none can.
    """
    names = list(TABLE) if backend == "auto" else [backend]
    known = {m for name in TABLE for m in load(name).METHODS}
    if method not in known:
        raise ValueError(f"method: expected one of {', '.join(map(repr, sorted(known)))}, found {method!r}")
    reasons = {}
    for name in names:
        module = load(name)
        unasked = getattr(module, "OTHER_PROBLEM", "") if backend == "auto" else ""
        refused = unasked or module.unfit(problem.device) or module.refusal(problem, method)
        reasons[name] = refused or _unknown(module, method)
        if not reasons[name]:
            return name
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"backend: {backend!r} cannot serve: {told}")
