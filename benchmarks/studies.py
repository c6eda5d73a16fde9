"""Lorenz runs of a study through Dask beside the same runs in bare processes, in one measurement.

    python benchmarks/studies.py [--runs 60] [--rounds 5] [--processes 2] [--json FILE]

Both sides: `run_cell` of the same settings in as many processes, one thread per run, start-up and a first run excluded.
A bare process takes the next run from a shared list when it is free, as a worker does. The sides alternate, round by
round, and take turns in going first, since other work on the machine slows whoever runs; the throughputs are those of
all rounds. Both leave the same run files, whose numbers are compared. Exit status 1 if Dask has less than 85 % of the
throughput of the bare processes, or if a number differs.
"""

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import distributed
import psutil

from workbench.studies import Study, local, results, run
from workbench.studies.runner import jobs
from workbench.studies.task import Task, run_cell

SETTINGS = {"points": 2000, "mode": "projection"}
NOISE = (0.0, 0.1)
LEAST = 0.85
MEASURED = ["seconds", "memory_mb"]


class Bare:
    """Processes that do nothing but take jobs from a queue, each with one thread."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._todo, self._done = context.Queue(), context.Queue()
        self._processes = [context.Process(target=_serve, args=(self._todo, self._done)) for _ in range(count)]
        for process in self._processes:
            process.start()

    def __call__(self, given: list[Task]) -> None:
        for job in given:
            self._todo.put(job)
        for _ in given:
            self._done.get()

    def close(self) -> None:
        for _ in self._processes:
            self._todo.put(None)
        for process in self._processes:
            process.join()


def _serve(todo: Any, done: Any) -> None:
    while (job := todo.get()) is not None:
        done.put(run_cell(job).status)


def study(folder: Path, seeds: range) -> Study:
    return Study(folder, "lorenz", {"noise": NOISE}, seeds, SETTINGS)


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of cores taken by this process and all below it."""
    before, begin = computed(), time.perf_counter()
    act()
    return round(time.perf_counter() - begin, 4), round(computed() - before, 4)


def computed() -> float:
    here = psutil.Process()
    times = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def compared(one: Path, other: Path, seeds: range) -> bool:
    """Whether both sides found the same numbers, to the last digit."""
    found = [results(study(folder, seeds)).drop_vars(MEASURED) for folder in (one, other)]
    return bool((found[0].status == "finished").all()) and found[0].identical(found[1])


def measure(count: int, rounds: int, processes: int, folder: Path) -> dict[str, Any]:
    """Seconds of every round on either side."""
    per_round = count // rounds // len(NOISE)
    bare, seconds, cores = Bare(processes), {"dask": [], "bare": []}, {"dask": [], "bare": []}
    try:
        with local(processes) as client:
            for number in range(-1, rounds):  # the first one warms up and does not count
                seeds = range((number + 1) * per_round, (number + 2) * per_round)
                with_dask, without = study(folder / "dask", seeds), study(folder / "bare", seeds)
                given = jobs("lorenz", without.cells, without.folder, threads=1)
                sides = {"dask": lambda s=with_dask: run(s, client), "bare": lambda g=given: bare(g)}
                for name in sorted(sides, reverse=bool(number % 2)):
                    clock, core = timed(sides[name])
                    if number >= 0:
                        seconds[name].append(clock)
                        cores[name].append(core)
                print(f"round {number + 1} of {rounds}: {seconds} {cores}", flush=True)
    finally:
        bare.close()
    every = range(per_round * (rounds + 1))
    return {
        "runs": per_round * rounds * len(NOISE),
        "seconds": seconds,
        "core_seconds": cores,
        "ratio_of_core_seconds": round(sum(cores["bare"]) / sum(cores["dask"]), 4),
        "ratio_of_throughputs": round(sum(seconds["bare"]) / sum(seconds["dask"]), 4),
        "same_numbers": compared(folder / "dask", folder / "bare", every),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "studies.json")
    options = parser.parse_args()
    load = [os.getloadavg()[0]]
    with TemporaryDirectory() as folder:
        found = measure(options.runs, options.rounds, options.processes, Path(folder))
    load.append(os.getloadavg()[0])
    found |= {
        "experiment": "lorenz",
        "settings": {**SETTINGS, "noise": NOISE},
        "processes": options.processes,
        "threads_per_run": 1,
        "machine": {"cores": psutil.cpu_count(), "processor": platform.machine(), "load_before_and_after": load},
        "versions": {"python": platform.python_version(), "distributed": distributed.__version__},
    }
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(
        f"{found['ratio_of_throughputs']:.1%} of the throughput of bare processes; "
        f"by the time of cores {found['ratio_of_core_seconds']:.1%}; same numbers: {found['same_numbers']}"
    )
    return 0 if found["ratio_of_throughputs"] >= LEAST and found["same_numbers"] else 1


if __name__ == "__main__":
    sys.exit(main())
