"""The table of backends: each is one file with a name, pure functions, and a reason in words when it cannot serve.

A backend module offers

    METHODS                                         the methods it knows
    unfit(device) -> str                            why it cannot serve on that device; "" if it can
    refusal(problem, method) -> str                 why it cannot solve this problem; "" if it can
    solve(problem, method) -> (u, deficient, factor)
    normal_solve(problem, method, factor, g) -> (A^T A)^-1 g, with the factor that `solve` made
    factor_shapes(problem) -> list of the shapes of the factor's tensors

`problem` is float64. `deficient` (B) is 0 for a system of full rank, else 1 + the flat index t*R + d*K + k of the first
unknown that nothing determines. A new backend is one such file and one line in `TABLE`.
"""

from importlib import import_module
from types import ModuleType

import torch

from workbench.solver.problem import LinearODE

TABLE = {  # fastest first: "auto" takes the first that can serve
    "banded": "workbench.solver.backends.banded",
    "dense": "workbench.solver.backends.dense",
}


def load(name: str) -> ModuleType:
    """The backend of that name. Raises ValueError for a name that is not in the table."""
    if name not in TABLE:
        raise ValueError(f"backend: expected 'auto' or one of {', '.join(map(repr, TABLE))}, found {name!r}")
    return import_module(TABLE[name])


def available(device: torch.device | str = "cpu") -> dict[str, str]:
    """Every backend's name and why it cannot serve on `device` ("" if it can)."""
    return {name: load(name).unfit(torch.device(device)) for name in TABLE}


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
        reasons[name] = module.unfit(problem.device) or module.refusal(problem, method)
        if not reasons[name]:
            return name
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"backend: {backend!r} cannot serve: {told}")
