"""Apply the seeded faults of faults.toml: each must fail one of its tests.

    python tests/mutants/run.py [--only TEXT] [--exhaustive] [--json FILE]

Works on a copy of the tree in build/mutants, with the packages of this environment and a separate kernel, compiled for
few shapes; the working tree does not change. A fault that no test detects is reported as survived, and the exit status
is 1. --exhaustive runs the full grids, which distinguishes faults that only the default selection misses from those
that no test detects.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "mutants"
TREE, KERNEL, PYTHON = FOLDER / "tree", FOLDER / "kernel", FOLDER / "venv" / "bin" / "python"
CPU_KERNEL = "workbench/solver/kernels/"
SHAPES = "1x3;2x2"
"""Compiled shapes, representative of all; other shapes use the general path."""
KILLED, SURVIVED = 1, 0
"""Exit status of pytest with and without a failed test."""


@dataclass(frozen=True)
class Fault:
    """Replacement of `old` in `file` by `new`, which must fail one of `tests`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> None:
        """Change the file. Raises ValueError unless it contains `old` exactly once."""
        path = tree / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: expected {self.old!r} once in {self.file}, found {text.count(self.old)}")
        path.write_text(text.replace(self.old, self.new))

    @property
    def in_kernel(self) -> bool:
        """Whether the fault changes the compiled kernel."""
        return self.file.startswith(CPU_KERNEL) and "/gpu" not in self.file


@dataclass(frozen=True)
class Result:
    """Outcome of a fault: "killed", "survived", or "broken" if the tests could not run."""

    name: str
    file: str
    outcome: str
    seconds: float
    test: str = ""


def faults() -> list[Fault]:
    """All faults, in the order of the file."""
    entries = tomllib.loads(Path(__file__).with_name("faults.toml").read_text())["fault"]
    return [Fault(**{**fault, "tests": tuple(fault["tests"])}) for fault in entries]


def copy_tree() -> None:
    """Copy the files that git tracks or would add, and link the shared folder next to the tree."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    shutil.rmtree(TREE, ignore_errors=True)
    for name in filter(None, listing.stdout.split("\0")):
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)
    shared = ROOT.parent / "shared"
    if shared.exists() and not (FOLDER / "shared").exists():
        (FOLDER / "shared").symlink_to(shared)


def make_environment() -> None:
    """Create an environment with the packages of this one, without this project: its editable install would win."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", FOLDER / "venv"], check=True)
    purelib = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    (Path(purelib.stdout.strip()) / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")


def build_kernel() -> bool:
    """Compile the changed parts of the kernel and install it in the copy of the tree."""
    nanobind = subprocess.run([sys.executable, "-m", "nanobind", "--cmake_dir"], capture_output=True, text=True)
    options = [f"-DSMNN_SHAPES={SHAPES}", "-DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG", "-DSMNN_OPTIMIZATION=-O1"]
    options += [f"-Dnanobind_DIR={nanobind.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (
        ["cmake", "-S", TREE, "-B", KERNEL, "-G", "Ninja", "-DSMNN_INSTRUCTION_SETS=native", *options],
        ["cmake", "--build", KERNEL],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(result.stdout[-2000:], result.stderr[-2000:])
            return False
    for module in KERNEL.glob("_native*.so"):
        shutil.copy2(module, TREE / "workbench" / "solver" / module.name)
    return True


def run_tests(tests: tuple[str, ...], exhaustive: bool) -> tuple[int, str]:
    """Run pytest; return its exit status and the first failed test."""
    command = [PYTHON, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", *tests]
    environment = os.environ | {"PYTHONPATH": str(TREE), "OMP_NUM_THREADS": "1"}
    environment["WORKBENCH_TEST_PATIENCE"] = "60"  # a fault that hangs a test counts as killed
    result = subprocess.run(
        [*command, *(["--exhaustive"] if exhaustive else [])], cwd=TREE, env=environment, capture_output=True, text=True
    )
    lines = result.stdout.splitlines()
    return result.returncode, next((line.split(" ")[1] for line in lines if line.startswith(("FAILED", "ERROR"))), "")


def evaluate(fault: Fault, exhaustive: bool) -> Result:
    """Apply a fault, run its tests, and restore the file."""
    start, original = time.monotonic(), (TREE / fault.file).read_text()
    fault.apply(TREE)
    try:
        if fault.in_kernel and not build_kernel():
            outcome, test = "broken", "the kernel does not compile"
        else:
            status, test = run_tests(fault.tests, exhaustive)
            outcome = {KILLED: "killed", SURVIVED: "survived"}.get(status, "broken")
    finally:
        (TREE / fault.file).write_text(original)
    return Result(fault.name, fault.file, outcome, round(time.monotonic() - start, 1), test)


def main() -> int:
    """Evaluate the selected faults and print each outcome; optionally write all as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose name or file contains this text")
    parser.add_argument("--exhaustive", action="store_true", help="run the full grid of every test")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    options = parser.parse_args()
    selected = [fault for fault in faults() if options.only in fault.name or options.only in fault.file]
    copy_tree()
    make_environment()
    if not build_kernel():
        return 2
    results, kernel_changed = [], False
    for fault in selected:
        if kernel_changed and not fault.in_kernel:
            build_kernel()
        result = evaluate(fault, options.exhaustive)
        kernel_changed = fault.in_kernel
        results.append(result)
        print(f"{result.outcome:9}{result.seconds:7.1f} s  {result.name}  [{result.test}]", flush=True)
    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in ("killed", "survived", "broken")}
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if options.json:
        content = {"exhaustive": options.exhaustive, **counts, "faults": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return int(counts["killed"] < len(results))


if __name__ == "__main__":
    sys.exit(main())
