"""Points as they come: cases grown along an axis until their budget is hit."""

import statistics
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from math import log, nan
from typing import Any

import torch

from workbench.jobs.budget import Budget, JobStatus
from workbench.jobs.sandbox import Outcome, Sandbox
from workbench.scaling.case import AXES, Case, Point

ENDING = (JobStatus.OVER_TIME, JobStatus.OVER_MEMORY, JobStatus.OUT_OF_MEMORY)
"""What larger sizes of the same case share: they are marked without being run."""


class Host(Sandbox):
    """A sandbox whose worker has loaded what `measure` needs."""

    preload = ("workbench.scaling.timing",)


def grid(first: int, last: int, per_decade: int = 3) -> list[int]:
    """Sizes from `first` to `last`, evenly spaced in the logarithm.

    Raises ValueError unless 1 <= first <= last and per_decade >= 1.
    """
    if not 1 <= first <= last or per_decade < 1:
        raise ValueError(f"grid: expected 1 <= first <= last and per_decade >= 1, found {first}, {last}, {per_decade}")
    n = max(1, round(per_decade * log(last / first, 10)))
    return sorted({round(first * (last / first) ** (i / n)) for i in range(n + 1)})


def measure(
    cases: Sequence[Case],
    axis: str = "T",
    sizes: Sequence[int] = (100, 1000, 10_000),
    *,
    budget: Budget | None = None,
    repeats: int = 5,
    stop: threading.Event | None = None,
    host: Host | None = None,
) -> Iterator[Point]:
    """One Point per size of `axis` ("T" or "B") and case, smallest sizes first, the moment it is known.

    A case that exceeds the budget, or runs out of memory, is marked so there and at all larger sizes, which are not
    run; so is one that refuses or fails, at its own size only. To cancel: close the generator between two points, or
    set `stop`, from any thread, which ends the running point too. host: a worker to use and keep; None: one for this
    call. Each point is measured in a fresh process.

    Raises ValueError for an unknown axis, no case, no size, or repeats < 1.
    """
    if axis not in AXES:
        raise ValueError(f"axis: expected one of {', '.join(AXES)}, found {axis!r}")
    if not cases or not sizes or repeats < 1:
        raise ValueError("measure: expected at least one case, one size and one repeat")
    budget = budget or Budget()
    budget = replace(budget, memory=budget.bytes)
    return _points(cases, axis, sizes, budget, repeats, stop, host)


def _points(
    cases: Sequence[Case],
    axis: str,
    sizes: Sequence[int],
    budget: Budget,
    repeats: int,
    stop: threading.Event | None,
    host: Host | None,
) -> Iterator[Point]:
    own = host is None
    host = host or Host()
    ended = {}
    try:
        for size in sorted(set(sizes)):
            for number, template in enumerate(cases):
                case = replace(template, **{axis: size})
                if number in ended:
                    yield _skipped(case, axis, ended[number])
                    continue
                point = measure_one(case, budget=budget, repeats=repeats, stop=stop, host=host)
                if point is None:
                    return
                if point.status in ENDING:
                    ended[number] = point
                yield point
    finally:
        if own:
            host.close()


def measure_one(
    case: Case, *, budget: Budget, repeats: int, stop: threading.Event | None = None, host: Host
) -> Point | None:
    """The point of one case; None if `stop` was set."""
    if stop is not None and stop.is_set():
        return None
    if case.device == "cpu" and case.input_bytes > budget.bytes:
        return Point(case, JobStatus.OVER_MEMORY, f"the inputs alone take {case.input_bytes / 2**20:,.0f} MiB")
    told = replace(case, threads=case.threads or torch.get_num_threads())
    arguments = {"case": asdict(told), "repeats": repeats, "seconds": budget.seconds}
    outcome = host.run("workbench.scaling.timing:measure_case", arguments, budget, stop)
    return None if outcome.cancelled else _point(case, outcome)


def _skipped(case: Case, axis: str, before: Point) -> Point:
    return Point(case, before.status, f"not run: {axis} = {getattr(before.case, axis):,} was {before.status}")


def _point(case: Case, outcome: Outcome) -> Point:
    """What the worker told, as medians. A case that was ended after its first pass is known well enough."""
    facts = {name: value for told in outcome.told for name, value in told.items() if name != "pass"}
    passes = [told["pass"] for told in outcome.told if "pass" in told] or [facts[n] for n in ("first",) if n in facts]
    ended = outcome.status in ENDING and passes
    if not passes or not (ended or outcome.status is JobStatus.OK):
        return Point(case, outcome.status, outcome.words)
    memory = facts.get("memory", [nan, nan])
    forward, backward = (_summary(list(times)) for times in zip(*passes, strict=True))
    return Point(
        case,
        **{f"forward{name}": value for name, value in forward.items()},
        **{f"backward{name}": value for name, value in backward.items()},
        memory_forward=float(memory[0]),
        memory=float(max(memory)),  # the peaks are of two passes, and a page more or less is noise
        repeats=len(passes),
    )


def _summary(times: list[float]) -> dict[str, Any]:
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return {"": quartiles[1], "_best": min(times), "_spread": quartiles[2] - quartiles[0]}
