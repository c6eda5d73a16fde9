"""Pairwise selection of test cases: a subset of the grid in which every pair of values occurs.

Applies to tests with three or more parameters; `--exhaustive` runs the full product. Every `parametrize` mark is an
axis. The selection is greedy: the next case is the one that adds most new pairs, so the subset depends only on the list
of cases. Values of an axis in REPEATS (random seeds) are repetitions: each occurs once, with any values of the other
axes.

Source: Kuhn, Wallace & Gallo, Software fault interactions and implications for software testing, IEEE TSE 30 (2004):
most faults depend on one value or a pair of values.
"""

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from typing import TypeVar

import pytest

Case = TypeVar("Case")
Values = dict[str, Hashable]  # axis -> value

REPEATS = {"seed"}


def axes(item: pytest.Item) -> Values:
    """The value of a case on each axis, by identity."""
    spec = getattr(item, "callspec", None)
    if spec is None:
        return {}
    values = {}
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if isinstance(mark.args[0], str) else ",".join(mark.args[0])
        values[names] = tuple(id(spec.params[name.strip()]) for name in names.split(","))
    return values


def to_cover(values: Values) -> set[Hashable]:
    """The pairs and repetitions that a case with these values covers."""
    pairs = combinations(sorted((name, value) for name, value in values.items() if name not in REPEATS), 2)
    return {*pairs, *((name, value) for name, value in values.items() if name in REPEATS)}


def pairwise(cases: Sequence[Case], values: Sequence[Values]) -> list[Case]:
    """Select cases that cover every pair of values, in the given order; all cases if there are under three axes."""
    if any(len(each) < 3 for each in values):
        return list(cases)
    covers = [to_cover(each) for each in values]
    missing = set().union(*covers)
    chosen = []
    queue = [(-len(cover), i) for i, cover in enumerate(covers)]
    heapq.heapify(queue)
    while missing:
        _, i = heapq.heappop(queue)
        gain = len(covers[i] & missing)  # at most the gain at the time of queueing
        if queue and -gain > queue[0][0]:
            heapq.heappush(queue, (-gain, i))
            continue
        chosen.append(i)
        missing -= covers[i]
    return [cases[i] for i in sorted(chosen)]


def selected(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Default selection of test cases."""
    by_test = defaultdict(list)
    for item in items:
        by_test[item.nodeid.partition("[")[0]].append(item)
    return [item for cases in by_test.values() for item in pairwise(cases, [axes(case) for case in cases])]
