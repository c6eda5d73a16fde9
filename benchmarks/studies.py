"""Throughput of a study of Lorenz runs with Dask, relative to the same runs in bare processes.

    python benchmarks/studies.py [--runs 60] [--rounds 5] [--processes 2] [--json FILE]

Both call `run_cell` with the same settings in the same number of processes, one thread per run, without start-up and a
first run. A free bare process takes the next run from a shared queue, as a worker does. The two alternate in every
round, in alternating order, since other load on the machine varies; the throughputs are those of all rounds. Their run
files are compared. Exit status 1 if Dask has less than 85 % of the throughput of the bare processes, or if a number
differs.
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
from workbench.studies.runner import tasks_of
from workbench.studies.task import Task, run_cell

SETTINGS = {"points": 2000, "mode": "projection"}
NOISE = (0.0, 0.1)
MIN_RATIO = 0.85
MEASURED = ["seconds", "memory_mb"]


class Bare:
    """Processes with one thread each that run tasks from a queue."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._todo, self._done = context.Queue(), context.Queue()
        self._processes = [context.Process(target=_serve, args=(self._todo, self._done)) for _ in range(count)]
        for process in self._processes:
            process.start()

    def __call__(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._todo.put(task)
        for _ in tasks:
            self._done.get()

    def close(self) -> None:
        for _ in self._processes:
            self._todo.put(None)
        for process in self._processes:
            process.join()


def _serve(todo: Any, done: Any) -> None:
    while (task := todo.get()) is not None:
        done.put(run_cell(task).status)


def study(folder: Path, seeds: range) -> Study:
    return Study(folder, "lorenz", {"noise": NOISE}, seeds, SETTINGS)


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall-clock seconds, and CPU seconds of this process and its descendants."""
    cpu, begin = cpu_seconds(), time.perf_counter()
    function()
    return round(time.perf_counter() - begin, 4), round(cpu_seconds() - cpu, 4)


def cpu_seconds() -> float:
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def equal_results(one: Path, other: Path, seeds: range) -> bool:
    """Whether the results of both are bitwise equal."""
    first, second = [results(study(folder, seeds)).drop_vars(MEASURED) for folder in (one, other)]
    return bool((first.status == "finished").all()) and first.identical(second)


def measure(count: int, rounds: int, processes: int, folder: Path) -> dict[str, Any]:
    """Seconds of every round with Dask and with bare processes."""
    per_round = count // rounds // len(NOISE)
    bare, seconds, cores = Bare(processes), {"dask": [], "bare": []}, {"dask": [], "bare": []}
    try:
        with local(processes) as client:
            for number in range(-1, rounds):  # the first one is a warm-up
                seeds = range((number + 1) * per_round, (number + 2) * per_round)
                with_dask, without = study(folder / "dask", seeds), study(folder / "bare", seeds)
                tasks = tasks_of("lorenz", without.cells, without.folder, threads=1)
                sides = {"dask": lambda s=with_dask: run(s, client), "bare": lambda t=tasks: bare(t)}
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
        "same_numbers": equal_results(folder / "dask", folder / "bare", every),
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
        result = measure(options.runs, options.rounds, options.processes, Path(folder))
    load.append(os.getloadavg()[0])
    result |= {
        "experiment": "lorenz",
        "settings": {**SETTINGS, "noise": NOISE},
        "processes": options.processes,
        "threads_per_run": 1,
        "machine": {"cores": psutil.cpu_count(), "processor": platform.machine(), "load_before_and_after": load},
        "versions": {"python": platform.python_version(), "distributed": distributed.__version__},
    }
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(
        f"{result['ratio_of_throughputs']:.1%} of the throughput of bare processes; "
        f"by CPU time {result['ratio_of_core_seconds']:.1%}; same numbers: {result['same_numbers']}"
    )
    return 0 if result["ratio_of_throughputs"] >= MIN_RATIO and result["same_numbers"] else 1


if __name__ == "__main__":
    sys.exit(main())
