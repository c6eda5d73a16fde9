"""The CPU kernel: bitwise reproducibility, agreement between arrangements, and shared left-hand sides."""

from itertools import pairwise

import pytest
import torch

from tests.solver.cases import assert_agrees, both_row_modes, every_method, linear_ode, randn, reference_case
from tests.solver.native.problems import (
    COMPILED,
    NAN,
    arguments,
    assert_equal,
    assert_near,
    ode,
    part,
    rounding,
    sizes_and_rows,
    solution_and_gradients,
)
from workbench.solver import solve
from workbench.solver.backends import banded, native

pytestmark = pytest.mark.usefixtures("compiled_kernel")

# Threads and batches


@sizes_and_rows
@every_method
@pytest.mark.parametrize("T", [9, 70])
def test_results_do_not_depend_on_the_number_of_threads(T, method, D, E, K, central, threads):
    x = arguments((37,), D, E, K, T)
    threads(1)
    expected = solution_and_gradients(x, method, central=central)
    assert all(value.isfinite().all() for value in expected)
    for n in (2, 3, 5):
        threads(n)
        assert_equal(solution_and_gradients(x, method, central=central), expected)


@pytest.mark.parametrize("columns", [1, 37])
@pytest.mark.parametrize("batch", [(1,), (3,)])
def test_pieces_and_columns_do_not_depend_on_the_number_of_threads(batch, columns, threads):
    x = arguments((*batch, columns), 1, 1, 3, 150, left=(*batch, 1))
    threads(1)
    expected = solution_and_gradients(x, "qr")
    for n in (2, 3, 5):
        threads(n)
        assert_equal(solution_and_gradients(x, "qr"), expected)


@sizes_and_rows
@every_method
def test_results_do_not_depend_on_the_batch(D, E, K, central, method):
    """Slices, single systems, every third system, and a permutation."""
    x = arguments((37,), D, E, K, 23)
    expected = solution_and_gradients(x, method, central=central)
    order = torch.randperm(37, generator=torch.Generator().manual_seed(0))
    parts = [slice(*ends) for ends in pairwise((0, 1, 3, 10, 18, 37))]
    for which in (*parts, *(slice(i, i + 1) for i in range(30, 37)), slice(None, None, 3), order):
        assert_equal(
            solution_and_gradients(part(x, which), method, central=central), [value[which] for value in expected]
        )


@every_method
def test_long_records_do_not_depend_on_the_batch(method):
    """Batches of at least 8 systems; smaller ones are cut into pieces (next test)."""
    x = arguments((37,), 1, 1, 3, 300)
    expected = solution_and_gradients(x, method)
    for which in (slice(0, 8), slice(8, 17), slice(17, 37)):
        assert_equal(solution_and_gradients(part(x, which), method), [value[which] for value in expected])


@pytest.mark.parametrize("T", [63, 64, 65, 71, 255, 256, 257, 700, 2048, 2049, 2100])
@pytest.mark.parametrize("D, E, K", [(1, 1, 2), (1, 1, 3), (2, 2, 2)])
def test_pieces_agree_with_whole_records(D, E, K, T):
    """Fewer than 8 systems are cut into pieces if T is large enough; a larger batch is not."""
    x = arguments((9,), D, E, K, T)
    x = {name: value[..., :1, :, :] if name in ("initial", "start") else value for name, value in x.items()}
    expected = solution_and_gradients(x, "qr")
    for which in (slice(0, 1), slice(1, 4)):
        assert_near(solution_and_gradients(part(x, which), "qr"), [value[which] for value in expected], 1e-11)


# Alternative code paths


@pytest.mark.parametrize("D, E, K", COMPILED)
@every_method
def test_general_path_agrees_with_the_compiled_shape(D, E, K, method):
    """An additional dropped equation selects the path for any shape."""
    x = arguments((11,), D, E, K, 9)
    more = {
        "coefficients": torch.cat([x["coefficients"], torch.full((11, 9, 1, D, K), NAN)], -3),
        "forcing": torch.cat([x["forcing"], torch.full((11, 9, 1), NAN)], -1),
        "equation": torch.cat([x["equation"], torch.zeros(11, 9, 1)], -1),
    }
    result = solution_and_gradients(x | more, method)
    assert not result[1][..., E, :, :].any()
    assert not result[2][..., E].any()
    result[1], result[2] = result[1][..., :E, :, :], result[2][..., :E]
    assert_near(result, solution_and_gradients(x, method), rounding(K))


