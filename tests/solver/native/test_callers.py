"""The CPU kernel: arguments read in place, concurrent callers, and forked processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import torch

from tests.solver.cases import every_method
from tests.solver.native.problems import NAN, arguments, assert_equal, ode, solution_and_gradients
from tests.waiting import PATIENCE
from workbench.solver.backends import native

pytestmark = pytest.mark.usefixtures("compiled_kernel")

# Strides


def assert_read_in_place(x: dict[str, torch.Tensor]) -> None:
    """The kernel gets the addresses of the arguments, not of copies."""
    problem = ode(x)
    call = native.NativeCall(problem, "qr")
    for (name, value), argument, address in zip(problem.tensors.items(), call.tensors, call.arguments, strict=True):
        assert argument.data_ptr() == value.data_ptr() == address, name
        assert argument.untyped_storage().data_ptr() == value.untyped_storage().data_ptr(), name


FORMS = {
    "contiguous": lambda x: x,
    "grid point first": lambda x: x.movedim(1, 0).contiguous().movedim(0, 1),
    "every second system": lambda x: x.repeat_interleave(2, 0)[::2],
    "every second grid point": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "part of a longer record": lambda x: torch.cat([x.new_full(x.shape, NAN), x], 1)[:, x.shape[1] :],
    "one system for all": lambda x: x[:1].expand(x.shape),
    "one grid point for all": lambda x: x[:, :1].expand(x.shape),
}


@pytest.mark.parametrize("form", FORMS)
@every_method
def test_strided_arguments_are_read_in_place(form, method):
    plain = arguments((11,), 2, 2, 3, 10)
    x = {name: FORMS[form](value) for name, value in plain.items()}
    if form != "one grid point for all":  # a stride of 0 along the grid points is copied
        assert_read_in_place(x)
    copies = {name: value.clone(memory_format=torch.contiguous_format) for name, value in x.items()}
    assert_equal(solution_and_gradients(x, method), solution_and_gradients(copies, method))


def test_broadcast_arguments_are_read_in_place():
    x = arguments((3, 4), 2, 2, 3, 10)
    x |= {"coefficients": x["coefficients"][0], "steps": x["steps"][:, :1, :1], "forcing": x["forcing"][:1, :, :1]}
    assert_read_in_place(x)


# Callers


def test_concurrent_callers(threads):
    """16 Python threads that each request several kernel threads: one gets them, the others run single-threaded."""
    problems = [arguments((9 + i,), 1, 1, 3, 40 + 20 * (i % 3)) for i in range(16)]
    threads(1)
    expected = [solution_and_gradients(x, "qr") for x in problems]
    start = Barrier(16)

    def work(i: int) -> list[torch.Tensor]:
        torch.set_num_threads(1 + i % 4)
        start.wait()
        for _ in range(10):
            result = solution_and_gradients(problems[i], "qr")
        return result

    with ThreadPoolExecutor(16) as pool:
        for result, values in zip(pool.map(work, range(16)), expected, strict=True):
            assert_equal(result, values)


FORK = """
import os
import torch
from tests.solver.native.problems import arguments, ode
from workbench.solver import solve

torch.set_num_threads(2)
problem = ode(arguments((37,), 1, 1, 3, 20))
expected = solve(problem, backend="native", check=False).u
for depth in range(2):
    child = os.fork()
    if child == 0:
        u = solve(problem, backend="native", check=False).u
        if not torch.equal(u, expected):
            os._exit(1)
    else:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert torch.equal(solve(problem, backend="native", check=False).u, expected)
        os._exit(code)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_processes():
    """Child and grandchild start new threads: those of the parent do not exist there."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, cwd=root, timeout=PATIENCE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
