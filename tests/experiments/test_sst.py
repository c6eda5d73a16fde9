"""SST experiment: forecasts, report, protocols, configuration."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from workbench.datasets.sst import dataset, synthetic
from workbench.diagnostics import metrics
from workbench.experiments import sst
from workbench.experiments.sst import reports
from workbench.models.sst.baselines import NAMES
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.ode_library import DAY

SAMPLES = Path(__file__).parents[3] / "shared/data/sst"


def field_record(seed: int = 0, years: int = 10) -> xr.Dataset:
    field = synthetic.field(years=years, degrees=15.0, seed=seed)
    record = dataset.from_field(field, dataset.REGIONS["world"], training=12 * years - 36)
    return record.assign_attrs(training=12 * years - 36)


def fitted(record: xr.Dataset, *, origins: int = 0) -> SeasonalForecaster:
    model = sst.model(sst.Config(source="synthetic"), record)
    while not model.fitted:
        model.step()
    for _ in range(origins):
        model.step()
    return model


@pytest.fixture(scope="module")
def record() -> xr.Dataset:
    return field_record()


@pytest.fixture(scope="module")
def model(record) -> SeasonalForecaster:
    """Trained model."""
    return fitted(record, origins=35)


def test_forecast_variance_grows_with_the_lead(model):
    mean, variance = model.forecast(90, torch.tensor([0, 1, 24]))
    torch.testing.assert_close(mean[0], model._values[90], atol=2e-2, rtol=0)
    assert (variance[0] < variance[1]).all()
    assert (variance[1] < variance[2]).all()


def test_fit_ignores_the_test_period(record):
    """Changed values after the training period give the same probabilities and the same forecast from its end."""
    changed = record.copy(deep=True)
    N = record.attrs["training"]
    changed["data"][N:] = changed["data"][N:] * 3 - 40
    changed["truth"] = changed["data"]
    one, other = fitted(record), fitted(changed)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, other.state()[name], err_msg=name)
    torch.testing.assert_close(one.path()[0], other.path()[0], rtol=0, atol=0)
    simple, simple_changed = reports.baselines(record), reports.baselines(changed)
    torch.testing.assert_close(simple.climatology, simple_changed.climatology, rtol=0, atol=0)
    torch.testing.assert_close(simple.memory, simple_changed.memory, rtol=0, atol=0)


def test_forecast_ignores_values_after_its_origin(record):
    origin = record.attrs["training"] + 5
    changed = record.copy(deep=True)
    changed["data"][origin + 1 :] += 7.0
    leads = torch.tensor([1, 3, 12])
    one, other = fitted(record), fitted(changed)
    torch.testing.assert_close(one.forecast(origin, leads), other.forecast(origin, leads), rtol=0, atol=0)
    seen = fitted(record.assign(data=record["data"] + xr.where(record["time"] == record["time"][origin], 1.0, 0.0)))
    assert not torch.allclose(one.forecast(origin, leads)[0], seen.forecast(origin, leads)[0])


def test_forecasts_of_the_synthetic_field_beat_the_baselines(model, record):
    report = sst.report(model, record)
    skill = report.skill["skill"]
    for lead in (1, 3):
        row = skill.sel(lead=lead)
        assert float(row.sel(forecast="model")) > float(row.drop_sel(forecast="model").max())
    assert 0.85 < report.metrics["coverage"] < 0.99
    assert report.metrics["separation"] > 2 * report.metrics["chance"]
    assert report.metrics["mse_given"] < report.metrics["mse_after"]
    assert set(report.skill["forecast"].values) == {"model", *NAMES}


def test_maps_recover_the_synthetic_parameters(model, record):
    maps = sst.report(model, record).globe
    damping = maps["damping"].mean("lon")
    assert float(damping.sel(lat=0)) < float(damping.sel(lat=60))
    assert not np.isfinite(maps["damping"].values[~maps["ocean"].values]).any()
    north = maps["phase"].sel(lat=60).mean() - maps["phase"].sel(lat=-60).mean()
    assert abs(float(north)) == pytest.approx(6, abs=0.5), "half a year between the hemispheres"


def test_annual_forcing_reproduces_the_cycle():
    """For a pure cycle, F = S (c0 + i w) for members of first order."""
    days = torch.arange(0, 3650, 30)
    t = days.double() * DAY
    values = (20 + 2 * torch.cos(2 * np.pi * t))[:, None] + 0.01 * torch.randn(
        len(t), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    plan = ForecastSettings(training=100, harmonics=1, leads=(1,), segment=120, history=240)
    model = SeasonalForecaster(days, values, torch.ones(2, dtype=torch.float64), plan)
    while not model.fitted:
        model.step()
    forcing, mean = reports.annual_forcing(model)
    for place, index in enumerate(model.forecaster.chosen.tolist()):
        ode = model.odes[index]
        if ode.c1 is None:
            torch.testing.assert_close(
                forcing[place],
                torch.full((2,), 2 * complex(ode.c0, 2 * np.pi), dtype=torch.complex128),
                rtol=0.01,
                atol=0.1,
            )
    torch.testing.assert_close(mean, torch.full_like(mean, 20.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("after", [3, 13])
def test_restore_continues_exactly(record, after):
    one, other = (sst.model(sst.Config(source="synthetic"), record) for _ in range(2))
    for _ in range(after):
        one.step()
    other.restore(one.state())
    for _ in range(2):
        assert one.step() == other.step()
    torch.testing.assert_close(one.squared_errors, other.squared_errors, rtol=0, atol=0)


def test_report_at_any_step(record):
    model = sst.model(sst.Config(source="synthetic"), record)
    model.step()
    assert sst.report(model, record).skill is None
    while not model.fitted:
        model.step()
    report = sst.report(model, record)
    assert report.skill is None
    assert {"lower", "upper", "estimate"} <= set(report.trajectory)
    model.step()
    assert sst.report(model, record).skill is not None


def test_protocol_errors_of_perfect_and_climatological_forecasts(record):
    simple, N = reports.baselines(record), record.attrs["training"]
    truth = simple.values[N:]
    perfect = reports.protocols(record, simple, honest=truth, given=truth)
    assert perfect["mse_honest"] == perfect["mse_given"] == perfect["mse_after"] == 0.0
    usual = reports.protocols(record, simple, honest=simple.climatology[N:], given=simple.climatology[N:])
    assert usual["mse_honest"] == usual["mse_climatology"] > 0


def test_skill_warnings_name_better_baselines():
    skill = xr.Dataset(
        {"skill": (("lead", "forecast"), [[0.5, 0.0, 0.4], [-0.1, 0.0, -0.3]])},
        coords={"lead": ("lead", [1, 6], {"units": "month"}), "forecast": ["model", "climatology", "persistence"]},
    )
    assert reports.skill_warnings(skill) == (
        "6 months ahead the forecast does not beat climatology (skill -0.100, baseline 0.000)",
    )


def test_band_separation_requires_different_bands():
    lat, lon = np.arange(50.0, -51, -10), np.arange(0.0, 360, 10)
    noise = np.random.default_rng(0).standard_normal((2, len(lat), len(lon)))
    coords = {"lat": lat, "lon": lon}
    flat = {"theta_0": (("lat", "lon"), noise[0]), "theta_1": (("lat", "lon"), noise[1])}
    random = metrics.band_separation(xr.Dataset(flat, coords=coords))
    assert random["separation"] == pytest.approx(random["chance"], abs=0.12)
    clear = {**flat, "theta_0": (("lat", "lon"), noise[0] / 5 + lat[:, None] / 5)}
    assert metrics.band_separation(xr.Dataset(clear, coords=coords))["separation"] > 0.8


@pytest.mark.parametrize(
    "given,message",
    [
        ({"mode": "identifier", "source": "elnino"}, "has no neighboring cells"),
        ({"chunk": 5}, "too short: expected 0 or more than 10"),
        ({"source": "atlantis"}, "source"),
        ({"harmonics": 0}, "harmonics"),
    ],
)
def test_invalid_configuration_raises(given, message):
    with pytest.raises(ValidationError, match=message):
        sst.Config(**given)


def test_insufficient_data_raise(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"the record \(732 grid points\) is too short to hold out 720"):
        sst.data(sst.Config(holdout=720))
    with pytest.raises(FileNotFoundError, match=r"is missing. Enable Download, or save https.*sst\.mnmean\.nc"):
        sst.data(sst.Config(source="ersst"))
    config = sst.Config(mode="identifier", holdout=90)
    with pytest.raises(ValueError, match=r"\(54 grid points\) is shorter than a chunk \(90\)"):
        sst.model(config, sst.data(config))


def test_forecasts_of_the_ersst_sample_beat_the_best_baseline(required, monkeypatch, tmp_path):
    name = "ersstv5.sst.mnmean.2010-2020.nc"
    required((SAMPLES / name).exists(), "put the SST samples into ../shared/data/sst (see data/cards/sst.md)")
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst/sst.mnmean.nc").symlink_to(SAMPLES / name)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    config = sst.Config(source="ersst")
    record = sst.data(config)
    # every fifth cell, to save time: only the prior changes
    record = record.isel(variable=slice(None, None, 5))
    model = sst.model(config, record)
    while not model.done:
        model.step()
    skill = sst.report(model, record).skill["skill"]
    own, best = skill.sel(forecast="model"), skill.drop_sel(forecast="model").max("forecast")
    assert (own > best).all(), skill.to_pandas()
