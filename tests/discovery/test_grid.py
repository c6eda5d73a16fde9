"""The grid of a whole-record estimate."""

import pytest
import torch

from workbench.discovery.data import Trajectory
from workbench.discovery.grid import MOST_PARTS, build_grid


def trajectory(times: list[float], values: list[float]) -> Trajectory:
    return Trajectory(torch.tensor(times).double(), torch.tensor(values).double()[:, None])


def test_long_steps_are_divided_and_records_are_not_linked():
    grid = build_grid([trajectory([0, 1, 1.5], [0, 1, 2]), trajectory([5, 6], [3, 4])], 0.5)
    assert grid.times.tolist() == [0, 0.5, 1, 1.5, 5, 5.5, 6]
    assert grid.linked.tolist() == [True, True, True, False, True, True]
    assert grid.values[:, 0].isnan().tolist() == [False, True, False, False, False, True, False]
    assert [own.tolist() for own in grid.samples] == [[0, 2, 3], [4, 6]]
    assert (grid.steps > 0).all()
    assert grid.steps[grid.linked].tolist() == [0.5] * 5


def test_a_long_gap_is_not_bridged():
    grid = build_grid([trajectory([0, 1, 2, 2 + MOST_PARTS, 4 + 2 * MOST_PARTS], [0] * 5)], 1.0)
    assert grid.linked.tolist() == [True, True] + [True] * MOST_PARTS + [False]


@pytest.mark.parametrize("parts", [[3, 3, 3, 3], [1, 4, 2, 5]])
def test_refined_grids_keep_the_measurements_and_polynomials(parts):
    coarse = build_grid([trajectory([0, 1, 3], [1, 2, 5]), trajectory([0, 2], [7, 8])])
    parts = torch.tensor(parts)
    fine = coarse.refined(parts)
    for before, after in zip(coarse.samples, fine.samples, strict=True):
        assert torch.equal(coarse.times[before], fine.times[after])
        assert torch.equal(coarse.values[before], fine.values[after])
    assert int(fine.present.sum()) == 5
    assert fine.linked.sum() == parts[coarse.linked].sum()
    torch.testing.assert_close(fine.times.diff()[fine.linked], fine.steps[fine.linked])
    t = coarse.times
    cubic = torch.stack([t**3 - t, 3 * t**2 - 1, 6 * t, torch.full_like(t, 6.0)], dim=-1)[:, None]
    t = fine.times
    expected = torch.stack([t**3 - t, 3 * t**2 - 1, 6 * t, torch.full_like(t, 6.0)], dim=-1)[:, None]
    torch.testing.assert_close(coarse.interpolated(cubic, parts), expected)


@pytest.mark.parametrize(
    "trajectories,message",
    [
        ([], "one or more"),
        ([trajectory([0, 1], [torch.nan, torch.nan])], "expected measured values"),
        ([trajectory([0, 1], [0, 1]), Trajectory(torch.arange(2.0).double(), torch.zeros(2, 2).double())], "equal"),
    ],
)
def test_unsuitable_trajectories_raise_an_error(trajectories, message):
    with pytest.raises(ValueError, match=message):
        build_grid(trajectories)
