"""Try the seeded faults of faults.toml: each must make one of its tests fail.

    python tests/mutants/run.py [--only WORDS] [--exhaustive] [--json FILE]

Works on a copy of the tree in build/mutants, with the packages of this environment and a kernel of its own, compiled
without most of its shapes; this tree stays as it is. A fault that no test sees is reported as survived, and the exit
status is 1. --exhaustive runs the full grids, to tell a fault that the default selection misses from one that no test
sees.
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
PLACE = ROOT / "build" / "mutants"
TREE, KERNEL, PYTHON = PLACE / "tree", PLACE / "kernel", PLACE / "venv" / "bin" / "python"
CPU_KERNEL = "workbench/solver/kernels/"
SHAPES = "1x3;2x2"
"""Compiled, as representatives of the known shapes; other shapes take the general path."""
KILLED, SURVIVED = 1, 0
"""Exit status of pytest where a test failed, and where none did."""


@dataclass(frozen=True)
class Fault:
    """`old` in `file` becomes `new`, and one of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, tree: Path) -> None:
        """Change the file. Raises ValueError where `old` does not stand in it exactly once."""
        path = tree / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: expected {self.old!r} once in {self.file}, found {text.count(self.old)}")
        path.write_text(text.replace(self.old, self.new))

    @property
    def in_kernel(self) -> bool:
        """Whether the compiled kernel has to be built again."""
        return self.file.startswith(CPU_KERNEL) and "/gpu" not in self.file


@dataclass(frozen=True)
class Result:
    """What became of a fault: "killed", "survived", or "broken" where the tests could not run."""

    name: str
    file: str
    outcome: str
    seconds: float
    test: str = ""


def faults() -> list[Fault]:
    """All of them, in the order of the file."""
    given = tomllib.loads(Path(__file__).with_name("faults.toml").read_text())["fault"]
    return [Fault(**{**fault, "tests": tuple(fault["tests"])}) for fault in given]


def copy_tree() -> None:
    """The files of this tree that git knows or would add, and what they are tested with from beside it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    shutil.rmtree(TREE, ignore_errors=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)
    shared = ROOT.parent / "shared"
    if shared.exists() and not (PLACE / "shared").exists():
        (PLACE / "shared").symlink_to(shared)


def make_environment() -> None:
    """An environment that has the packages of this one, but not this project: an editable install would win."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", PLACE / "venv"], check=True)
    inside = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True
    )
    (Path(inside.stdout.strip()) / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")


def build_kernel() -> bool:
    """Compile what changed in the kernel of the tree, and put it there."""
    nanobind = subprocess.run([sys.executable, "-m", "nanobind", "--cmake_dir"], capture_output=True, text=True)
    options = [f"-DSMNN_SHAPES={SHAPES}", "-DCMAKE_CXX_FLAGS_RELEASE=-DNDEBUG", "-DSMNN_OPTIMIZATION=-O1"]
    options += [f"-Dnanobind_DIR={nanobind.stdout.strip()}", f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (
        ["cmake", "-S", TREE, "-B", KERNEL, "-G", "Ninja", "-DSMNN_INSTRUCTION_SETS=native", *options],
        ["cmake", "--build", KERNEL],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:])
            return False
    for module in KERNEL.glob("_native*.so"):
        shutil.copy2(module, TREE / "workbench" / "solver" / module.name)
    return True


def run_tests(tests: tuple[str, ...], exhaustive: bool) -> tuple[int, str]:
    """Exit status of pytest, and the test that failed first."""
    command = [PYTHON, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--tb=no", *tests]
    environment = os.environ | {"PYTHONPATH": str(TREE), "OMP_NUM_THREADS": "1"}
    environment["WORKBENCH_TEST_PATIENCE"] = "60"  # a fault that makes a test hang is killed too
    done = subprocess.run(
        [*command, *(["--exhaustive"] if exhaustive else [])], cwd=TREE, env=environment, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    return done.returncode, next((line.split(" ")[1] for line in lines if line.startswith(("FAILED", "ERROR"))), "")


def tried(fault: Fault, exhaustive: bool) -> Result:
    """Apply the fault, run its tests, and put the file back."""
    begin, original = time.monotonic(), (TREE / fault.file).read_text()
    fault.apply(TREE)
    try:
        if fault.in_kernel and not build_kernel():
            outcome, test = "broken", "the kernel does not compile"
        else:
            status, test = run_tests(fault.tests, exhaustive)
            outcome = {KILLED: "killed", SURVIVED: "survived"}.get(status, "broken")
    finally:
        (TREE / fault.file).write_text(original)
    return Result(fault.name, fault.file, outcome, round(time.monotonic() - begin, 1), test)


def main() -> int:
    """Try the faults asked for, print each outcome, and write them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name or file holds these words")
    parser.add_argument("--exhaustive", action="store_true", help="run the full grid of every test")
    parser.add_argument("--json", type=Path, help="write the outcomes here")
    options = parser.parse_args()
    chosen = [fault for fault in faults() if options.only in fault.name or options.only in fault.file]
    copy_tree()
    make_environment()
    if not build_kernel():
        return 2
    results, kernel_is_changed = [], False
    for fault in chosen:
        if kernel_is_changed and not fault.in_kernel:
            build_kernel()
        result = tried(fault, options.exhaustive)
        kernel_is_changed = fault.in_kernel
        results.append(result)
        print(f"{result.outcome:9}{result.seconds:7.1f} s  {result.name}  [{result.test}]", flush=True)
    counts = {outcome: sum(r.outcome == outcome for r in results) for outcome in ("killed", "survived", "broken")}
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if options.json:
        written = {"exhaustive": options.exhaustive, **counts, "faults": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return int(counts["killed"] < len(results))


if __name__ == "__main__":
    sys.exit(main())
