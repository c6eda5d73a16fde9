"""Measure time and memory of one case in this process (see `workbench.jobs.worker`)."""

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
"""Total seconds of passes below which a case is repeated beyond the requested number."""
MAX_REPEATS = 50
STATUS_FILE = Path("/proc/self/status")


def solver(backend: str, method: str) -> Callable[[LinearODE], Tensor]:
    """Function from a problem to u (B, T, D, K); see `Case.backend`.

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
    """Weights other than 1, with the published argument names."""
    named = {
        "weight_equation": weights.equation,
        "weight_init_var": weights.initial,
        "weight_smooth": weights.taylor,
    }
    return {name: w for name, w in named.items() if isinstance(w, Tensor) or w != 1.0}


def require_served(problem: LinearODE, backend: str, method: str) -> None:
    """Raise ValueError with the reason if the backend cannot solve the problem; functions are checked when called."""
    if ":" not in backend:
        select(problem, backend, method)


def one_pass(
    function: Callable[[LinearODE], Tensor], problem: LinearODE, after_pass: Callable[[], None] | None = None
) -> tuple[Tensor, float, float]:
    """Return u, and the seconds of the forward pass and of the backward pass of sum(u^2).

    `after_pass` is called after either pass, while its results are alive.
    """
    inputs = [x for x in problem.tensors.values() if x.requires_grad]
    after_pass = after_pass or (lambda: None)
    times = [_timestamp(problem.device)]
    u = function(problem)
    times.append(_timestamp(problem.device))
    after_pass()
    upstream = 2 * u.detach()
    times.append(_timestamp(problem.device))
    gradients = torch.autograd.grad(u, inputs, upstream, allow_unused=True)
    times.append(_timestamp(problem.device))
    after_pass()
    del gradients
    return u.detach(), _elapsed(*times[:2]), _elapsed(*times[2:])


def _timestamp(device: torch.device) -> Any:
    """Timestamp on the clock of the device."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def _elapsed(begin: Any, end: Any) -> float:
    """Seconds between two timestamps."""
    if isinstance(end, float):
        return end - begin
    end.synchronize()
    return 1e-3 * begin.elapsed_time(end)


def measure_case(report: Callable[..., None], case: dict[str, Any], repeats: int, seconds: float) -> None:
    """Report {"memory": [forward, both], "first": [forward, backward]} for the first pass, then {"pass": [forward,
    backward]} for every other. The time of the first, which touches new memory, counts only if there is no other.

    Does at least `repeats` further passes, more if they are short, fewer if they would exceed `seconds`.
    Raises ValueError with the reason if the backend cannot solve the problem.
    """
    case = Case(**case)
    torch.set_num_threads(case.threads)
    function = solver(case.backend, case.method)
    one_pass(function, replace(case, T=min(case.T, 8), B=1, shared=min(case.shared, 2)).problem())  # loads libraries
    problem = case.problem()
    require_served(problem, case.backend, case.method)
    report(begin=True)
    begin = time.perf_counter()
    peak, memory = Peak(case.device), []
    _, forward, backward = one_pass(function, problem, after_pass=lambda: memory.append(peak.read()))
    report(memory=memory, first=[forward, backward])
    spent, count, last = 0.0, 0, forward + backward
    while count < repeats or (spent < SHORT and count < MAX_REPEATS):
        if time.perf_counter() - begin + last > seconds:
            return
        _, forward, backward = one_pass(function, problem)
        last = forward + backward
        spent, count = spent + last, count + 1
        report(**{"pass": [forward, backward]})


class Peak:
    """Peak memory in bytes above the memory in use at construction."""

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
        """Peak so far; at least 0."""
        if self._device:
            torch.cuda.synchronize(self._device)
            return torch.cuda.max_memory_allocated(self._device) - self._start
        return max(0, _high_water() - self._start)


def _reset_high_water() -> None:
    """Return freed memory to the system, since its reuse would hide later allocations, and reset the high-water mark.

    Linux only; elsewhere the inputs are created without temporaries instead.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _high_water() -> int:
    """Peak resident set size of this process, bytes."""
    if STATUS_FILE.exists():
        for line in STATUS_FILE.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = getattr(psutil.Process().memory_info(), "peak_wset", None)  # Windows
    if peak is not None:
        return peak
    resource = import_module("resource")  # not on Windows
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
