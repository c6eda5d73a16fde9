"""Run one solver variant, in this process if it is quick, else in a worker process."""

import base64
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch

from workbench.compare.problems import Example
from workbench.compare.variants import Variant, VariantResult, on_device
from workbench.jobs.budget import Budget
from workbench.jobs.sandbox import Outcome
from workbench.jobs.worker import classify_error
from workbench.scaling import Case, Host
from workbench.scaling.timing import Peak, one_pass, require_served, solver
from workbench.solver import LinearODE
from workbench.solver.backends import load, select

QUICK = 0.1
"""Predicted seconds up to which a pass runs in the calling process even if there is a worker."""
PROBE = 0.005
"""Seconds of a shortened pass from which the full one is predicted: long enough for the growing part to dominate."""


@dataclass(frozen=True, eq=False)
class Setup:
    """Settings of a comparison. quick: predicted seconds up to which a pass runs in this process."""

    example: Example | Case
    budget: Budget
    memory: bool
    host: Host
    stop: threading.Event | None
    quick: float

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller has set `stop`."""
        return self.stop is not None and self.stop.is_set()


@dataclass(frozen=True, eq=False)
class Attempt:
    """Trial of a variant in this process: its result, or None and the predicted seconds of one pass."""

    variant: Variant
    result: VariantResult | None = None
    predicted_seconds: float = 0.0


def run_if_quick(setup: Setup, variant: Variant) -> Attempt:
    """Run a variant in this process unless it is predicted to take longer than `setup.quick`.

    Shortened problems are solved, each twice as long as the last, until the full one is predicted to be quick or one
    takes `PROBE` seconds. Time grows as T if the size of the factor does, and as its power 3/2 if that grows faster, as
    for dense factors.
    """
    example = on_device(setup.example, variant)
    try:
        problem = example.problem()
        require_served(problem, variant.backend, variant.method)
        T, seconds, predicted = 16, 0.0, 0.0
        while T < example.T and seconds < PROBE:
            short = replace(example, T=T).problem()
            _run_here(short, variant)  # the first call loads libraries
            seconds = _run_here(short, variant).seconds
            growth = example.T / T
            factor_growth = _factor_size(problem, variant) / _factor_size(short, variant)
            predicted = seconds * (factor_growth**1.5 if factor_growth > 1.5 * growth else growth)
            if predicted <= setup.quick:
                break
            T *= 2
        if predicted > setup.quick and T < example.T:
            return Attempt(variant, predicted_seconds=predicted)
        return Attempt(variant, _run_here(problem, variant))
    except Exception as error:
        return Attempt(variant, VariantResult(variant, *classify_error(error)))


def _factor_size(problem: LinearODE, variant: Variant) -> float:
    """Number of elements of the factor; for a function of another package taken as linear in T."""
    if ":" in variant.backend:
        return float(problem.T)
    name = select(problem, variant.backend, variant.method)
    return float(sum(prod(shape) for shape in load(name).factor_shapes(problem, variant.method, "factor")))


def _run_here(problem: LinearODE, variant: Variant) -> VariantResult:
    u, forward, backward = one_pass(solver(variant.backend, variant.method), problem)
    return VariantResult(variant, u=_array(u), forward=forward, backward=backward)


def _array(u: torch.Tensor) -> np.ndarray:
    return u.to("cpu", torch.float64).numpy()


def run_in_worker(setup: Setup, variant: Variant) -> VariantResult | None:
    """Run a variant in a fresh process within the budget; None if `stop` was set."""
    arguments = {
        "kind": type(setup.example).__name__,
        "example": asdict(on_device(setup.example, variant)),
        "variant": asdict(variant),
        "threads": torch.get_num_threads(),
    }
    outcome = setup.host.run("workbench.compare:solve_in_worker", arguments, setup.budget, setup.stop)
    return None if outcome.cancelled else _result(variant, outcome)


def _result(variant: Variant, outcome: Outcome) -> VariantResult:
    """Result from the messages of the worker; complete even if the job was ended after sending them."""
    facts = {name: value for message in outcome.messages for name, value in message.items()}
    if "u" not in facts:
        return VariantResult(variant, outcome.status, outcome.message)
    u = np.frombuffer(base64.b64decode(facts.pop("u"))).reshape(facts.pop("shape"))
    return VariantResult(variant, u=u, **facts)


def solve_in_worker(
    report: Callable[..., None], kind: str, example: dict[str, Any], variant: dict[str, Any], threads: int
) -> None:
    """Report u, seconds and memory of the first pass, or the seconds of a second pass if the first is short.

    Runs in the worker.
    """
    torch.set_num_threads(threads)
    case = {"Example": Example, "Case": Case}[kind](**example)
    require_served(case.problem(), variant["backend"], variant["method"])
    function = solver(variant["backend"], variant["method"])
    one_pass(function, replace(case, T=min(case.T, 8)).problem())  # loads libraries
    problem = case.problem()
    report(begin=True)
    peak, memory = Peak(str(problem.device)), []
    u, forward, backward = one_pass(function, problem, after_pass=lambda: memory.append(float(peak.read())))
    if forward + backward < 2 * QUICK:
        _, forward, backward = one_pass(function, problem)
    u = np.ascontiguousarray(_array(u))
    encoded = {"u": base64.b64encode(u.tobytes()).decode("ascii"), "shape": u.shape}
    report(**encoded, forward=forward, backward=backward, memory_forward=memory[0], memory=memory[1])
