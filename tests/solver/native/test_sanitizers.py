"""The kernel under the sanitizers of the C++ compiler: no read or write out of bounds, no undefined behaviour, no race.

`kernel_check.cpp` says what is solved and how it is judged; here it is compiled with the kernel and run.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.solver.native import cxx

# Locals hold nonsense at first, so that one read before it is written gives another result.
BOUNDS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ftrivial-auto-var-init=pattern")
RACES = ("-fsanitize=thread",)

pytestmark = pytest.mark.slow


def program(required: Callable[[object, str], None], flags: tuple[str, ...], lanes: int) -> Path:
    """kernel_check with one shape known at compile time and the general path."""
    command = cxx.compiler(flags)
    required(command, cxx.INSTALL)
    options = "-std=c++20", "-O1", "-g1", "-w", "-pthread", "-ffp-contract=off", "-DSMNN_CHECKED", *flags
    kernel = "-DSMNN_ISA=baseline", f"-DSMNN_LANES={lanes}"
    units = [
        (cxx.KERNELS / "cpu/kernel.cpp", (*kernel, "-DSMNN_D=0", "-DSMNN_K=0")),
        (cxx.KERNELS / "cpu/kernel.cpp", (*kernel, "-DSMNN_D=1", "-DSMNN_K=2")),
        (Path(__file__).with_name("kernel_check.cpp"), ()),
        (cxx.KERNELS / "cpu/threads.cpp", ()),
    ]
    return cxx.build("kernel_check", units, options, command)


@pytest.mark.parametrize("lanes", [2, pytest.param(8, marks=pytest.mark.exhaustive)])
def test_bounds_and_undefined_behaviour(lanes, required):
    done = cxx.call(program(required, BOUNDS, lanes))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.exhaustive
def test_races(required):
    """Several callers at once, each with several threads."""
    done = cxx.call(program(required, RACES, 2), "together", TSAN_OPTIONS="halt_on_error=1")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
