"""What the compiled kernel promises beyond what every backend does: the same numbers bit for bit, however called."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

from tests.solver.cases import assert_agrees, both_row_modes, every_method, judged, linear_ode, randn
from tests.waiting import PATIENCE
from workbench.solver import LinearODE, RankDeficient, Status, Weights, solve
from workbench.solver.backends import banded, native

NAN = float("nan")
COMPILED = [(1, 1, 2), (1, 1, 3), (1, 1, 4), (1, 1, 5), (1, 1, 6), (2, 2, 2), (2, 2, 3), (3, 3, 3)]  # D, E, K
GENERAL = [(1, 1, 1), (1, 2, 3), (2, 1, 3), (2, 3, 2), (3, 2, 2), (3, 3, 5)]
CENTRAL = [(1, 1, 2), (1, 1, 3), (1, 1, 4), (1, 2, 3), (2, 1, 3), (2, 3, 2), (3, 3, 3)]
sizes = pytest.mark.parametrize("D, E, K", COMPILED + GENERAL)
sizes_and_rows = pytest.mark.parametrize(
    "D, E, K, central", [(*size, False) for size in COMPILED + GENERAL] + [(*size, True) for size in CENTRAL]
)


@pytest.fixture(autouse=True)
def _compiled(required):
    required(not native.unfit(torch.device("cpu")), "install a C++ compiler and then the package again")


@pytest.fixture
def threads():
    """torch.set_num_threads, undone afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def arguments(
    batch: tuple[int, ...], D: int, E: int, K: int, T: int, left: tuple[int, ...] | None = None
) -> dict[str, torch.Tensor]:
    """Every argument of a problem in which the variables themselves weigh most; `left`: batch of the left-hand side."""
    left = batch if left is None else left
    T0 = 2

    def positive(seed: int, *shape: int) -> torch.Tensor:
        return 1 + 0.4 * randn(*left, *shape, seed=seed).sin()

    coefficients = randn(*left, T, E, D, K, seed=1)
    coefficients[..., 0] += 3 * torch.eye(max(D, E), dtype=torch.float64)[:E, :D]
    return {
        "coefficients": coefficients,
        "forcing": randn(*batch, T, E, seed=2),
        "initial": randn(*batch, T0, D, K, seed=3),
        "steps": 0.5 * positive(4, T - 1),
        "equation": positive(5, T, E),
        "start": positive(6, T0, D, K),
        "taylor": positive(7, T - 1, D),
    }


def ode(x: dict[str, torch.Tensor], central: bool = False) -> LinearODE:
    weights = Weights(x["equation"], x["start"], x["taylor"])
    return LinearODE(x["coefficients"], x["forcing"], x["initial"], x["steps"], weights=weights, central=central)


def differentiated(
    x: dict[str, torch.Tensor], method: str, backend: str = "native", central: bool = False, **how: Any
) -> list[torch.Tensor]:
    """u, and the gradient of the sum of sin u for coefficients, forcing, initial values and steps."""
    leaves = {name: value.detach().requires_grad_(place < 4) for place, (name, value) in enumerate(x.items())}
    u = solve(ode(leaves, central), backend=backend, method=method, check=False, **how).u
    return [u.detach(), *torch.autograd.grad(u.sin().sum(), list(leaves.values())[:4])]


def part(x: dict[str, torch.Tensor], which: Any) -> dict[str, torch.Tensor]:
    return {name: value[which] for name, value in x.items()}


def assert_equal(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(ours, expected, strict=True))


def assert_near(ours: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], bar: float) -> None:
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=bar * float(other.abs().max()))


def rounding(K: int) -> float:
    """By how much two ways of computing the same may differ here: conditions grow with the powers of h."""
    return 1e-12 if K < 5 else 1e-10


# Threads and splits


@sizes_and_rows
@every_method
@pytest.mark.parametrize("T", [9, 70])
def test_any_number_of_threads(T, method, D, E, K, central, threads):
    x = arguments((37,), D, E, K, T)
    threads(1)
    expected = differentiated(x, method, central=central)
    assert all(value.isfinite().all() for value in expected)
    for n in (2, 3, 5):
        threads(n)
        assert_equal(differentiated(x, method, central=central), expected)


