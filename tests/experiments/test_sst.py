"""SST: the library of ODEs, forecasts that see nothing ahead, baselines, protocols, the identifier."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from pydantic import ValidationError

from workbench.datasets.sst import dataset, synthetic
from workbench.diagnostics import metrics
from workbench.experiments import sst
from workbench.experiments.sst import reports as sst_report
from workbench.models.sst import correction
from workbench.models.sst.baselines import NAMES, Baselines
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.identifier import Identifier, cosines, neighbours
from workbench.models.sst.kriging import Kriging, Segments, basis, evidence, leading, probabilities
from workbench.models.sst.ode_library import DAY, JITTER, Ode, ODELibrary, members

SAMPLES = Path(__file__).parents[3] / "shared/data/sst"
SMALL = (Ode(6.0, None, 3.0, 0.1), Ode(24.0, 14.0, 3.0, 0.1), Ode(10.0, 2.0, 10.0, 0.2))


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
    """All done."""
    return fitted(record, origins=35)


# the library


def test_the_covariances_are_those_of_the_closed_forms():
    lag = np.arange(2001) * DAY
    for ode, row in zip(SMALL, ODELibrary(SMALL, 2000).table.numpy(), strict=True):
        if ode.c1 is None:
            fast = np.exp(-ode.c0 * lag)
        elif ode.frequency:
            a, w = ode.c1 / 2, ode.frequency
            fast = np.exp(-a * lag) * (np.cos(w * lag) + a / w * np.sin(w * lag))
        else:
            a = ode.damping
            b = ode.c1 - a
            fast = (b * np.exp(-a * lag) - a * np.exp(-b * lag)) / (b - a)
        np.testing.assert_allclose(row, fast + ode.share * np.exp(-lag / ode.slow), atol=1e-7)


def test_damping_and_frequency_are_read_off():
    decay, lag, rhythm = SMALL
    assert (decay.damping, decay.frequency) == (6.0, 0.0)
    assert lag.damping == pytest.approx(2.0)  # roots 2 and 12
    assert rhythm.damping == 1.0
    assert rhythm.frequency == 3.0
    assert len(set(members())) == len(members()) == 132


def test_a_lag_beyond_the_table_is_named():
    library = ODELibrary(SMALL, 100)
    days = torch.tensor([0, 101])
    with pytest.raises(ValueError, match="at most 100 days, found 101"):
        library.covariance(torch.tensor([0]), days, days)


# evidence and kriging, against the textbook


def test_kriging_is_generalised_least_squares():
    library, days = ODELibrary(SMALL, 1000), torch.arange(0, 900, 31)
    chosen = torch.arange(len(SMALL))
    kriging = Kriging.of(library, chosen, days, 2)
    H, y = basis(days, 2), torch.randn(len(days), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for j in range(len(SMALL)):
        K = library.table[j][(days[:, None] - days).abs()] + JITTER * torch.eye(len(days))
        whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(K), torch.cat([H, y], 1), upper=False)
        left, right = whitened[:, : H.shape[1]], whitened[:, H.shape[1] :]
        expected = torch.linalg.lstsq(left, right).solution
        torch.testing.assert_close(kriging.solver[j] @ y, expected, rtol=1e-8, atol=1e-8)
        misfit = (right - left @ expected).square().sum(0)
        torch.testing.assert_close(((kriging.projector[j] @ y) * y).sum(0), misfit, rtol=1e-8, atol=1e-8)
        volume = torch.logdet(K) + torch.logdet(left.T @ left)
        torch.testing.assert_close(kriging.log_volume[j], volume, rtol=1e-8, atol=1e-8)


def test_the_evidence_finds_the_ode_that_made_the_data():
    library, days = ODELibrary(SMALL, 3700), torch.arange(0, 3600, 30)
    generator = torch.Generator().manual_seed(1)
    chosen = torch.arange(len(SMALL))
    for truth in range(len(SMALL)):
        K = library.covariance(torch.tensor([truth]), days, days)[0]
        noise = torch.randn(len(days), 40, dtype=torch.float64, generator=generator)
        values = 20 + torch.linalg.cholesky(K) @ noise + 3 * basis(days, 1)[:, 1:2]
        found, variance = evidence(library, chosen, days, values, harmonics=1, piece=120)
        posterior = probabilities(found, torch.ones(40, dtype=torch.float64))
        assert int(posterior.mean(1).argmax()) == truth
        assert float(variance[truth].mean()) == pytest.approx(1.0, rel=0.15)


def test_pieces_cover_the_record_from_its_end():
    assert [(p.start, p.stop) for p in Segments(250, 100)] == [(0, 50), (50, 150), (150, 250)]
    assert [(p.start, p.stop) for p in Segments(240, 100)] == [(40, 140), (140, 240)]
    assert [(p.start, p.stop) for p in Segments(80, 100)] == [(0, 80)]


def test_the_leading_members_hold_the_probability():
    posterior = torch.tensor([[0.98, 0.001], [0.019, 0.001], [0.001, 0.998]], dtype=torch.float64)
    chosen, weights = leading(posterior, torch.ones(2, dtype=torch.float64), mass=0.95)
    assert chosen.tolist() == [0, 2]
    torch.testing.assert_close(weights.sum(0), torch.ones(2, dtype=torch.float64))


# forecasts


def test_an_exact_forecast_is_certain_of_what_it_knows(model):
    mean, variance = model.forecast(90, torch.tensor([0, 1, 24]))
    torch.testing.assert_close(mean[0], model._values[90], atol=2e-2, rtol=0)
    assert (variance[0] < variance[1]).all()
    assert (variance[1] < variance[2]).all()


def test_training_does_not_see_the_test_period(record):
    """Other values after the training period: the same probabilities, the same forecast from its end."""
    changed = record.copy(deep=True)
    N = record.attrs["training"]
    changed["data"][N:] = changed["data"][N:] * 3 - 40
    changed["truth"] = changed["data"]
    one, other = fitted(record), fitted(changed)
    for name, array in one.state().items():
        np.testing.assert_array_equal(array, other.state()[name], err_msg=name)
    torch.testing.assert_close(one.path()[0], other.path()[0], rtol=0, atol=0)
    simple, simple_changed = sst_report.baselines(record), sst_report.baselines(changed)
    torch.testing.assert_close(simple.climatology, simple_changed.climatology, rtol=0, atol=0)
    torch.testing.assert_close(simple.memory, simple_changed.memory, rtol=0, atol=0)


def test_a_forecast_sees_nothing_after_its_origin(record):
    origin = record.attrs["training"] + 5
    changed = record.copy(deep=True)
    changed["data"][origin + 1 :] += 7.0
    leads = torch.tensor([1, 3, 12])
    one, other = fitted(record), fitted(changed)
    torch.testing.assert_close(one.forecast(origin, leads), other.forecast(origin, leads), rtol=0, atol=0)
    seen = fitted(record.assign(data=record["data"] + xr.where(record["time"] == record["time"][origin], 1.0, 0.0)))
    assert not torch.allclose(one.forecast(origin, leads)[0], seen.forecast(origin, leads)[0])


def test_the_identifier_does_not_see_the_test_period():
    record = field_record_fine()
    changed = record.copy(deep=True)
    changed["data"][record.attrs["training"] :] -= 9.0
    made = []
    for data in (record, changed):
        network = sst.model(sst.Config(mode="identifier", hidden=16, batch=32), data)
        losses = [network.step()["loss"] for _ in range(3)]
        made.append((losses, network.path()))
    assert made[0][0] == made[1][0]
    torch.testing.assert_close(made[0][1], made[1][1], rtol=0, atol=0, equal_nan=True)


def field_record_fine() -> xr.Dataset:
    field = synthetic.field(years=8, degrees=5.0).sel(lat=slice(20, -20))
    record = dataset.from_field(field, dataset.REGIONS["world"], training=66)
    return record.assign_attrs(training=66)


def test_forecasts_of_the_synthetic_field_beat_the_simple_ones(model, record):
    report = sst.report(model, record)
    skill = report.skill["skill"]
    for lead in (1, 3):
        row = skill.sel(lead=lead)
        assert float(row.sel(forecast="model")) > float(row.drop_sel(forecast="model").max())
    assert 0.85 < report.metrics["coverage"] < 0.99
    assert report.metrics["separation"] > 2 * report.metrics["chance"]
    assert report.metrics["mse_given"] < report.metrics["mse_after"]
    assert set(report.skill["forecast"].values) == {"model", *NAMES}


def test_the_maps_say_what_made_the_field(model, record):
    maps = sst.report(model, record).globe
    damping = maps["damping"].mean("lon")
    assert float(damping.sel(lat=0)) < float(damping.sel(lat=60))
    assert not np.isfinite(maps["damping"].values[~maps["ocean"].values]).any()
    north = maps["phase"].sel(lat=60).mean() - maps["phase"].sel(lat=-60).mean()
    assert abs(float(north)) == pytest.approx(6, abs=0.5), "half a year between the hemispheres"


def test_the_forcing_gives_the_cycle_back():
    """A pure cycle: F = S (c0 + i w) for the first order, whatever else the library holds."""
    days = torch.arange(0, 3650, 30)
    t = days.double() * DAY
    values = (20 + 2 * torch.cos(2 * np.pi * t))[:, None] + 0.01 * torch.randn(
        len(t), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    plan = ForecastSettings(training=100, harmonics=1, leads=(1,), piece=120, memory=240)
    model = SeasonalForecaster(days, values, torch.ones(2, dtype=torch.float64), plan)
    while not model.fitted:
        model.step()
    forcing, rest = sst_report.annual_forcing(model)
    for place, index in enumerate(model.forecaster.chosen.tolist()):
        ode = model.odes[index]
        if ode.c1 is None:
            torch.testing.assert_close(
                forcing[place],
                torch.full((2,), 2 * complex(ode.c0, 2 * np.pi), dtype=torch.complex128),
                rtol=0.01,
                atol=0.1,
            )
    torch.testing.assert_close(rest, torch.full_like(rest, 20.0), rtol=1e-3, atol=0)


@pytest.mark.parametrize("after", [3, 13])
def test_a_run_goes_on_where_it_stopped(record, after):
    one, other = (sst.model(sst.Config(source="synthetic"), record) for _ in range(2))
    for _ in range(after):
        one.step()
    other.restore(one.state())
    for _ in range(2):
        assert one.step() == other.step()
    torch.testing.assert_close(one.squared_errors, other.squared_errors, rtol=0, atol=0)


def test_a_report_can_be_asked_for_at_any_step(record):
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


# baselines, protocols, bands


def test_the_baselines_are_what_they_are_called():
    season = torch.arange(60) % 12
    values = (season.double() + 0.5 * torch.sin(torch.arange(60.0)).double())[:, None]
    simple = Baselines(values, season, 36, 12)
    forecasts = simple.anomalies(40, torch.tensor([2]))
    a, r = simple.anomaly[40], simple.memory
    half = 0.5 * simple.anomaly[29:41].mean(0)
    expected = (0 * a, a, r**2 * a, half + r**2 * (a - half))
    for name, value in zip(NAMES, expected, strict=True):
        torch.testing.assert_close(forecasts[name][0], value)
    errors = simple.squared_errors((2, 30), range(36, 59))
    assert float(errors["climatology"][1, 0]) == 0.0, "no origin reaches so far"
    torch.testing.assert_close(errors["climatology"][0], simple.anomaly[38:].square().sum(0))
    with pytest.raises(ValueError, match="too short for a climatology"):
        Baselines(values, season, 8, 12)


def test_the_protocols_of_a_perfect_and_of_the_climatological_forecast(record):
    simple, N = sst_report.baselines(record), record.attrs["training"]
    truth = simple.values[N:]
    perfect = sst_report.protocols(record, simple, honest=truth, given=truth)
    assert perfect["mse_honest"] == perfect["mse_given"] == perfect["mse_after"] == 0.0
    usual = sst_report.protocols(record, simple, honest=simple.climatology[N:], given=simple.climatology[N:])
    assert usual["mse_honest"] == usual["mse_climatology"] > 0


def test_what_is_not_beaten_is_said():
    skill = xr.Dataset(
        {"skill": (("lead", "forecast"), [[0.5, 0.0, 0.4], [-0.1, 0.0, -0.3]])},
        coords={"lead": ("lead", [1, 6], {"units": "month"}), "forecast": ["model", "climatology", "persistence"]},
    )
    assert sst_report.shortcomings(skill) == (
        "6 months ahead the forecast does not beat climatology (skill -0.100 against 0.000)",
    )


def test_bands_are_told_apart_only_if_they_differ():
    lat, lon = np.arange(50.0, -51, -10), np.arange(0.0, 360, 10)
    noise = np.random.default_rng(0).standard_normal((2, len(lat), len(lon)))
    coords = {"lat": lat, "lon": lon}
    flat = {"theta_0": (("lat", "lon"), noise[0]), "theta_1": (("lat", "lon"), noise[1])}
    guessed = metrics.band_separation(xr.Dataset(flat, coords=coords))
    assert guessed["separation"] == pytest.approx(guessed["chance"], abs=0.12)
    clear = {**flat, "theta_0": (("lat", "lon"), noise[0] / 5 + lat[:, None] / 5)}
    assert metrics.band_separation(xr.Dataset(clear, coords=coords))["separation"] > 0.8


# configuration


@pytest.mark.parametrize(
    "given,words",
    [
        ({"mode": "identifier", "source": "elnino"}, "has no neighbouring places"),
        ({"chunk": 5}, "too short: expected 0 or more than 10"),
        ({"source": "atlantis"}, "source"),
        ({"harmonics": 0}, "harmonics"),
    ],
)
def test_a_bad_configuration_is_refused_in_words(given, words):
    with pytest.raises(ValidationError, match=words):
        sst.Config(**given)


def test_data_that_do_not_suffice_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"the record \(732 grid points\) is too short to hold out 720"):
        sst.data(sst.Config(holdout=720))
    with pytest.raises(FileNotFoundError, match=r"not there yet. Switch Download on, or fetch https.*sst\.mnmean\.nc"):
        sst.data(sst.Config(source="ersst"))
    config = sst.Config(mode="identifier", holdout=90)
    with pytest.raises(ValueError, match=r"\(54 grid points\) is shorter than a chunk \(90\)"):
        sst.model(config, sst.data(config))


# the identifier


def test_the_cosines_are_orthonormal():
    rows = cosines(208)
    assert rows.shape == (52, 208)
    torch.testing.assert_close(rows @ rows.T, torch.eye(52), atol=1e-5, rtol=0)


def test_neighbours_lie_at_the_same_latitude_and_close():
    lat, lon = torch.tensor([0.0, 0.0, 0.0, 2.0]), torch.tensor([358.0, 2.0, 10.0, 0.0])
    assert [some.tolist() for some in neighbours(lat, lon)] == [[1], [0], [2], [3]]
    with pytest.raises(ValueError, match="there are none"):
        neighbours(torch.tensor([0.0, 10.0]), torch.tensor([0.0, 0.0]))


@pytest.mark.parametrize("mode,rows", [("identifier", 30), ("invariant", 1)])
def test_the_identifier_learns_and_plays_back(mode, rows):
    record = field_record_fine()
    config = sst.Config(mode=mode, chunk=30, hidden=32, batch=64, epochs=60)
    network = sst.model(config, record)
    assert isinstance(network, Identifier)
    assert network.networks.rows == rows
    losses = [network.step()["loss"] for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    report = sst.report(network, record)
    assert {"mse_given", "mse_after", "mse_honest", "separation"} <= set(report.metrics)
    other = sst.model(config.model_copy(update={"seed": 5}), record)
    other.restore(network.state())
    assert other.step() == network.step()


# real data


def test_the_ersst_sample_is_forecast_better_than_by_the_best_simple_forecast(required, monkeypatch, tmp_path):
    name = "ersstv5.sst.mnmean.2010-2020.nc"
    required((SAMPLES / name).exists(), "put the SST samples into ../shared/data/sst (see data/cards/sst.md)")
    (tmp_path / "sst").mkdir()
    (tmp_path / "sst/sst.mnmean.nc").symlink_to(SAMPLES / name)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    config = sst.Config(source="ersst")
    record = sst.data(config)
    # every fifth cell: the prior is learned from fewer, the rest is the same
    record = record.isel(variable=slice(None, None, 5))
    model = sst.model(config, record)
    while not model.done:
        model.step()
    skill = sst.report(model, record).skill["skill"]
    own, best = skill.sel(forecast="model"), skill.drop_sel(forecast="model").max("forecast")
    assert (own > best).all(), skill.to_pandas()


# coupling


def weekly(seed: int = 0, weeks: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    """Two series: the first follows where the second was 8 weeks before."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(weeks, 2, dtype=torch.float64, generator=generator)
    y = torch.zeros(weeks, 2, dtype=torch.float64)
    for t in range(1, weeks):
        y[t, 1] = 0.9 * y[t - 1, 1] + noise[t, 1]
        y[t, 0] = 0.5 * y[t - 1, 0] + (0.8 * y[t - 8, 1] if t >= 8 else 0.0) + 0.3 * noise[t, 0]
    return 7 * torch.arange(weeks), 20 + y


