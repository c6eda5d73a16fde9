"""The table of backends, and the selection of one.

A backend is a module with the members of `workbench.solver.backends.base.Backend`; a new one is one such file and one
line in `TABLE`. The order of the table is the order of preference of "auto": `native` on a CPU and `cuda` on an NVIDIA
GPU, where they are installed; otherwise, and on any other accelerator with float64, `banded`.
"""

import torch

from workbench.solver.backends import banded, cuda, dense, mnn, native
from workbench.solver.backends.base import Backend, BackendTable
from workbench.solver.problem import LinearODE

TABLE = BackendTable(native=native, cuda=cuda, banded=banded, dense=dense, mnn=mnn)
"""Fastest first: "auto" selects the first that can solve the problem."""


def load(name: str) -> Backend:
    """The backend of that name. Raises ValueError if the name is not in the table."""
    if name not in TABLE:
        raise ValueError(f"backend: expected 'auto' or one of {', '.join(map(repr, TABLE))}, found {name!r}")
    return TABLE[name]


def available(device: torch.device | str = "cpu") -> dict[str, str]:
    """The name of every backend, and the reason why it cannot run on `device` ("" if it can)."""
    return {name: load(name).unavailable_reason(torch.device(device)) for name in TABLE}


def select(problem: LinearODE, backend: str, method: str) -> str:
    """The name of the backend for `problem`: `backend` itself, or for "auto" the fastest one that can solve it.

    Raises ValueError with the reason of every backend tried, if none can solve the problem.
    """
    names = list(TABLE) if backend == "auto" else [backend]
    methods = {m for name in TABLE for m in load(name).METHODS}
    if method not in methods:
        raise ValueError(f"method: expected one of {', '.join(map(repr, sorted(methods)))}, found {method!r}")
    reasons = {}
    for name in names:
        reasons[name] = _reason(load(name), problem, method, automatic=backend == "auto")
        if not reasons[name]:
            return name
    text = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise ValueError(f"backend: {backend!r} cannot solve this problem: {text}")


def _reason(backend: Backend, problem: LinearODE, method: str, automatic: bool) -> str:
    """Reason why `backend` is not selected; "" if it is."""
    return (
        (backend.EXPLICIT_ONLY if automatic else "")
        or backend.unavailable_reason(problem.device)
        or backend.unsupported_reason(problem, method)
        or _unknown_method(backend, method)
    )


def _unknown_method(backend: Backend, method: str) -> str:
    if method in backend.METHODS:
        return ""
    return f"expected method {' or '.join(map(repr, backend.METHODS))}, found {method!r}"
