"""The kernel under the sanitizers of the C++ compiler: no read or write out of bounds, no undefined behaviour, no race.

`kernel_check.cpp` says what is solved and how it is judged; here it is compiled with the kernel and run.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parents[1] / "workbench" / "solver" / "kernels"
# Locals hold nonsense at first, so that one read before it is written gives another result.
BOUNDS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ftrivial-auto-var-init=pattern")
RACES = ("-fsanitize=thread",)
INSTALL = "install a C++20 compiler with its sanitizers, g++ from 12 or clang from 16 on (Debian: apt-get install g++)"

pytestmark = pytest.mark.slow


def run(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env={**os.environ, **more})


@cache
def compiler(flags: tuple[str, ...], folder: Path) -> list[str]:
    """The first C++ compiler here that makes programs with these flags; [] if there is none."""
    probe = folder / "probe.cpp"
    probe.write_text("int main() { return []<class T>() { return T(); }.template operator()<int>(); }")
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++")):
        command = shlex.split(name)
        options = "-std=c++20", *flags, "-o", folder / "probe"
        if shutil.which(command[0]) and not run(*command, *options, probe).returncode:
            return command
    return []


def compiled(required: Callable[[object, str], None], folder: Path, flags: tuple[str, ...], lanes: int) -> Path:
    """The program, with one shape known at compile time and the general path."""
    cxx = compiler(flags, folder)
    required(cxx, INSTALL)
    sources = HERE / "kernel_check.cpp", KERNELS / "kernel.cpp", KERNELS / "threads.cpp"
    defined = "-DSMNN_SHAPES=0", "-DSMNN_CHECKED", "-DSMNN_ISA=baseline", f"-DSMNN_LANES={lanes}"
    options = "-std=c++20", "-O1", "-g1", "-w", "-pthread", "-ffp-contract=off", f"-I{KERNELS}"
    made = run(*cxx, *options, *defined, *flags, *sources, "-o", folder / "check")
    assert made.returncode == 0, made.stderr[-4000:]
    return folder / "check"


@pytest.mark.parametrize("lanes", [2, 8])
def test_bounds_and_undefined_behaviour(lanes, required, tmp_path):
    done = run(compiled(required, tmp_path, BOUNDS, lanes))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def test_races(required, tmp_path):
    """Several callers at once, each with several threads."""
    program = compiled(required, tmp_path, RACES, 2)
    done = run(program, "together", TSAN_OPTIONS="halt_on_error=1")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