@pytest.mark.parametrize("columns", [1, 37])
@pytest.mark.parametrize("batch", [(1,), (3,)])
def test_any_number_of_threads_for_long_records_and_columns(batch, columns, threads):
    """Records that are cut into pieces, and systems that share a left-hand side."""
    x = arguments((*batch, columns), 1, 1, 3, 150, left=(*batch, 1))
    threads(1)
    expected = differentiated(x, "qr")
    for n in (2, 3, 5):
        threads(n)
        assert_equal(differentiated(x, "qr"), expected)


@sizes_and_rows
@every_method
def test_any_split_of_the_batch(D, E, K, central, method):
    """Parts, single systems, every third, and another order."""
    x = arguments((37,), D, E, K, 23)
    expected = differentiated(x, method, central=central)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    parts = [slice(*ends) for ends in pairwise((0, 1, 3, 10, 18, 37))]
    for which in (*parts, *(slice(i, i + 1) for i in range(30, 37)), slice(None, None, 3), order):
        assert_equal(differentiated(part(x, which), method, central=central), [value[which] for value in expected])


@every_method
def test_any_split_of_a_batch_of_long_records(method):
    """Parts of 8 systems and more: fewer are cut into pieces where records are long (next test)."""
    x = arguments((37,), 1, 1, 3, 300)
    expected = differentiated(x, method)
    for which in (slice(0, 8), slice(8, 17), slice(17, 37)):
        assert_equal(differentiated(part(x, which), method), [value[which] for value in expected])


@pytest.mark.parametrize("T", [63, 64, 65, 71, 255, 256, 257, 700, 2048, 2049, 2100])
@pytest.mark.parametrize("D, E, K", [(1, 1, 2), (1, 1, 3), (2, 2, 2)])
def test_few_long_records(D, E, K, T):
    """Cut into pieces where T allows: as in a batch too large for that."""
    x = arguments((9,), D, E, K, T)
    x = {name: value[..., :1, :, :] if name in ("initial", "start") else value for name, value in x.items()}
    expected = differentiated(x, "qr")
    for which in (slice(0, 1), slice(1, 4)):
        assert_near(differentiated(part(x, which), "qr"), [value[which] for value in expected], 1e-11)


# Other ways through the kernel


@pytest.mark.parametrize("D, E, K", COMPILED)
@every_method
def test_general_path(D, E, K, method):
    """A dropped equation more, and no shape known at compile time fits."""
    x = arguments((11,), D, E, K, 9)
    more = {
        "coefficients": torch.cat([x["coefficients"], torch.full((11, 9, 1, D, K), NAN)], -3),
        "forcing": torch.cat([x["forcing"], torch.full((11, 9, 1), NAN)], -1),
        "equation": torch.cat([x["equation"], torch.zeros(11, 9, 1)], -1),
    }
    found = differentiated(x | more, method)
    assert not found[1][..., E, :, :].any()
    assert not found[2][..., E].any()
    found[1], found[2] = found[1][..., :E, :, :], found[2][..., :E]
    assert_near(found, differentiated(x, method), rounding(K))


@every_method
@both_row_modes
@pytest.mark.parametrize("seed", range(12))
def test_every_instruction_set_against_the_oracle(seed, central, method, monkeypatch):
    a, truth, condition = judged(seed, central)
    for isa in native.instruction_sets():
        monkeypatch.setattr(native.NativeCall, "isa", isa)
        assert_agrees(solve(linear_ode(a), backend="native", method=method).u, truth, condition, method)


@sizes_and_rows
@every_method
def test_instruction_sets_agree(D, E, K, central, method, monkeypatch):
    single = arguments((13,), D, E, K, 21)
    shared = arguments((2, 13), D, E, K, 21, left=(2, 1))
    best, *others = native.instruction_sets()
    monkeypatch.setattr(native.NativeCall, "isa", best)
    expected = [differentiated(x, method, central=central) for x in (single, shared)]
    for isa in others:
        monkeypatch.setattr(native.NativeCall, "isa", isa)
        for x, values in zip((single, shared), expected, strict=True):
            assert_near(differentiated(x, method, central=central), values, rounding(K))


