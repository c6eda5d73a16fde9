"""The CPU kernel: invalid values, rank deficiency, dropped rows, and limits."""

import pytest
import torch

from tests.solver.cases import both_row_modes, every_method
from tests.solver.native.problems import NAN, arguments, assert_equal, ode, sizes_and_rows, solution_and_gradients
from workbench.solver import RankDeficient, Status, solve
from workbench.solver.backends import native

pytestmark = pytest.mark.usefixtures("compiled_kernel")


@pytest.mark.parametrize("index", [0, 5, 7, 8, 12])
@pytest.mark.parametrize("variable", [0, 1])
@both_row_modes
@every_method
def test_rank_deficient_system_is_named(variable, index, central, method):
    """In one of 13 systems only the derivatives of a variable are determined, not its value."""
    x = arguments((13,), 2, 2, 3, 20)
    x["coefficients"][index, ..., variable, 0] = 0
    x["start"][index, :, variable, 0] = 0
    named = rf"batch index \({index},\) is rank-deficient: no row determines derivative 0 of variable {variable} "
    with pytest.raises(RankDeficient, match=named):
        solve(ode(x, central), backend="native", method=method)
    status = solve(ode(x, central), backend="native", method=method, check=False).status
    assert status.tolist() == [Status.RANK_DEFICIENT if i == index else Status.OK for i in range(13)]


@pytest.mark.parametrize("T", [20, 100])
@every_method
def test_rank_deficient_left_hand_side_is_named(T, method):
    """Columns in both orders of the batch dimensions, and single long records, which are cut into pieces."""
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
def test_data_of_dropped_rows_are_ignored(datum, D, E, K, central, method):
    x = arguments((11,), D, E, K, 20)
    x["equation"][::2, 3::5] = 0
    x["start"][1::3, 1] = 0
    holes = {name: x[name].clone() for name in ("coefficients", "forcing", "initial")}
    holes["coefficients"][x["equation"] == 0] = datum
    holes["forcing"][x["equation"] == 0] = datum
    holes["initial"][x["start"] == 0] = datum
    result = solution_and_gradients(x | holes, method, central=central)
    assert all(value.isfinite().all() for value in result)
    assert_equal(result, solution_and_gradients(x, method, central=central))


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
def test_an_invalid_value_affects_only_its_system(T, batch, name, central, method):
    x = arguments(batch, 1, 1, 3, T)
    clean = solve(ode(x, central), backend="native", method=method, check=False).u
    value, status = BAD[name]
    changed = x[name].clone()
    changed[1].reshape(-1)[-1] = value
    solution = solve(ode(x | {name: changed}, central), backend="native", method=method, check=False)
    others = [i for i in range(*batch) if i != 1]
    assert solution.status[1] == status
    assert solution.u[1].isnan().all()
    assert not solution.status[others].any()
    assert torch.equal(solution.u[others], clean[others])
    deficient = native.solve(ode(x | {name: changed}, central), method, "nothing")[1]
    assert (deficient == -1).tolist() == [i == 1 for i in range(*batch)]


def test_an_invalid_step_affects_all_columns():
    x = arguments((3, 5), 1, 1, 3, 20, left=(3, 1))
    x["steps"][1, 0, 7] = -1
    status = solve(ode(x), backend="native", check=False).status
    assert status.tolist() == [[Status.OK] * 5, [Status.BAD_STEP] * 5, [Status.OK] * 5]


def test_overflow_is_reported():
    """The arguments are finite, the solution overflows float64."""
    x = arguments((9,), 1, 1, 3, 20)
    x["forcing"][4] = 1e308
    x["equation"][4] = 1e10
    assert native.solve(ode(x), "qr", "nothing")[1].tolist() == [-1 if i == 4 else 0 for i in range(9)]


def test_too_many_batch_dimensions_are_unsupported():
    x = arguments((1,) * 16 + (2,), 1, 1, 3, 6)
    with pytest.raises(ValueError, match="at most 16 batch dimensions, found 17"):
        solve(ode(x), backend="native")
    assert solve(ode(x)).backend == "banded"


def test_auto_selects_native_for_central_rows():
    x = arguments((2,), 1, 1, 3, 6)
    assert solve(ode(x, central=True)).backend == "native"
