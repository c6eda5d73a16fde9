"""KdV forecasts: equivariance, training, saved state, errors and report."""

import numpy as np
import pytest
import torch

from workbench.datasets import windows
from workbench.datasets.pde import equations
from workbench.datasets.pde.hdf5 import as_dataset
from workbench.diagnostics import metrics
from workbench.experiments import kdv
from workbench.models.kdv.augmentation import Ranges
from workbench.models.kdv.forecast import Forecast, TrainingPlan, Waves
from workbench.models.kdv.networks import FRAMES, PRESETS, WaveForecaster, count
from workbench.training.distributed import DataParallelModel


@pytest.fixture(scope="module")
def fields() -> equations.Fields:
    return equations.simulate(equations.SETUPS["kdv-easy"], range(6), seed=0)


@pytest.fixture(scope="module")
def sets(fields) -> tuple[Waves, Waves]:
    record = as_dataset(fields.u, fields.t, fields.lengths, title="KdV")
    parts = (record.isel(trajectory=slice(4)), record.isel(trajectory=slice(4, 6)))
    return tuple(Waves(*windows.fields(part)) for part in parts)


def forecaster(preset: str) -> WaveForecaster:
    """A forecaster without zero parameters, which the initialization has."""
    network = WaveForecaster(PRESETS[preset], torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.copy_(1e-3 * torch.randn(parameter.shape, generator=generator))
    return network


@pytest.mark.parametrize("preset", list(PRESETS))
def test_forecast_is_translation_equivariant(preset, fields):
    network = forecaster(preset)
    x = torch.from_numpy(fields.u[:1, :FRAMES]).float()
    frames = 30 if preset == "small" else 12
    ahead = network.roll_out(x, frames)
    shifted = network.roll_out(x.roll(37, -1), frames)
    assert ahead.shape == (1, frames, 256)
    assert (ahead[:, -1] - x[:, -1]).abs().max() > 1e-3
    assert (shifted - ahead.roll(37, -1)).abs().max() < 1e-5 * ahead.abs().max()


def test_zero_padding_breaks_equivariance(fields):
    network = forecaster("small")
    x = torch.from_numpy(fields.u[:1, :FRAMES]).float()
    plain = torch.nn.functional.conv1d(x, network.both[0].weight, padding=3)
    again = torch.nn.functional.conv1d(x.roll(37, -1), network.both[0].weight, padding=3)
    assert (again - plain.roll(37, -1)).abs().max() > 1e-2
    circular, shifted = network.both[0](x), network.both[0](x.roll(37, -1))
    assert (shifted - circular.roll(37, -1)).abs().max() < 1e-5


def test_training_supports_data_parallelism(sets):
    model = Forecast(*sets, TrainingPlan(batch=3, steps=2))
    assert isinstance(model, DataParallelModel)
    samples = model._samples()
    each = torch.cat([model.losses(sample[None]) for sample in samples])
    assert torch.allclose(model.losses(samples), each, rtol=1e-5)


def test_parameter_counts():
    assert count(WaveForecaster(PRESETS["paper"], torch.Generator())) == pytest.approx(10.4e6, rel=0.01)
    assert 1e5 < count(WaveForecaster(PRESETS["small"], torch.Generator())) < 5e5


def test_roll_out_equals_repeated_calls(fields):
    network = forecaster("small")
    x = torch.from_numpy(fields.u[:2, :FRAMES]).float()
    with torch.no_grad():
        first = network(x)
        second = network(torch.cat([x[:, -1:], first[:, 1:]], dim=1))
    by_hand = torch.cat([first[:, 1:], second[:, 1:]], dim=1)
    torch.testing.assert_close(network.roll_out(x, 18), by_hand, atol=1e-6, rtol=0)
    torch.testing.assert_close(network.roll_out(x, 13), by_hand[:, :13], atol=1e-6, rtol=0)


def test_training_beats_persistence(sets):
    train, valid = sets
    model = Forecast(train, valid, TrainingPlan(steps=40, batch=8, rate=2e-3, every=40))
    losses = []
    while not model.done:
        step_metrics = model.step()
        losses.append(step_metrics["loss"])
    u = valid.u.numpy()
    persistence = metrics.nmse(u[:, FRAMES : FRAMES + 9], np.broadcast_to(u[:, FRAMES - 1 : FRAMES], (2, 9, 256)))
    forecast = metrics.nmse(u[:, FRAMES : FRAMES + 9], model.predict(u[:, :FRAMES], 9))
    assert np.mean(losses[-8:]) < 0.6 * np.mean(losses[:8])
    assert forecast < 0.9 * persistence
    assert set(step_metrics) == {"loss", "valid", "nmse", "rate"}


def test_restore_continues_exactly(sets):
    plan = TrainingPlan(steps=5, batch=2, every=2, ranges=Ranges(0.5, 0.4, 0.1))
    whole, again = Forecast(*sets, plan), Forecast(*sets, plan)
    for _ in range(2):
        whole.step()
    again.restore(whole.state())
    while not whole.done:
        assert whole.step() == again.step()
    assert again.done
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_seed_reproduces_the_network_without_the_global_generator(sets):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = Forecast(*sets, TrainingPlan(seed=3)), Forecast(*sets, TrainingPlan(seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    other = Forecast(*sets, TrainingPlan(seed=4))
    pairs = zip(first.network.parameters(), second.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not torch.equal(first.network.both[0].weight, other.network.both[0].weight)


def test_learning_rate_decay_and_early_stopping(sets, monkeypatch):
    model = Forecast(*sets, TrainingPlan(steps=1000, batch=1, every=1, patience=2, stop=5, rate=1e-3))
    errors = iter([0.5, 0.4, 0.6, 0.6, 0.6, 0.6, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4])
    monkeypatch.setattr(model, "_validate", lambda: model._update_rate(next(errors)) or {"rate": model.rate})
    rates = []
    while not model.done:
        rates.append(model.step()["rate"])
    assert rates == [1e-3] * 3 + [5e-4] * 2 + [2.5e-4] * 3 + [1.25e-4] * 2 + [6.25e-5] * 2
    assert model._count == 12


def test_half_precision_is_close(fields):
    network = forecaster("small")
    x = torch.from_numpy(fields.u[:1, :FRAMES]).float()
    whole, half = network(x), network(x, half=True)
    assert half.dtype == torch.float32
    assert 0 < (whole - half).abs().max() < 0.02 * whole.abs().max()


def test_nmse_matches_its_definition():
    truth = np.array([[[3.0, 4.0], [0.0, 2.0]]])
    prediction = np.array([[[3.0, 3.0], [0.0, 4.0]]])
    assert metrics.nmse(truth, prediction) == pytest.approx((1 / 25 + 4 / 4) / 2)
    assert metrics.nmse(truth, prediction, by="prediction") == pytest.approx((1 / 18 + 4 / 16) / 2)
    np.testing.assert_allclose(metrics.nmse_by_frame(truth, prediction), [1 / 25, 1.0])
    with pytest.raises(ValueError, match="fields of the same shape"):
        metrics.nmse(truth, prediction[:, :1])
    with pytest.raises(ValueError, match="expected truth or prediction, found 'mean'"):
        metrics.nmse(truth, prediction, by="mean")


def test_short_waves_raise(sets):
    train, valid = sets
    cut = Waves(train.u[:, :15], train.step, train.length)
    with pytest.raises(ValueError, match=r"training: expected trajectories of at least 19 frames, found \[4, 15,"):
        Forecast(cut, valid, TrainingPlan())
    with pytest.raises(ValueError, match="validation: expected trajectories of at least 50 frames"):
        Forecast(train, cut, TrainingPlan())


def test_report_has_forecast_errors_and_maps(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    config = kdv.Config(updates=2, batch=2, every=2, train=2, valid=2, test=2)
    data = kdv.data(config)
    assert data.split.values.tolist() == ["train"] * 2 + ["valid"] * 2 + ["test"] * 2
    model = kdv.model(config, data)
    while not model.done:
        model.step()
    report = kdv.report(model, data)
    u = kdv.select_split(data, "test").data.values
    assert report.image.estimate.shape == (130, 256)
    np.testing.assert_array_equal(report.image.truth.values, u[0, FRAMES:])
    assert report.metrics["nmse_40"] == pytest.approx(float(report.profile.forecast[:40].mean()))
    assert report.metrics["persistence_100"] == pytest.approx(float(report.profile.persistence[:100].mean()))
    assert report.maps.coefficients.sizes == {"order": 5, "frame": FRAMES, "x": 256}
    assert report.maps.attrs["step"] == pytest.approx(0.05, rel=0.1)


def test_invalid_configuration_raises():
    with pytest.raises(ValueError, match="the backend native computes on the cpu"):
        kdv.Config(device="cuda", backend="native")
    assert kdv.Config(mode="paper").updates == 19_520
