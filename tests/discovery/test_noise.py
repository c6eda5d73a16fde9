"""The shape of noise: constant, or proportional to the state."""

import numpy as np
import pytest
import torch

from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.evidence_search import EvidenceSearch
from workbench.discovery.noise import SMALLEST, noise_shape
from workbench.symbolic.library import Polynomials

N = 300


def samples(kind: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """States (N, 1) from 10 to 0.1, and residuals with standard deviation 0.05, or 0.05 of the state."""
    states = 10 * torch.exp(-torch.linspace(0, 4.6, N, dtype=torch.float64))[:, None]
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((N, 1)))
    return states, 0.05 * noise * (states if kind == "proportional" else 1.0)


@pytest.mark.parametrize("kind", ["constant", "proportional"])
@pytest.mark.parametrize("seed", range(3))
def test_the_shape_is_that_of_the_residuals(kind, seed):
    states, residuals = samples(kind, seed)
    shape = noise_shape(residuals, states)
    assert (shape.relative == 1).all() == (kind == "constant")
    assert float(shape.relative.square().mean()) == pytest.approx(1.0)
    true = 0.05 * (states.square().mean().sqrt() if kind == "proportional" else 1.0)
    assert float(shape.level(residuals)) == pytest.approx(float(true), rel=0.15)


def test_a_state_near_zero_does_not_determine_the_level():
    states, residuals = samples("proportional")
    states, residuals = torch.cat([states, 1e-9 * states]), torch.cat([residuals, 0 * residuals])
    shape = noise_shape(residuals, states)
    assert not shape.counted[N:].any()
    least = SMALLEST * states.square().mean().sqrt()
    assert float(shape.relative.min() / shape.relative.max()) == pytest.approx(float(least / states.max()))
    relative = float(shape.level(residuals) * shape.relative[0, 0] / states[0, 0])
    assert relative == pytest.approx(0.05, rel=0.15)


def test_missing_measurements_do_not_matter():
    states, residuals = samples("proportional")
    missing = torch.cat([residuals, torch.full_like(residuals, torch.nan)])
    found = noise_shape(missing, torch.cat([states, 1e6 * states]))
    expected = noise_shape(residuals, states)
    torch.testing.assert_close(found.relative[:N], expected.relative)
    torch.testing.assert_close(found.level(missing), expected.level(residuals))


def test_a_search_finds_proportional_noise_and_the_equation():
    """An epidemic: the infected decay by three orders of magnitude, and so does their noise."""
    times = np.linspace(0, 10, 257)
    values = 5 * np.exp(-0.7 * times) * (1 + 0.05 * np.random.default_rng(0).standard_normal(257))
    trajectory = Trajectory(torch.from_numpy(times), torch.from_numpy(values)[:, None])
    search = EvidenceSearch([trajectory], Polynomials(("x",), 2), Settings())
    while not search.done:
        search.step()
    result = search.result()
    assert (result.coefficients[:, 0] != 0).tolist() == [False, True, False]
    # the noise of 5 % determines the rate within 0.1 %; constant noise of the same level would give 1 %
    assert result.coefficients[1, 0] == pytest.approx(-0.7, rel=5e-3)
    assert result.standard_error[1, 0] < 3e-3