@pytest.mark.parametrize(
    "D, E, K, T",
    [(1, 1, 2, 900), (1, 1, 3, 700), (1, 1, 6, 300), (2, 2, 2, 300), (1, 2, 3, 300), (1, 1, 1, 3), (1, 1, 2, 2)],
)
@both_row_modes
@every_method
def test_factor_or_carries(D, E, K, T, central, method, monkeypatch):
    """The whole factor, carries (as size wants it or caller), nothing: bit for bit the same, in all segments."""
    central = central and K > 1
    x = arguments((19,), D, E, K, T)
    problem = ode(x, central)
    expected = differentiated(x, method, central=central)
    assert_equal(differentiated(x, method, central=central, checkpoint=True), expected)
    assert torch.equal(native.solve(problem, method, "nothing")[0], expected[0])
    sizes = [native.solve(problem, method, "factor")[2][0].numel()]
    monkeypatch.setattr(native, "WHOLE_LIMIT", 0)
    assert_equal(differentiated(x, method, central=central), expected)
    sizes.append(native.solve(problem, method, "factor")[2][0].numel())
    assert T < 300 or sizes[1] < sizes[0] / 10


@both_row_modes
@every_method
def test_nothing_kept_gives_the_same_gradients(method, central):
    """As after torch.func transforms, which hand no factor on."""
    problem, g = ode(arguments((19,), 1, 1, 3, 300), central), randn(19, 300, 1, 3)
    u, _, factor = native.solve(problem, method, "factor")
    wanted = [*native.GRADIENTS, "weights.taylor"]  # lam serves those that are not covered
    lam, gradients = native.vjp(problem, method, factor, u, g, wanted)
    again, others = native.vjp(problem, method, [], u, g, wanted)
    assert_equal([again, *others.values()], [lam, *gradients.values()])
    assert torch.equal(native.normal_solve(problem, method, factor, g), lam)
    assert native.vjp(problem, method, factor, u, g, native.GRADIENTS)[0] is None


def test_the_memory_of_a_factor_that_is_gone_is_used_again():
    problem = ode(arguments((19,), 1, 1, 3, 20))
    factor = native.solve(problem, "qr", "factor")[2][0]
    size, address = factor.numel(), factor.data_ptr()
    other = native.solve(problem, "qr", "factor")[2][0]
    assert other.data_ptr() != address  # both are in use
    del factor
    again = native.solve(problem, "qr", "factor")[2][0]
    assert (again.numel(), again.data_ptr()) == (size, address)


def test_kept_factor_at_an_address_that_no_register_likes():
    """As it may come back from a file or from hooks on saved tensors."""
    problem, g = ode(arguments((19,), 1, 1, 3, 20)), randn(19, 20, 1, 3)
    factor = native.solve(problem, "qr", "factor")[2]
    moved = torch.empty(factor[0].numel() + 1, dtype=torch.float64)[1:].copy_(factor[0])
    assert torch.equal(native.normal_solve(problem, "qr", [moved], g), native.normal_solve(problem, "qr", factor, g))


# Shared left-hand sides

ARRANGEMENTS = [  # left-hand sides, all systems
    ((), (11,)),
    ((1,), (11,)),
    ((3, 1), (3, 4)),
    ((1, 4), (3, 4)),
    ((4,), (3, 4)),
    ((2, 1, 3), (2, 5, 3)),
    ((1, 3, 1), (2, 3, 5)),
    ((2, 1, 1, 3), (2, 4, 3, 3)),
    ((3, 1), (3, 0)),
    ((0, 1), (0, 4)),
]