@every_method
@both_row_modes
@pytest.mark.parametrize("seed", range(12))
def test_every_instruction_set_agrees_with_the_oracle(seed, central, method, monkeypatch):
    a, truth, condition = reference_case(seed, central)
    for isa in native.instruction_sets():
        monkeypatch.setattr(native.NativeCall, "isa", isa)
        assert_agrees(solve(linear_ode(a), backend="native", method=method).u, truth, condition, method)


@sizes_and_rows
@every_method
def test_instruction_sets_agree(D, E, K, central, method, monkeypatch):
    single = arguments((13,), D, E, K, 21)
    shared = arguments((2, 13), D, E, K, 21, left=(2, 1))
    fastest, *others = native.instruction_sets()
    monkeypatch.setattr(native.NativeCall, "isa", fastest)
    expected = [solution_and_gradients(x, method, central=central) for x in (single, shared)]
    for isa in others:
        monkeypatch.setattr(native.NativeCall, "isa", isa)
        for x, values in zip((single, shared), expected, strict=True):
            assert_near(solution_and_gradients(x, method, central=central), values, rounding(K))


@pytest.mark.parametrize(
    "D, E, K, T",
    [(1, 1, 2, 900), (1, 1, 3, 700), (1, 1, 6, 300), (2, 2, 2, 300), (1, 2, 3, 300), (1, 1, 1, 3), (1, 1, 2, 2)],
)
@both_row_modes
@every_method
def test_factor_carries_and_recomputation_agree(D, E, K, T, central, method, monkeypatch):
    """Whole factor, carries (by size or by checkpoint) and no factor give bitwise equal results in all segments."""
    central = central and K > 1
    x = arguments((19,), D, E, K, T)
    problem = ode(x, central)
    expected = solution_and_gradients(x, method, central=central)
    assert_equal(solution_and_gradients(x, method, central=central, checkpoint=True), expected)
    assert torch.equal(native.solve(problem, method, "nothing")[0], expected[0])
    sizes = [native.solve(problem, method, "factor")[2][0].numel()]
    monkeypatch.setattr(native, "WHOLE_LIMIT", 0)
    assert_equal(solution_and_gradients(x, method, central=central), expected)
    sizes.append(native.solve(problem, method, "factor")[2][0].numel())
    assert T < 300 or sizes[1] < sizes[0] / 10


@both_row_modes
@every_method
def test_gradients_without_a_kept_factor(method, central):
    """As in torch.func transforms, which pass no factor."""
    problem, g = ode(arguments((19,), 1, 1, 3, 300), central), randn(19, 300, 1, 3)
    u, _, factor = native.solve(problem, method, "factor")
    names = [*native.GRADIENTS, "weights.taylor"]  # lam is needed for gradients that are not covered
    lam, gradients = native.vjp(problem, method, factor, u, g, names)
    recomputed, others = native.vjp(problem, method, [], u, g, names)
    assert_equal([recomputed, *others.values()], [lam, *gradients.values()])
    assert torch.equal(native.normal_solve(problem, method, factor, g), lam)
    assert native.vjp(problem, method, factor, u, g, native.GRADIENTS)[0] is None


def test_the_memory_of_a_freed_factor_is_reused():
    problem = ode(arguments((19,), 1, 1, 3, 20))
    factor = native.solve(problem, "qr", "factor")[2][0]
    size, address = factor.numel(), factor.data_ptr()
    other = native.solve(problem, "qr", "factor")[2][0]
    assert other.data_ptr() != address  # both are alive
    del factor
    reused = native.solve(problem, "qr", "factor")[2][0]
    assert (reused.numel(), reused.data_ptr()) == (size, address)


def test_unaligned_factor():
    """As loaded from a file or returned by hooks on saved tensors."""
    problem, g = ode(arguments((19,), 1, 1, 3, 20)), randn(19, 20, 1, 3)
    factor = native.solve(problem, "qr", "factor")[2]
    unaligned = torch.empty(factor[0].numel() + 1, dtype=torch.float64)[1:].copy_(factor[0])
    assert torch.equal(
        native.normal_solve(problem, "qr", [unaligned], g), native.normal_solve(problem, "qr", factor, g)
    )


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
def test_shared_left_hand_sides_agree_with_banded(D, E, K, left, batch, central, method):
    x = arguments(batch, D, E, K, 12, left=left)
    ours = solution_and_gradients(x, method, central=central)
    expected = solution_and_gradients(x, method, "banded", central)
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
