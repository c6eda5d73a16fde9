"""Measure cases at growing sizes until they exceed their budget."""

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
"""Statuses that larger sizes of a case inherit without being run."""


class Host(Sandbox):
    """Sandbox whose worker has loaded the modules that `measure` needs."""

    preload = ("workbench.scaling.timing",)


def grid(first: int, last: int, per_decade: int = 3) -> list[int]:
    """Logarithmically spaced sizes from `first` to `last`.

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
    """Yield one Point per size of `axis` ("T" or "B") and case, smallest sizes first, as soon as it is known.

    Each point is measured in a fresh process. A case that exceeds the budget or runs out of memory is not run at larger
    sizes, whose points get the same status; a case that is refused or fails is run at other sizes. To cancel, close the
    generator between two points, or set `stop` from any thread, which also ends the running point. host: worker to use
    and keep open; None: one for this call.

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
    owns_host = host is None
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
        if owns_host:
            host.close()


def measure_one(
    case: Case, *, budget: Budget, repeats: int, stop: threading.Event | None = None, host: Host
) -> Point | None:
    """Measure one case; None if `stop` was set."""
    if stop is not None and stop.is_set():
        return None
    if case.device == "cpu" and case.input_bytes > budget.bytes:
        return Point(case, JobStatus.OVER_MEMORY, f"the inputs alone take {case.input_bytes / 2**20:,.0f} MiB")
    case_in_worker = replace(case, threads=case.threads or torch.get_num_threads())
    arguments = {"case": asdict(case_in_worker), "repeats": repeats, "seconds": budget.seconds}
    outcome = host.run("workbench.scaling.timing:measure_case", arguments, budget, stop)
    return None if outcome.cancelled else _point(case, outcome)


def _skipped(case: Case, axis: str, before: Point) -> Point:
    return Point(case, before.status, f"not run: {axis} = {getattr(before.case, axis):,} was {before.status}")


def _point(case: Case, outcome: Outcome) -> Point:
    """Medians of the passes that the worker has reported. One pass is enough if the budget ended the job."""
    facts = {name: value for message in outcome.messages for name, value in message.items()}
    passes = [message["pass"] for message in outcome.messages if "pass" in message]
    if not passes and "first" in facts:
        passes = [facts["first"]]
    if not passes or outcome.status not in (*ENDING, JobStatus.OK):
        return Point(case, outcome.status, outcome.message)
    memory = facts.get("memory", [nan, nan])
    forward, backward = (_summary(list(times)) for times in zip(*passes, strict=True))
    return Point(
        case,
        **{f"forward{name}": value for name, value in forward.items()},
        **{f"backward{name}": value for name, value in backward.items()},
        memory_forward=float(memory[0]),
        memory=float(max(memory)),  # peaks of two passes; they differ by a page at random
        repeats=len(passes),
    )


def _summary(times: list[float]) -> dict[str, Any]:
    quartiles = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    return {"": quartiles[1], "_best": min(times), "_spread": quartiles[2] - quartiles[0]}