@pytest.mark.parametrize("left, batch", ARRANGEMENTS)
@pytest.mark.parametrize("D, E, K", [(1, 1, 3), (2, 2, 2), (2, 3, 2)])
@both_row_modes
@every_method
def test_shared_left_hand_sides(D, E, K, left, batch, central, method):
    x = arguments(batch, D, E, K, 12, left=left)
    ours = differentiated(x, method, central=central)
    expected = differentiated(x, method, "banded", central)
    assert [value.shape for value in ours] == [value.shape for value in expected]
    if ours[0].numel() == 0:
        return
    assert_near(ours, expected, 1e-10)
    g = randn(*batch, 12, D, K)
    problem = ode(x, central)
    factors = [backend.solve(problem, method, "factor")[2] for backend in (native, banded)]
    lams = [native.normal_solve(problem, method, factors[0], g), banded.normal_solve(problem, method, factors[1], g)]
    assert_near(lams[:1], lams[1:], 1e-10)
    g = g.movedim(-3, 0).contiguous().movedim(0, -3)
    assert torch.equal(native.normal_solve(problem, method, factors[0], g), lams[0])


# Memory


def in_place(x: dict[str, torch.Tensor]) -> None:
    """The kernel reads every argument where it lies."""
    problem = ode(x)
    call = native.NativeCall(problem, "qr")
    for (name, value), read, address in zip(problem.tensors.items(), call.tensors, call.arguments, strict=True):
        assert read.data_ptr() == value.data_ptr() == address, name
        assert read.untyped_storage().data_ptr() == value.untyped_storage().data_ptr(), name


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
    if form != "one grid point for all":  # a stride of 0 there: copied
        in_place(x)
    copies = {name: value.clone(memory_format=torch.contiguous_format) for name, value in x.items()}
    assert_equal(differentiated(x, method), differentiated(copies, method))


def test_broadcast_arguments_are_read_in_place():
    x = arguments((3, 4), 2, 2, 3, 10)
    x |= {"coefficients": x["coefficients"][0], "steps": x["steps"][:, :1, :1], "forcing": x["forcing"][:1, :, :1]}
    in_place(x)


# Callers


def test_many_callers_at_once(threads):
    """16 Python threads, each wanting several threads of the kernel: one has them, the others work alone."""
    problems = [arguments((9 + i,), 1, 1, 3, 40 + 20 * (i % 3)) for i in range(16)]
    threads(1)
    expected = [differentiated(x, "qr") for x in problems]
    start = Barrier(16)

    def work(i: int) -> list[torch.Tensor]:
        torch.set_num_threads(1 + i % 4)
        start.wait()
        for _ in range(10):
            found = differentiated(problems[i], "qr")
        return found

    with ThreadPoolExecutor(16) as pool:
        for found, values in zip(pool.map(work, range(16)), expected, strict=True):
            assert_equal(found, values)


FORK = """
import os
import torch
from tests.solver.native.test_native import arguments, ode
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
def test_child_and_grandchild_made_by_fork():
    """The threads of the parent are not there: each gets its own instead of waiting for those for ever."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    done = subprocess.run(command, cwd=root, timeout=PATIENCE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Values


@pytest.mark.parametrize("number", [0, 5, 7, 8, 12])
@pytest.mark.parametrize("variable", [0, 1])
@both_row_modes
@every_method
def test_rank_deficient_system_is_named(variable, number, central, method):
    """One system of 13 in which only the slope of a variable is known, at every grid point: its level is not."""
    x = arguments((13,), 2, 2, 3, 20)
    x["coefficients"][number, ..., variable, 0] = 0
    x["start"][number, :, variable, 0] = 0
    named = rf"batch index \({number},\) is rank-deficient: nothing determines derivative 0 of variable {variable} "
    with pytest.raises(RankDeficient, match=named):
        solve(ode(x, central), backend="native", method=method)
    status = solve(ode(x, central), backend="native", method=method, check=False).status
    assert status.tolist() == [Status.RANK_DEFICIENT if i == number else Status.OK for i in range(13)]


