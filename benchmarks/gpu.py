"""All that is to be known of the GPU backend, on a GPU, in one go: printed, and written with device, date and commit.

    python benchmarks/gpu.py [--published DIR] [--json benchmarks/results/gpu.json]

1. speed: the shapes of solver.py, forward and backward, float64, all variants alternately in one process; medians, by
   events of the device; ratios to the published smnn.py with its CUDA graphs, a local copy of which is in DIR.
2. bandwidth: the bytes that the kernels have to move at least (`traffic`), by those medians, as a share of what a copy
   moves.
3. growth: B = 1 and B = 8, R = 3, T to 1,000,000, each point in a fresh process; slopes of the best pass and of memory.
4. memory: peak above the inputs, a fresh process each.
5. agreement: u and gradients beside `native`, for systems with cond(A) <= 1e3.
6. accuracy: the oscillator of solver.py against its closed form.

Takes some ten minutes, with --quick one.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from math import nan, prod
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from solver import PUBLISHED, SHAPES, accuracy, commit, growth, memory, plain, speed

from workbench.scaling import Budget, Case, Host, machine
from workbench.solver import LinearODE, solve
from workbench.solver.backends import cuda
from workbench.solver.rows import rows

RESULT = Path(__file__).parent / "results" / "gpu.json"
METHODS = ("qr", "cholesky", "qr32")
MORE_SHAPES = {"many coupled": Case(T=1000, B=2048, E=3, D=3), "wide": Case(T=200, B=256, E=4, D=4, K=4)}
SIZES = [(1, 1, 2), (1, 1, 3), (1, 2, 3), (2, 2, 3), (3, 3, 3), (1, 1, 5), (4, 3, 4)]  # D, E, K
MOST_CONDITION = 1e3


def copy_bandwidth(device: str, repeats: int = 20) -> float:
    """Bytes per second that a copy within the memory of the device reads and writes together; the best of all."""
    size = 2**30 if device.startswith("cuda") else 2**24
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    best = min(_seconds(device, lambda: target.copy_(source)) for _ in range(repeats + 1))
    return 2 * size / best


def _seconds(device: str, work: Any) -> float:
    if not device.startswith("cuda"):
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    marks[0].record()
    work()
    marks[1].record()
    marks[1].synchronize()
    return 1e-3 * marks[0].elapsed_time(marks[1])


def traffic(problem: LinearODE, method: str) -> tuple[int, int]:
    """Bytes that the forward and the backward pass have to move, each number once per pass over the grid points.

    Forward: the arguments are read, the factor and z written and read again, u written. Backward: the upstream gradient
    read, the factor read twice, a written and read, lambda written; then u, lambda and the arguments read and their
    gradients written.
    """
    plan = cuda.CudaCall(problem, method).plan
    kept = plan.shared() if plan.columns > 1 else plan.own()
    factor = sum(map(prod, kept)) * plan.real.itemsize
    points = plan.systems * problem.T * problem.R
    z, u = points * plan.real.itemsize, points * 8
    arguments = sum(problem.tensors[name].numel() for name in ("coefficients", "forcing", "initial", "steps")) * 8
    return arguments + 2 * factor + 2 * z + u, 2 * factor + 2 * z + 4 * u + 2 * arguments


def bandwidth(timed: Sequence[dict[str, Any]], copy: float, shapes: dict[str, Case]) -> list[dict[str, Any]]:
    """Of every timed row of cuda the share of the copy bandwidth, forward and backward."""
    found = []
    for row in timed:
        backend, _, method = row["variant"].partition(" ")
        if backend != "cuda" or "ms" not in row:
            continue
        moved = traffic(replace(shapes[row["shape"]], device="meta").problem(), method)
        shares = [size / (1e-3 * ms) / copy for size, ms in zip(moved, row["ms"], strict=True)]
        found.append({"shape": row["shape"], "method": method, "MB": [size / 1e6 for size in moved], "share": shares})
        print(f"{row['shape']:17s} {method:9s} {shares[0]:6.1%} and {shares[1]:6.1%} of the copy bandwidth", flush=True)
    return found


def condition(problem: LinearODE) -> torch.Tensor:
    """cond(A) of every system, whose arguments all have the whole batch."""
    unit = torch.eye(problem.T * problem.R, dtype=torch.float64)
    columns = []
    for e in unit:  # a column of A for all systems at once
        x = e.reshape(problem.T, problem.D, problem.K).expand(*problem.batch, -1, -1, -1)
        columns.append(rows(problem, x).detach().reshape(*problem.batch, -1))
    values = torch.linalg.svdvals(torch.stack(columns, -1))
    return values[..., 0] / values[..., -1]


def agreement(device: str, backend: str = "cuda", T: int = 16, B: int = 64) -> list[dict[str, Any]]:
    """Largest relative difference of u and of gradients to `native`, over the systems of small condition."""
    found = []
    for D, E, K in SIZES:
        for central in (False, True):
            drawn = Case(T=T, B=B, E=E, D=D, K=K, central=central).problem()
            drawn = replace(drawn, steps=(6 * drawn.steps.detach()).requires_grad_())
            fit = condition(drawn) <= MOST_CONDITION
            for method in ("qr", "cholesky"):
                ours = _differentiated(drawn, backend, method, device)
                theirs = _differentiated(drawn, "native", method, "cpu")
                pairs = [(a[fit], b[fit]) for a, b in zip(ours, theirs, strict=True)]
                worst = [float((a - b).abs().max() / b.abs().max()) if len(b) else nan for a, b in pairs]
                row = {"D": D, "E": E, "K": K, "central": central, "method": method, "systems": int(fit.sum())}
                found.append({**row, "u": worst[0], "gradients": max(worst[1:])})
                print(*found[-1].values(), flush=True)
    return found


def _differentiated(problem: LinearODE, backend: str, method: str, device: str) -> list[torch.Tensor]:
    """u, and the gradient of sum u^2 for coefficients, forcing, initial values and steps; on the CPU."""
    given = (problem.coefficients, problem.forcing, problem.initial, problem.steps)
    leaves = [x.detach().to(device).requires_grad_() for x in given]
    there = LinearODE(*leaves, central=problem.central, n_steps=problem.T)
    u = solve(there, backend=backend, method=method).u
    return [x.detach().cpu() for x in (u, *torch.autograd.grad(u.square().sum(), leaves))]


def everything(options: argparse.Namespace, shapes: dict[str, Case], backend: str = "cuda") -> dict[str, Any]:
    """All sections, by name. `backend`: who is measured beside the published code and `banded`."""
    device, pairs = options.device, [(backend, method) for method in METHODS if method in options.methods]
    published = [PUBLISHED] if options.published else []
    budget, repeats, last = Budget(options.seconds), options.repeats, options.last
    result: dict[str, Any] = {"machine": machine(), "commit": commit(), "device": device}
    result["copy bandwidth"] = copy = copy_bandwidth(device)
    with Host() as host:
        result["speed"] = speed([*published, *pairs, ("banded", "qr")], repeats, budget, host, device, shapes)
        result["bandwidth"] = bandwidth(result["speed"], copy, shapes)
        for B in (1, 8):
            result[f"growth, B = {B}"] = growth([*published, *pairs], last, budget, host, device, B)[0]
        result["memory"] = memory([*published, *pairs], budget, host, device) if not options.quick else []
        result["agreement"] = agreement(device, backend)
        result["accuracy"] = accuracy(pairs, budget, host, device)
    return result


def asked(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", help="the folder of smnn.py")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="three repeats, T to 10,000, no memory")
    parser.add_argument("--seconds", type=float, default=30.0, help="time budget of a variant at one shape or point")
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--json", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    options.repeats, options.last = (3, 10**4) if options.quick else (9, 10**6)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = asked(arguments)
    reason = cuda.unfit(torch.device(options.device))
    if reason:
        raise SystemExit(f"{options.device}: {reason}")
    if options.published:
        sys.path.insert(0, options.published)
    begin = time.monotonic()
    result = everything(options, {**SHAPES, **MORE_SHAPES})
    result["seconds"] = time.monotonic() - begin
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(plain(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
