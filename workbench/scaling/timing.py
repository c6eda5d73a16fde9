"""One case, measured in the process that runs this: what a worker does (see `workbench.jobs.worker`)."""

import ctypes
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from workbench.scaling.case import Case
from workbench.solver import LinearODE, Weights, solve
from workbench.solver.backends import select

SHORT = 0.2
"""Seconds of passes below which a case is repeated beyond what was asked for."""
MOST_REPEATS = 50
STATUS_FILE = Path("/proc/self/status")


def solver(backend: str, method: str) -> Callable[[LinearODE], Tensor]:
    """What turns a problem into u (B, T, D, K); see `Case.backend`.

    Raises ValueError or ImportError for a backend that does not exist.
    """
    if ":" not in backend:
        return lambda problem: solve(problem, backend=backend, method=method).u
    module, _, name = backend.partition(":")
    function = getattr(import_module(module), name)

    def call(p: LinearODE) -> Tensor:
        options = {"n_steps": p.T, "n_init_var_steps": p.T0, "enable_central_smoothness": p.central}
        return function(p.coefficients, p.forcing, p.initial, p.steps, **options, **_weights(p.weights))

    return call


def _weights(weights: Weights) -> dict[str, Any]:
    """The weights that are not 1, under the published names."""
    named = {
        "weight_equation": weights.equation,
        "weight_init_var": weights.initial,
        "weight_smooth": weights.taylor,
    }
    return {name: w for name, w in named.items() if isinstance(w, Tensor) or w != 1.0}


def require_served(problem: LinearODE, backend: str, method: str) -> None:
    """Raises ValueError with the backend's reason where it cannot serve; functions are asked by calling them."""
    if ":" not in backend:
        select(problem, backend, method)


def one_pass(
    solve_it: Callable[[LinearODE], Tensor], problem: LinearODE, look: Callable[[], None] | None = None
) -> tuple[Tensor, float, float]:
    """u, and the seconds of the forward pass and of the gradient of sum(u^2) to all that wants one, given that to u.

    `look` is called after either, while its results are still held.
    """
    wanted = [x for x in problem.tensors.values() if x.requires_grad]
    look = look or (lambda: None)
    marks = [_mark(problem.device)]
    u = solve_it(problem)
    marks.append(_mark(problem.device))
    look()
    upstream = 2 * u.detach()
    marks.append(_mark(problem.device))
    gradients = torch.autograd.grad(u, wanted, upstream, allow_unused=True)
    marks.append(_mark(problem.device))
    look()
    del gradients
    return u.detach(), _between(*marks[:2]), _between(*marks[2:])


def _mark(device: torch.device) -> Any:
    """A moment on the clock of the device that computes."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def _between(begin: Any, end: Any) -> float:
    """Seconds between two moments."""
    if isinstance(end, float):
        return end - begin
    end.synchronize()
    return 1e-3 * begin.elapsed_time(end)


def measure_case(tell: Callable[..., None], case: dict[str, Any], repeats: int, seconds: float) -> None:
    """Tells {"pass": [forward, backward]} per pass after the first, which tells {"memory": [forward, both], "first":
    [forward, backward]}: a first pass touches new memory, so its time counts only where there is no other.

    At least `repeats` passes, more of short ones, fewer where `seconds` would not suffice.
    Raises ValueError with the backend's reason where it cannot serve.
    """
    case = Case(**case)
    torch.set_num_threads(case.threads)
    solve_it = solver(case.backend, case.method)
    one_pass(solve_it, replace(case, T=min(case.T, 8), B=1, shared=min(case.shared, 2)).problem())  # loads libraries
    problem = case.problem()
    require_served(problem, case.backend, case.method)
    tell(begin=True)
    begin = time.perf_counter()
    peak, memory = Peak(case.device), []
    _, forward, backward = one_pass(solve_it, problem, look=lambda: memory.append(peak.read()))
    tell(memory=memory, first=[forward, backward])
    spent, count, last = 0.0, 0, forward + backward
    while count < repeats or (spent < SHORT and count < MOST_REPEATS):
        if time.perf_counter() - begin + last > seconds:
            return
        _, forward, backward = one_pass(solve_it, problem)
        last = forward + backward
        spent, count = spent + last, count + 1
        tell(**{"pass": [forward, backward]})


class Peak:
    """The high-water mark of memory, in bytes above what was held when this was made."""

    def __init__(self, device: str) -> None:
        self._device = device if device.startswith("cuda") else ""
        if self._device:
            torch.cuda.synchronize(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start = torch.cuda.memory_allocated(self._device)
        else:
            _reset_high_water()
            self._start = psutil.Process().memory_info().rss

    def read(self) -> int:
        """The peak so far; never below 0."""
        if self._device:
            torch.cuda.synchronize(self._device)
            return torch.cuda.max_memory_allocated(self._device) - self._start
        return max(0, _high_water() - self._start)


def _reset_high_water() -> None:
    """Linux can give back what was freed, which would hide what is taken next, and forget the mark of what came before;
    elsewhere the inputs are made without temporaries instead."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _high_water() -> int:
    """The largest resident set of this process so far, bytes."""
    if STATUS_FILE.exists():
        for line in STATUS_FILE.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)  # Windows
    if peak is not None:
        return peak
    resource = import_module("resource")  # not on Windows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
