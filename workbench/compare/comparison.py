"""Comparison of several solver variants on one problem."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from workbench.compare.problems import Example
from workbench.compare.running import QUICK, Attempt, Setup, run_if_quick, run_in_worker
from workbench.compare.variants import REFERENCE, Variant, VariantResult
from workbench.jobs.budget import Budget, JobStatus
from workbench.scaling import Case, Host


def compare(
    example: Example | Case,
    variants: Sequence[Variant],
    *,
    reference: Variant | None = None,
    budget: Budget | None = None,
    memory: bool = False,
    host: Host | None = None,
    stop: threading.Event | None = None,
) -> Iterator[VariantResult]:
    """Yield one VariantResult per variant, as soon as it is known; the reference first if it is among them.

    Variants that are predicted to be quick come first; the others then run in a worker, each until it ends or
    exceeds its budget (default 2 s), which its `status` reports. To cancel, close the generator between two results, or
    set `stop`, which also ends the running worker.

    reference: the variant to which `difference` is taken; None: the dense solver if it is quick, else the first variant
    that succeeds. memory: measure it; every variant then runs in a fresh process. host: worker to use and keep open;
    without one, up to a quarter of the budget counts as quick, and a worker is started when needed.
    """
    owns_host = host is None
    budget = budget or Budget(seconds=2.0)
    quick = budget.seconds / 4 if owns_host else min(QUICK, budget.seconds / 4)
    setup = Setup(example, budget, memory, host or Host(), stop, quick)
    try:
        yield from _compared_results(setup, list(variants), reference)
    finally:
        if owns_host:
            setup.host.close()


def _compared_results(setup: Setup, variants: list[Variant], reference: Variant | None) -> Iterator[VariantResult]:
    base = None
    for result in _results(setup, variants, reference):
        if base is None and result.status is JobStatus.OK:
            base = result
        if result.variant in variants:
            yield _with_errors(result, base, setup.example)


def _results(setup: Setup, variants: list[Variant], reference: Variant | None) -> Iterator[VariantResult]:
    """Results of the reference, of quick variants, then of the others; ends if `stop` is set.

    A default reference that is not among the variants runs only if it is quick.
    """
    first = reference or REFERENCE
    slow = []
    for variant in (first, *(v for v in variants if v != first)):
        if setup.is_cancelled:
            return
        trial = Attempt(variant) if setup.memory else run_if_quick(setup, variant)
        result = trial.result
        if result is None and variant == reference:
            result = run_in_worker(setup, variant)
            if result is None:
                return
        if result is not None:
            yield result
        elif variant in variants:
            slow.append(trial)
    for trial in sorted(slow, key=lambda trial: trial.predicted_seconds):
        result = run_in_worker(setup, trial.variant)
        if result is None:
            return
        yield result


def _with_errors(result: VariantResult, base: VariantResult | None, example: Example | Case) -> VariantResult:
    """The result with its difference to `base` and its error."""
    if result.u is None or base is None:
        return result
    value = result.u[..., 0]
    error = None
    if isinstance(example, Example):
        error = _max_per_point(value - example.exact()[:, :1])
    return replace(result, reference=base.variant, difference=_max_per_point(value - base.u[..., 0]), error=error)


def _max_per_point(x: np.ndarray) -> np.ndarray:
    """Largest |x| (B, T, D) per grid point (T)."""
    return np.abs(np.moveaxis(x, -2, 0)).reshape(x.shape[-2], -1).max(-1)
