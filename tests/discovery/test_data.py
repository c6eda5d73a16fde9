"""Noise level, segments, windows, refined grids and linearised equations."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.discovery.discoveries import lorenz_trajectory
from workbench.discovery.data import Segment, Trajectory, refine, split_segments, split_windows
from workbench.discovery.engine import blocks
from workbench.discovery.engine.tangent import Rows, Tangent
from workbench.discovery.noise import noise_level

# noise


@examples(max_examples=20, deadline=None)
@given(st.floats(1e-3, 10), st.integers(0, 1000), st.booleans())
def test_the_noise_level_is_that_of_the_added_noise(noise, seed, uneven):
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.uniform(0.005, 0.015, 2000)) if uneven else 0.01 * np.arange(2000)
    values = np.sin(3 * times)[:, None] + noise * generator.standard_normal((2000, 1))
    level = noise_level([Segment(0, torch.from_numpy(times), torch.from_numpy(values))])
    assert float(level[0]) == pytest.approx(noise, rel=0.13)


def test_coarse_sampling_is_not_taken_for_noise():
    times = np.arange(500) * 0.5
    segment = Segment(0, torch.from_numpy(times), torch.from_numpy(np.sin(times))[:, None])
    assert float(noise_level([segment])[0]) < 1e-3


# trajectories and windows


def test_windows_use_each_value_once_and_do_not_span_gaps():
    times = torch.cat([torch.arange(25.0), 40 + torch.arange(13.0)]).double()
    values = torch.arange(38.0, dtype=torch.float64)[:, None].clone()
    values[7] = torch.nan
    parts = split_windows(split_segments([Trajectory(times, values)]), 10)
    assert parts.times.diff(dim=1).max() == 1
    used = parts.values[parts.present].sort().values.tolist()
    assert used == [float(v) for v in range(38) if v != 7]
    assert sorted(parts.indices[parts.is_first].tolist()) == list(range(38))


def test_refinement_keeps_the_measured_values():
    trajectory = lorenz_trajectory(points=50)
    fine = refine(trajectory, 3)
    torch.testing.assert_close(fine.values[::3], trajectory.values)
    torch.testing.assert_close(fine.times[::3], trajectory.times)
    assert fine.values.isnan().sum() == 2 * 49 * 3


@pytest.mark.parametrize("order", [1, 2])
def test_linearised_equations_integrate_a_linear_system(order):
    """x' = y, y' = -x, as coupled first-order equations and as x'' = -x, with solutions cos and -sin."""
    times = 0.05 * torch.arange(60, dtype=torch.float64)
    size = 2 // order
    jacobian = torch.tensor([[0.0, 1.0], [-1.0, 0.0]] if order == 1 else [[-1.0, 0.0]]).double().expand(1, 60, -1, -1)
    linearised = Tangent(Rows(6, order), torch.full((1, 1), 0.05, dtype=torch.float64), jacobian)
    u = linearised(torch.zeros(1, 1, 60, size).double(), torch.tensor([[[1.0, 0.0]]]).double())[0, 0]
    torch.testing.assert_close(u, torch.stack([times.cos(), -times.sin()], dim=-1), rtol=0, atol=1e-6)


def test_triangles_equal_those_of_householder_qr():
    columns = torch.randn(3, 40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    columns[..., 5] = columns[..., 4] + 1e-9 * columns[..., 5]
    expected = torch.linalg.qr(columns, mode="r").R
    expected = expected * expected.diagonal(dim1=-2, dim2=-1).sign()[..., None]
    torch.testing.assert_close(blocks._triangle(columns), expected, rtol=1e-4, atol=1e-9)
