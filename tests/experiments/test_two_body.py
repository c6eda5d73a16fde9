"""Two-body problem: orbits, discovered law, and roll-outs of both models."""

import numpy as np
import pytest
import torch

from workbench import experiments
from workbench.datasets.ode import systems
from workbench.discovery.engine.tangent import Rows
from workbench.experiments.two_body import roll_out_errors
from workbench.models.ode.window_network import Continuation, WindowNetworkConfig


def trained(**settings: object) -> tuple[object, object, object]:
    experiment = experiments.get("two_body")
    config = experiment.Config(**settings)
    record = experiment.data(config)
    model = experiment.model(config, record)
    while not model.done:
        model.step()
    return model, record, experiment.report(model, record)


def test_orbit_is_periodic_with_fixed_centre_of_mass():
    system = systems.TwoBody(first=2.0, second=1.0, eccentricity=0.5)
    points = 401
    record = systems.simulate(system, points=points, step=system.period / (points - 1), noise=0.0, seed=0)
    orbit = record["truth"].values
    np.testing.assert_allclose(orbit[-1], orbit[0], atol=1e-8)
    np.testing.assert_allclose(2.0 * orbit[:, :2] + orbit[:, 2:], 0.0, atol=1e-8)
    distance = np.hypot(*(orbit[:, 2:] - orbit[:, :2]).T)
    assert (distance.min(), distance.max()) == (pytest.approx(0.5), pytest.approx(1.5, rel=1e-4))


@pytest.mark.exhaustive
def test_roll_out_uses_only_the_training_points():
    _, record, report = trained(n_bootstrap=20)
    assert report.metrics["rolled_10"] < 1e-4
    estimate = report.trajectory["estimate"].values
    assert np.isnan(estimate[:1200]).all()
    assert np.isfinite(estimate[1200:]).all()
    assert report.equations[0].text(1) == "x1'' = 19.7 (x2 - x1)/((x2 - x1)^2 + (y2 - y1)^2)^1.5"
    changed = record.copy(deep=True)
    changed["data"][1200:] = 0.0
    experiment = experiments.get("two_body")
    model = experiment.model(experiment.Config(n_bootstrap=20), changed)
    while not model.done:
        model.step()
    np.testing.assert_array_equal(experiment.report(model, changed).trajectory["estimate"], estimate)


def test_network_roll_out():
    model, _, report = trained(mode="network", passes=4)
    assert report.metrics["rolled_1"] < 0.02
    assert report.metrics["rolled_5"] < 0.1
    assert report.equations == ()
    assert model.coefficients() is None


def test_network_restore_continues_exactly():
    record = torch.randn(120, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).cumsum(0)
    one, two = (Continuation(record, WindowNetworkConfig(window=8, hidden=20, passes=4), Rows(6, 2)) for _ in range(2))
    one.step()
    two.restore(one.state())
    assert one.step() == two.step()
    assert torch.equal(one.roll_out(record[:8], 20), two.roll_out(record[:8], 20))


def test_network_is_translation_invariant():
    record = torch.from_numpy(
        systems.simulate(systems.TwoBody(), points=400, step=0.005, noise=0.0, seed=0)["truth"].values.copy()
    )
    model = Continuation(record, WindowNetworkConfig(window=20, hidden=50, passes=1), Rows(6, 2))
    model.step()
    offset = torch.tensor([3.0, -2.0, 3.0, -2.0], dtype=torch.float64)
    expected = model.roll_out(record[:20], 40) + offset
    torch.testing.assert_close(model.roll_out(record[:20] + offset, 40), expected, rtol=0, atol=1e-6)


def test_record_shorter_than_two_windows_raises():
    with pytest.raises(ValueError, match="expected at least two windows of 50 grid points, found 60"):
        Continuation(torch.zeros(60, 4, dtype=torch.float64), WindowNetworkConfig(), Rows(6, 2))


def test_roll_out_error_is_relative_to_the_distance():
    record = systems.simulate(systems.TwoBody(), points=400, step=0.005, noise=0.0, seed=0)
    off = record.assign(estimate=record["truth"].copy())
    assert roll_out_errors(off, 0.8)["rolled_1"] == 0
    off["estimate"][100, 0] += 0.5
    distance = np.hypot(*(record["truth"].values[:, 2:] - record["truth"].values[:, :2]).T).mean()
    assert roll_out_errors(off, 0.8)["rolled_1"] == pytest.approx(0.5 / distance)
    off["estimate"][300:] = np.nan
    assert (roll_out_errors(off, 0.3)["rolled_1"], roll_out_errors(off, 0.35)["rolled_5"]) == (0, np.inf)
