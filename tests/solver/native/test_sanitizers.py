"""The kernel under the sanitizers of the C++ compiler: bounds, undefined behaviour, races.

`kernel_check.cpp` contains the problems and the checks; it is compiled together with the kernel.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.solver.native import cxx

# Locals are initialised with a pattern, so that reads of uninitialised values change the result.
BOUNDS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ftrivial-auto-var-init=pattern")
RACES = ("-fsanitize=thread",)

pytestmark = pytest.mark.slow


def program(required: Callable[[object, str], None], flags: tuple[str, ...], lanes: int) -> Path:
    """kernel_check with one compiled shape and the general path."""
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
    result = cxx.call(program(required, BOUNDS, lanes))
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


@pytest.mark.exhaustive
def test_races(required):
    """Several concurrent callers, each with several threads."""
    result = cxx.call(program(required, RACES, 2), "together", TSAN_OPTIONS="halt_on_error=1")
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
