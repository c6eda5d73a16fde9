"""Benchmark time, memory and accuracy of the solver by backend and method; prints, writes JSON and a chart.

    python benchmarks/solver/speed.py [--published DIR] [--long] [--device cuda] [--json FILE] [--plot FILE.svg]

1. speed: seven shapes, float64, forward and backward, variants interleaved in one process; medians.
2. growth: B = 8, R = 3 against T, each point in a fresh process; exponents of time (best pass) and memory.
3. memory: peak above the inputs, forward and backward, each in a fresh process: of the resident set, or of the memory
   allocated by torch on a GPU.
4. accuracy: u'' + 0.1 u' + u = 0, u(0) = 1, u'(0) = 0, K = 3, largest error of u against the closed form.

DIR contains a local copy of the published smnn.py, which is not part of this project; it is timed in the same rounds,
without its optional compiled extension, and the ratios published / ours are reported. --long continues to T =
1,000,000. Compare ratios within one run: the machine may have been busy (`load`). On a GPU, device events are used for
timing and the published code may use CUDA graphs; see also benchmarks/solver/gpu.py.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite, isnan, nan
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.chart import Curve, Panel, page
from workbench.compare import Example, Variant, compare
from workbench.scaling import Budget, Case, Host, JobStatus, Point, by_variant, grid, limit, machine, measure, slope
from workbench.scaling import variants as every_pair
from workbench.scaling.timing import one_pass, solver

ROOT = Path(__file__).parents[2]
PUBLISHED = ("published:ode_forward", "")
SHAPES = {
    "many short": Case(T=50, B=512),
    "many long": Case(T=1000, B=64),
    "more long": Case(T=1000, B=512),
    "KdV shape": Case(T=10, B=8192, K=5),
    "coupled": Case(T=1000, B=64, E=3, D=3),
    "one long": Case(T=20_000),
    "shared left side": Case(T=50, shared=1536),
}
RATIO_GOALS = {  # native, 2 cores with AVX-512, float64; half of it on AVX2
    "many short": 40,
    "many long": 100,
    "KdV shape": 45,
    "coupled": 35,
    "one long": 1500,
    "shared left side": 40,
}
GPU_GOALS = {"more long": 20, "KdV shape": 5, "coupled": 10, "one long": 100}  # cuda, an H200, float64
GOALS = {"native": RATIO_GOALS, "cuda": GPU_GOALS}
MEMORY = {"64 x 10000, R = 3": Case(T=10_000, B=64), "16 x 10000, R = 9": Case(T=10_000, B=16, E=3, D=3)}
PATIENCE = 6
OSCILLATORS = [(1e-3, 1000), (1e-4, 1000), (1e-4, 10_000), (1e-5, 1000)]


def name_of(case: Case) -> str:
    """The label of the backend and method."""
    return replace(case, device="cpu").label


# 1. speed


def speed(
    pairs: Sequence[tuple[str, str]],
    repeats: int,
    budget: Budget,
    host: Host,
    device: str = "cpu",
    shapes: Mapping[str, Case] = SHAPES,
) -> list[dict[str, Any]]:
    """Median times in milliseconds, and ratios to the published code, by shape and variant."""
    rows = []
    for shape, size in shapes.items():
        cases = [replace(size, backend=backend, method=method, device=device) for backend, method in pairs]
        results = interleave(cases, repeats, budget, host)
        published = sum(results.get("published", {}).get("ms", [nan]))
        for name, row in results.items():
            ratio = published / sum(row["ms"]) if "ms" in row else nan
            row = {"shape": shape, "B": size.B * size.shared, "T": size.T, "R": size.D * size.K, "variant": name} | row
            if not isnan(ratio) and name != "published":
                row |= {"ratio": ratio, "goal": GOALS.get(name.split()[0], {}).get(shape)}
            rows.append(row)
            show_speed(row)
    return rows


def interleave(cases: Sequence[Case], repeats: int, budget: Budget, host: Host) -> dict[str, dict[str, Any]]:
    """Rounds of one pass per case, without the first round; a case that has used its budget is skipped.

    Unsupported cases, and those beyond the budget, are excluded after one pass in a separate process.
    """
    problem, results, passes, spent = cases[0].problem(), {}, {}, {}
    for case in cases:
        (point,) = measure([case], sizes=[case.T], budget=budget, repeats=1, host=host)
        results[name_of(case)] = {"status": point.status, "words": point.words}
        if point.status is JobStatus.OK:
            passes[case], spent[case] = [], 0.0
            results[name_of(case)] = {"memory_MB": point.memory / 1e6}
    for round_number in range(repeats + 1):
        for case, times in passes.items():
            if spent[case] < budget.seconds or round_number == 1:
                _, forward, backward = one_pass(solver(case.backend, case.method), problem)
                spent[case] += forward + backward
                times += [(forward, backward)] if round_number else []
    for case, times in passes.items():
        medians = [1e3 * statistics.median(part) for part in zip(*times, strict=True)]
        results[name_of(case)] |= {"ms": medians, "passes": len(times)}
    return results


def show_speed(row: dict[str, Any]) -> None:
    head = f"{row['shape']:17s} {row['variant']:16s}"
    if "ms" not in row:
        print(head, row["status"], row["words"][:60], flush=True)
        return
    ratio = f"  ratio {row['ratio']:7.2f}" if "ratio" in row else ""
    goal = f" (goal {row['goal']})" if row.get("goal") else ""
    print(f"{head} {row['ms'][0]:9.2f} + {row['ms'][1]:9.2f} ms{ratio}{goal}", flush=True)


# 2. growth and 3. memory


def growth(
    pairs: Sequence[tuple[str, str]], last: int, budget: Budget, host: Host, device: str = "cpu", B: int = 8
) -> tuple[list[dict], list[Point]]:
    """The series of every variant from T = 100 until it fails or exceeds the budget."""
    points = []
    cases = [Case(T=2, B=B, backend=backend, method=method, device=device) for backend, method in pairs]
    for point in measure(cases, sizes=grid(100, last, per_decade=3), budget=budget, repeats=5, host=host):
        points.append(point)
        show_point(point)
    return [summary(curve, budget) for curve in by_variant(points).values()], points


def summary(curve: list[Point], budget: Budget) -> dict[str, Any]:
    """Fitted exponents from T = 1e4 on (below, if nothing larger was reached) and the predicted limit."""
    row = {"variant": name_of(curve[0].case), "points": [numbers(point) for point in curve]}
    good = [point for point in curve if point.status is JobStatus.OK]
    large = [point for point in good if point.case.T >= 10_000]
    used = large if len(large) > 2 else good[-4:]
    if len(used) > 2:
        row["fitted from T"] = used[0].case.T
        row["slope of time"] = asdict(slope(used, "best"))
        row["slope of memory"] = asdict(slope(used, "memory"))
        row["limit"] = asdict(limit(good, budget))
        slopes = (f"{row[f'slope of {what}']['value']:.3f} in {what}" for what in ("time", "memory"))
        end = row["limit"]
        print(
            f"{row['variant']:16s} slopes {', '.join(slopes)}; limit T = {end['size']:.2g} by {end['by']}", flush=True
        )
    return row


def numbers(point: Point) -> dict[str, Any]:
    """A point as a dict, without missing values."""
    row = {"T": point.case.T, "B": point.case.B, **asdict(point)}
    del row["case"]
    return {name: value for name, value in row.items() if value != "" and value == value}


def show_point(point: Point) -> None:
    cost = f"{point.forward:9.4f} + {point.backward:9.4f} s, {point.memory / 1e6:9.1f} MB"
    text = cost if point.status is JobStatus.OK else point.words
    print(f"T = {point.case.T:7d} {name_of(point.case):16s} {point.status:22s} {text}", flush=True)


def memory(pairs: Sequence[tuple[str, str]], budget: Budget, host: Host, device: str = "cpu") -> list[dict[str, Any]]:
    """Peak megabytes above the inputs of the two long problems, and the ratio to the published code.

    A pass may take `PATIENCE` times the budget.
    """
    rows, budget = [], replace(budget, seconds=PATIENCE * budget.seconds)
    for shape, size in MEMORY.items():
        cases = [replace(size, backend=backend, method=method, device=device) for backend, method in pairs]
        points = measure(cases, sizes=[size.T], budget=budget, repeats=1, host=host)
        by_name = {name_of(p.case): p for p in points}
        for name, point in by_name.items():
            row = {"shape": shape, "variant": name, "status": point.status, "words": point.words}
            if point.status is JobStatus.OK:
                row |= {"forward_MB": point.memory_forward / 1e6, "MB": point.memory / 1e6}
            published = by_name.get("published", Point(size, JobStatus.FAILED))
            if {point.status, published.status} == {JobStatus.OK} and name != "published":
                row["share of published"] = point.memory / published.memory
            rows.append(row)
            share = f"  {row['share of published']:.2f} of published" if "share of published" in row else ""
            text = f"{row['MB']:9.1f} MB{share}" if "MB" in row else f"{point.status}: {point.words}"
            print(f"{shape:18s} {name:16s} {text}", flush=True)
    return rows


# 4. accuracy


def accuracy(pairs: Sequence[tuple[str, str]], budget: Budget, host: Host, device: str = "cpu") -> list[dict[str, Any]]:
    """Largest error of the oscillator by step, length and variant."""
    rows = []
    variants = [Variant(backend, method) for backend, method in pairs]
    for h, T in OSCILLATORS:
        example = Example("oscillator", T=T, h=h, K=3, device=device)
        for result in compare(example, variants, budget=budget, host=host):
            row = {"h": h, "T": T, "variant": result.variant.label, "status": result.status}
            row |= {"error": result.largest_error} if result.status is JobStatus.OK else {"words": result.words}
            rows.append(row)
            print(f"h = {h:g} T = {T:6d} {row['variant']:16s} {row.get('error', row['status'])}", flush=True)
    return rows


# output


def panels(result: dict[str, Any], points: Sequence[Point]) -> Iterator[Panel]:
    """Panels of time by shape, time against T, and memory against T, with the same colour per variant."""
    names = list(dict.fromkeys(row["variant"] for row in result["speed"]))
    yield shape_panel(result["speed"], names)
    growth_rows = {row["variant"]: row for row in result["growth"]}
    for what, quantity, unit in (("time", "best", "seconds"), ("memory", "memory", "bytes above the inputs")):
        panel = Panel(f"Growth of {what} with T: 8 systems, R = 3", "grid points T", f"{unit}, forward and backward")
        for key, curve in by_variant(points).items():
            good = [(p.case.T, getattr(p, quantity)) for p in curve if p.status is JobStatus.OK]
            good = [(T, value) for T, value in good if value > 0]
            failed = next((p for p in curve if p.status is not JobStatus.OK), None)
            marks = [(failed.case.T, good[-1][1], str(failed.status))] if failed and good else []
            fit = growth_rows[name_of(key)].get(f"slope of {what}")
            label = f"{name_of(key)}, slope {fit['value']:.2f}" if fit else name_of(key)
            panel.curves.append(Curve(label, good, marks, names.index(name_of(key))))
        yield panel


def shape_panel(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Panel:
    """One column per shape, one dot per variant."""
    shapes = list(SHAPES)
    ticks = [shape.replace(" ", "\n", 1) for shape in shapes]
    panel = Panel("Time of one forward and backward pass, by shape", "", "milliseconds (lower is better)", ticks=ticks)
    for number, name in enumerate(names):
        offset = 0.12 * (number - (len(names) - 1) / 2)
        timed = [row for row in rows if row["variant"] == name and "ms" in row]
        points = [(shapes.index(row["shape"]) + 1 + offset, sum(row["ms"])) for row in timed]
        panel.curves.append(Curve(name, points, colour=number))
    return panel


def commit() -> str:
    """The current commit, with a + if files are modified."""
    outputs = [
        subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        for arguments in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    ]
    return outputs[0] + ("+" if outputs[1] else "")


def plain(value: Any) -> Any:
    """A value for JSON: floats rounded to four digits, null if not finite."""
    if isinstance(value, dict):
        return {name: plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if isfinite(value) else None
    return value


def write(result: dict[str, Any], points: Sequence[Point], json_path: Path | None, plot_path: Path | None) -> None:
    facts = result["machine"]
    description = f"{facts['processor']}, {facts['cores']} cores, {facts['instructions']}, torch {facts['torch']}"
    description = f"{facts['gpu']}, {description}" if "gpu" in facts else description
    if json_path:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(plain(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if plot_path:
        text = page(list(panels(result, points)), f"{description}, {facts['date'][:10]}, commit {result['commit']}")
        plot_path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", help="folder of smnn.py")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=20.0, help="time budget per variant and shape or point")
    parser.add_argument("--long", action="store_true", help="continue the series to T = 1,000,000 instead of 100,000")
    parser.add_argument("--only", nargs="*", help="backends to run (default: all)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = options.device
    pairs = [pair for pair in every_pair(device) if not options.only or pair[0] in options.only]
    if options.published:
        sys.path.insert(0, options.published)
        pairs.insert(0, PUBLISHED)
    budget = Budget(options.seconds)
    result = {"machine": machine(), "commit": commit(), "threads": options.threads, "load": [os.getloadavg()[0]]}
    begin = time.monotonic()
    with Host() as host:
        result["speed"] = speed(pairs, options.repeats, budget, host, device)
        result["growth"], points = growth(pairs, 10**6 if options.long else 10**5, budget, host, device)
        result["memory"] = memory(pairs, budget, host, device)
        result["accuracy"] = accuracy(pairs, budget, host, device)
    result["load"].append(os.getloadavg()[0])
    result["seconds"] = time.monotonic() - begin
    write(result, points, options.json, options.plot)


if __name__ == "__main__":
    main()