@pytest.mark.parametrize("T", [20, 100])
@every_method
def test_rank_deficient_left_hand_side_is_named(T, method):
    """Columns, in both orders of the batch dimensions; records long enough to be cut, alone."""
    x = arguments((3, 10), 1, 1, 3, T, left=(3, 1))
    x["coefficients"][1, ..., 0] = 0
    x["start"][1, ..., 0] = 0
    with pytest.raises(RankDeficient, match=r"batch index \(1, 0\) .* derivative 0 of variable 0 "):
        solve(ode(x), backend="native", method=method)
    with pytest.raises(RankDeficient, match=r"batch index \(0, 1\) .* derivative 0 of variable 0 "):
        solve(ode({name: value.transpose(0, 1) for name, value in x.items()}), backend="native", method=method)
    with pytest.raises(RankDeficient, match=r"batch index \(1,\) .* derivative 0 of variable 0 "):
        solve(ode({name: value[:, 0, ...] for name, value in x.items()}), backend="native", method=method)


@sizes_and_rows
@every_method
@pytest.mark.parametrize("datum", [NAN, float("inf")])
def test_what_a_dropped_row_holds_is_never_seen(datum, D, E, K, central, method):
    x = arguments((11,), D, E, K, 20)
    x["equation"][::2, 3::5] = 0
    x["start"][1::3, 1] = 0
    holes = {name: x[name].clone() for name in ("coefficients", "forcing", "initial")}
    holes["coefficients"][x["equation"] == 0] = datum
    holes["forcing"][x["equation"] == 0] = datum
    holes["initial"][x["start"] == 0] = datum
    found = differentiated(x | holes, method, central=central)
    assert all(value.isfinite().all() for value in found)
    assert_equal(found, differentiated(x, method, central=central))


BAD = {
    "forcing": (NAN, Status.NON_FINITE),
    "coefficients": (float("inf"), Status.NON_FINITE),
    "initial": (NAN, Status.NON_FINITE),
    "steps": (0.0, Status.BAD_STEP),
    "equation": (-1.0, Status.BAD_WEIGHT),
    "start": (-1.0, Status.BAD_WEIGHT),
    "taylor": (-0.5, Status.BAD_WEIGHT),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("batch", [(2,), (13,)])
@pytest.mark.parametrize("T", [20, 100])
@both_row_modes
@every_method
def test_bad_value_is_seen_in_its_system_alone(T, batch, name, central, method):
    x = arguments(batch, 1, 1, 3, T)
    clean = solve(ode(x, central), backend="native", method=method, check=False).u
    value, status = BAD[name]
    changed = x[name].clone()
    changed[1].reshape(-1)[-1] = value
    found = solve(ode(x | {name: changed}, central), backend="native", method=method, check=False)
    others = [i for i in range(*batch) if i != 1]
    assert found.status[1] == status
    assert found.u[1].isnan().all()
    assert not found.status[others].any()
    assert torch.equal(found.u[others], clean[others])
    raw = native.solve(ode(x | {name: changed}, central), method, "nothing")[1]
    assert (raw == -1).tolist() == [i == 1 for i in range(*batch)]


def test_bad_step_of_columns_is_seen_in_all_of_them():
    x = arguments((3, 5), 1, 1, 3, 20, left=(3, 1))
    x["steps"][1, 0, 7] = -1
    status = solve(ode(x), backend="native", check=False).status
    assert status.tolist() == [[Status.OK] * 5, [Status.BAD_STEP] * 5, [Status.OK] * 5]


def test_overflow_is_seen():
    """Finite arguments, and a solution beyond float64."""
    x = arguments((9,), 1, 1, 3, 20)
    x["forcing"][4] = 1e308
    x["equation"][4] = 1e10
    assert native.solve(ode(x), "qr", "nothing")[1].tolist() == [-1 if i == 4 else 0 for i in range(9)]


def test_too_many_batch_dimensions_are_refused():
    x = arguments((1,) * 16 + (2,), 1, 1, 3, 6)
    with pytest.raises(ValueError, match="at most 16 batch dimensions, found 17"):
        solve(ode(x), backend="native")
    assert solve(ode(x)).backend == "banded"


def test_central_rows_are_served():
    x = arguments((2,), 1, 1, 3, 6)
    assert solve(ode(x, central=True)).backend == "native"
