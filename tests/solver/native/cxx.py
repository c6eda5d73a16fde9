"""Compile C++ test programs, cached by sources, headers, options and compiler.

The cache is build/tests; `make clean` removes it.
"""

import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[3]
KERNELS = ROOT / "workbench" / "solver" / "kernels"
CACHE = ROOT / "build" / "tests"
PATIENCE = 1800
"""Timeout of a compiler in seconds; the largest program takes 30 s on an idle core."""
INSTALL = "install a C++20 compiler with its sanitizers, g++ from 12 or clang from 16 on (Debian: apt-get install g++)"
PROBE = "int main() { return []<class T>() { return T(); }.template operator()<int>(); }"

Unit = tuple[Path, Sequence[str]]
"""A source file and its options."""


def call(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env={**os.environ, **variables})


@cache
def compiler(flags: tuple[str, ...]) -> list[str]:
    """The first installed C++ compiler that supports these flags; [] if there is none."""
    CACHE.mkdir(parents=True, exist_ok=True)
    probe = CACHE / f"probe.{os.getpid()}"
    try:
        probe.with_suffix(".cpp").write_text(PROBE)
        for name in filter(None, (os.environ.get("CXX"), "g++", "clang++")):
            command = shlex.split(name)
            options = "-std=c++20", *flags, "-o", probe
            if shutil.which(command[0]) and not call(*command, *options, probe.with_suffix(".cpp")).returncode:
                return command
        return []
    finally:
        for file in CACHE.glob(f"{probe.name}*"):
            file.unlink()


def build(name: str, units: Sequence[Unit], options: Sequence[str], cxx: Sequence[str]) -> Path:
    """Compile and link the units into a program or library. Raises AssertionError with the compiler's messages."""
    headers = [file for folder in (KERNELS, Path(__file__).parent) for file in sorted(folder.rglob("*.hpp"))]
    sources = [*headers, *dict.fromkeys(source for source, _ in units)]
    version = call(*cxx, "--version").stdout
    settings = [version, *cxx, *options, *(repr((source.name, *own)) for source, own in units)]
    key = hashlib.sha256("\0".join([*settings, *(file.read_text() for file in sources)]).encode()).hexdigest()[:20]
    folder = CACHE / key
    folder.mkdir(parents=True, exist_ok=True)

    def compiled(i: int) -> Path:
        source, own = units[i]
        _succeed(*cxx, *options, *own, f"-I{KERNELS}", "-c", source, "-o", folder / f"{i}.o")
        return folder / f"{i}.o"

    with FileLock(folder / "lock"):  # other test workers may build the same program
        if not (folder / name).exists():
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = list(pool.map(compiled, range(len(units))))
            _succeed(*cxx, *options, *objects, "-o", folder / "linked")
            (folder / "linked").replace(folder / name)
    return folder / name


def _succeed(*command: str | Path) -> None:
    done = call(*command)
    assert done.returncode == 0, done.stderr[-4000:]
