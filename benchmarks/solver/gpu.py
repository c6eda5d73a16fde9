"""Benchmark the GPU backend; prints the results and writes them with device, date and commit.

    python benchmarks/solver/gpu.py [--published DIR] [--json benchmarks/results/gpu.json]

1. speed: the shapes of speed.py, forward and backward, float64, variants interleaved in one process; medians, timed by
   device events; ratios to the published smnn.py with its CUDA graphs (a local copy in DIR).
2. bandwidth: the minimal memory traffic of the kernels (`traffic`) per median time, relative to a copy.
3. growth: B = 1 and B = 8, R = 3, T up to 1,000,000, each point in a fresh process; exponents of time and memory.
4. memory: peak above the inputs, each in a fresh process.
5. agreement: u and gradients compared with `native`, for systems with cond(A) <= 1e3.
6. accuracy: the oscillator of speed.py against its closed form.

Takes about ten minutes, with --quick one minute.
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

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.solver.speed import PUBLISHED, SHAPES, accuracy, commit, growth, memory, plain, speed
from workbench.scaling import Budget, Case, Host, machine
from workbench.solver import LinearODE, solve
from workbench.solver.backends import cuda
from workbench.solver.rows import rows

RESULT = Path(__file__).parents[1] / "results" / "gpu.json"
METHODS = ("qr", "cholesky", "qr32")
MORE_SHAPES = {"many coupled": Case(T=1000, B=2048, E=3, D=3), "wide": Case(T=200, B=256, E=4, D=4, K=4)}
SIZES = [(1, 1, 2), (1, 1, 3), (1, 2, 3), (2, 2, 3), (3, 3, 3), (1, 1, 5), (4, 3, 4)]  # D, E, K
MOST_CONDITION = 1e3


def copy_bandwidth(device: str, repeats: int = 20) -> float:
    """Bytes per second read and written by a copy within device memory; the maximum over repeats."""
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
    """Minimal memory traffic of the forward and the backward pass in bytes, each number once per pass.

    Forward: arguments read, factor and z written and read, u written. Backward: upstream gradient read, factor read
    twice, a written and read, lambda written; then u, lambda and the arguments read and their gradients written.
    """
    plan = cuda.CudaCall(problem, method).plan
    shapes = plan.shared_factor_shapes() if plan.columns > 1 else plan.system_factor_shapes()
    factor = sum(map(prod, shapes)) * plan.real.itemsize
    points = plan.systems * problem.T * problem.R
    z, u = points * plan.real.itemsize, points * 8
    arguments = sum(problem.tensors[name].numel() for name in ("coefficients", "forcing", "initial", "steps")) * 8
    return arguments + 2 * factor + 2 * z + u, 2 * factor + 2 * z + 4 * u + 2 * arguments


def bandwidth(timed: Sequence[dict[str, Any]], copy: float, shapes: dict[str, Case]) -> list[dict[str, Any]]:
    """The share of the copy bandwidth of every timed variant of `cuda`, forward and backward."""
    result = []
    for row in timed:
        backend, _, method = row["variant"].partition(" ")
        if backend != "cuda" or "ms" not in row:
            continue
        sizes = traffic(replace(shapes[row["shape"]], device="meta").problem(), method)
        shares = [size / (1e-3 * ms) / copy for size, ms in zip(sizes, row["ms"], strict=True)]
        result.append({"shape": row["shape"], "method": method, "MB": [size / 1e6 for size in sizes], "share": shares})
        print(f"{row['shape']:17s} {method:9s} {shares[0]:6.1%} and {shares[1]:6.1%} of the copy bandwidth", flush=True)
    return result


def condition(problem: LinearODE) -> torch.Tensor:
    """cond(A) of every system; all arguments must have the full batch shape."""
    unit = torch.eye(problem.T * problem.R, dtype=torch.float64)
    columns = []
    for e in unit:  # one column of A for all systems
        x = e.reshape(problem.T, problem.D, problem.K).expand(*problem.batch, -1, -1, -1)
        columns.append(rows(problem, x).detach().reshape(*problem.batch, -1))
    values = torch.linalg.svdvals(torch.stack(columns, -1))
    return values[..., 0] / values[..., -1]


def agreement(device: str, backend: str = "cuda", T: int = 16, B: int = 64) -> list[dict[str, Any]]:
    """Largest relative differences of u and gradients from `native`, over the well-conditioned systems."""
    result = []
    for D, E, K in SIZES:
        for central in (False, True):
            problem = Case(T=T, B=B, E=E, D=D, K=K, central=central).problem()
            problem = replace(problem, steps=(6 * problem.steps.detach()).requires_grad_())
            selected = condition(problem) <= MOST_CONDITION
            for method in ("qr", "cholesky"):
                ours = _solution_and_gradients(problem, backend, method, device)
                reference = _solution_and_gradients(problem, "native", method, "cpu")
                pairs = [(a[selected], b[selected]) for a, b in zip(ours, reference, strict=True)]
                worst = [float((a - b).abs().max() / b.abs().max()) if len(b) else nan for a, b in pairs]
                row = {"D": D, "E": E, "K": K, "central": central, "method": method, "systems": int(selected.sum())}
                result.append({**row, "u": worst[0], "gradients": max(worst[1:])})
                print(*result[-1].values(), flush=True)
    return result


def _solution_and_gradients(problem: LinearODE, backend: str, method: str, device: str) -> list[torch.Tensor]:
    """u, and the gradients of sum u^2 to coefficients, forcing, initial values and steps, as CPU tensors."""
    arguments = (problem.coefficients, problem.forcing, problem.initial, problem.steps)
    leaves = [x.detach().to(device).requires_grad_() for x in arguments]
    copy = LinearODE(*leaves, central=problem.central, n_steps=problem.T)
    u = solve(copy, backend=backend, method=method).u
    return [x.detach().cpu() for x in (u, *torch.autograd.grad(u.square().sum(), leaves))]


def run_sections(options: argparse.Namespace, shapes: dict[str, Case], backend: str = "cuda") -> dict[str, Any]:
    """The results of all sections by name; `backend` is compared with the published code and `banded`."""
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


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", help="folder of smnn.py")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="three repeats, T up to 10,000, no memory section")
    parser.add_argument("--seconds", type=float, default=30.0, help="time budget per variant and shape or point")
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--json", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    options.repeats, options.last = (3, 10**4) if options.quick else (9, 10**6)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    reason = cuda.unavailable_reason(torch.device(options.device))
    if reason:
        raise SystemExit(f"{options.device}: {reason}")
    if options.published:
        sys.path.insert(0, options.published)
    begin = time.monotonic()
    result = run_sections(options, {**SHAPES, **MORE_SHAPES})
    result["seconds"] = time.monotonic() - begin
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(plain(result), indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