def coupled(values: torch.Tensor, days: torch.Tensor) -> SeasonalForecaster:
    plan = ForecastSettings(training=len(days) - 60, harmonics=1, leads=(4, 8), piece=200, memory=200)
    model = SeasonalForecaster(days, values, torch.ones(2, dtype=torch.float64), plan)
    while not model.fitted:
        model.step()
    return model


def test_coupled_series_foretell_each_other_and_see_nothing_ahead():
    days, values = weekly()
    model = coupled(values, days)
    assert model.coupled
    leads, errors = torch.tensor([4]), []
    for origin in range(840, 890):
        target = values[origin + 4, 0]
        both, alone = model.forecast(origin, leads)[0][0, 0], model._alone(origin, leads)[0][0, 0]
        errors.append([float(both - target) ** 2, float(alone - target) ** 2])
    both, alone = np.mean(errors, axis=0)
    assert both < 0.6 * alone
    origin, changed = 860, values.clone()
    changed[origin + 1 :] += 5.0
    other = coupled(changed, days)
    torch.testing.assert_close(model.forecast(origin, leads), other.forecast(origin, leads), rtol=0, atol=1e-9)


def test_series_that_have_nothing_to_tell_are_not_corrected():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(400, 12, dtype=torch.float64, generator=generator)
    rest = torch.randn(400, 3, dtype=torch.float64, generator=generator)
    found = correction.fit(features, rest, 4)
    assert (found.left > 0.97).all()
    assert float((features @ found.coefficients).square().mean()) < 0.05
    signal = correction.fit(features, rest + 3 * features[:, :1], 4)
    assert (signal.left < 0.2).all()
    torch.testing.assert_close(signal.coefficients[0], torch.full((3,), 3.0, dtype=torch.float64), atol=0.2, rtol=0)


def test_memories_are_the_low_passes_they_claim():
    days = 7 * torch.arange(300)
    step = torch.where(torch.arange(300) >= 100, 1.0, 0.0).double()[:, None]
    z = correction.memories(days, step, 300, 1)
    scale = z[:, 0].max() - z[:, 0].min()
    low = z[:, 1 : len(correction.MEMORIES)]
    assert (low.diff(dim=0)[100:101] > 0).all()
    assert (low[100:110].diff(dim=0) < scale).all()
    assert z.shape == (300, 3 * len(correction.MEMORIES))
