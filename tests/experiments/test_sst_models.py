"""SST models: library of ODEs, kriging, baselines, correction."""

import numpy as np
import pytest
import torch

from workbench.models.sst import correction
from workbench.models.sst.baselines import NAMES, Baselines
from workbench.models.sst.forecaster import ForecastSettings, SeasonalForecaster
from workbench.models.sst.kriging import Kriging, Segments, basis, leading, log_marginal_likelihood, probabilities
from workbench.models.sst.ode_library import DAY, JITTER, Ode, ODELibrary, members

SMALL = (Ode(6.0, None, 3.0, 0.1), Ode(24.0, 14.0, 3.0, 0.1), Ode(10.0, 2.0, 10.0, 0.2))


def test_covariances_match_the_closed_forms():
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


def test_damping_and_frequency_of_members():
    decay, lag, rhythm = SMALL
    assert (decay.damping, decay.frequency) == (6.0, 0.0)
    assert lag.damping == pytest.approx(2.0)  # roots 2 and 12
    assert rhythm.damping == 1.0
    assert rhythm.frequency == 3.0
    assert len(set(members())) == len(members()) == 132


def test_lag_beyond_the_table_raises():
    library = ODELibrary(SMALL, 100)
    days = torch.tensor([0, 101])
    with pytest.raises(ValueError, match="at most 100 days, found 101"):
        library.covariance(torch.tensor([0]), days, days)


def test_kriging_matches_generalized_least_squares():
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
        squares = (right - left @ expected).square().sum(0)
        torch.testing.assert_close(((kriging.projector[j] @ y) * y).sum(0), squares, rtol=1e-8, atol=1e-8)
        volume = torch.logdet(K) + torch.logdet(left.T @ left)
        torch.testing.assert_close(kriging.log_volume[j], volume, rtol=1e-8, atol=1e-8)


def test_marginal_likelihood_selects_the_true_ode():
    library, days = ODELibrary(SMALL, 3700), torch.arange(0, 3600, 30)
    generator = torch.Generator().manual_seed(1)
    chosen = torch.arange(len(SMALL))
    for truth in range(len(SMALL)):
        K = library.covariance(torch.tensor([truth]), days, days)[0]
        noise = torch.randn(len(days), 40, dtype=torch.float64, generator=generator)
        values = 20 + torch.linalg.cholesky(K) @ noise + 3 * basis(days, 1)[:, 1:2]
        log_likelihood, variance = log_marginal_likelihood(library, chosen, days, values, harmonics=1, segment=120)
        posterior = probabilities(log_likelihood, torch.ones(40, dtype=torch.float64))
        assert int(posterior.mean(1).argmax()) == truth
        assert float(variance[truth].mean()) == pytest.approx(1.0, rel=0.15)


def test_segments_cover_the_data_from_the_end():
    assert [(p.start, p.stop) for p in Segments(250, 100)] == [(0, 50), (50, 150), (150, 250)]
    assert [(p.start, p.stop) for p in Segments(240, 100)] == [(40, 140), (140, 240)]
    assert [(p.start, p.stop) for p in Segments(80, 100)] == [(0, 80)]


def test_leading_members_have_most_of_the_probability():
    posterior = torch.tensor([[0.98, 0.001], [0.019, 0.001], [0.001, 0.998]], dtype=torch.float64)
    chosen, weights = leading(posterior, torch.ones(2, dtype=torch.float64), mass=0.95)
    assert chosen.tolist() == [0, 2]
    torch.testing.assert_close(weights.sum(0), torch.ones(2, dtype=torch.float64))


def test_baselines_match_their_definitions():
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
    assert float(errors["climatology"][1, 0]) == 0.0, "no origin has this lead"
    torch.testing.assert_close(errors["climatology"][0], simple.anomaly[38:].square().sum(0))
    with pytest.raises(ValueError, match="too short for a climatology"):
        Baselines(values, season, 8, 12)


def weekly_series(seed: int = 0, weeks: int = 900) -> tuple[torch.Tensor, torch.Tensor]:
    """Two series, the first of which depends on the second 8 weeks before."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(weeks, 2, dtype=torch.float64, generator=generator)
    y = torch.zeros(weeks, 2, dtype=torch.float64)
    for t in range(1, weeks):
        y[t, 1] = 0.9 * y[t - 1, 1] + noise[t, 1]
        y[t, 0] = 0.5 * y[t - 1, 0] + (0.8 * y[t - 8, 1] if t >= 8 else 0.0) + 0.3 * noise[t, 0]
    return 7 * torch.arange(weeks), 20 + y


def fitted_forecaster(values: torch.Tensor, days: torch.Tensor) -> SeasonalForecaster:
    plan = ForecastSettings(training=len(days) - 60, harmonics=1, leads=(4, 8), segment=200, history=200)
    model = SeasonalForecaster(days, values, torch.ones(2, dtype=torch.float64), plan)
    while not model.fitted:
        model.step()
    return model


def test_coupled_forecasts_improve_and_are_causal():
    days, values = weekly_series()
    model = fitted_forecaster(values, days)
    assert model.coupled
    leads, errors = torch.tensor([4]), []
    for origin in range(840, 890):
        target = values[origin + 4, 0]
        both, alone = model.forecast(origin, leads)[0][0, 0], model._uncoupled_forecast(origin, leads)[0][0, 0]
        errors.append([float(both - target) ** 2, float(alone - target) ** 2])
    both, alone = np.mean(errors, axis=0)
    assert both < 0.6 * alone
    origin, changed = 860, values.clone()
    changed[origin + 1 :] += 5.0
    other = fitted_forecaster(changed, days)
    torch.testing.assert_close(model.forecast(origin, leads), other.forecast(origin, leads), rtol=0, atol=1e-9)


def test_uninformative_features_give_no_correction():
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(400, 12, dtype=torch.float64, generator=generator)
    errors = torch.randn(400, 3, dtype=torch.float64, generator=generator)
    noise = correction.fit(features, errors, 4)
    assert (noise.error_ratio > 0.97).all()
    assert float((features @ noise.coefficients).square().mean()) < 0.05
    signal = correction.fit(features, errors + 3 * features[:, :1], 4)
    assert (signal.error_ratio < 0.2).all()
    torch.testing.assert_close(signal.coefficients[0], torch.full((3,), 3.0, dtype=torch.float64), atol=0.2, rtol=0)


def test_ewma_features_are_low_pass_filters():
    days = 7 * torch.arange(300)
    step = torch.where(torch.arange(300) >= 100, 1.0, 0.0).double()[:, None]
    z = correction.ewma_features(days, step, 300, 1)
    scale = z[:, 0].max() - z[:, 0].min()
    low = z[:, 1 : len(correction.MEMORIES)]
    assert (low.diff(dim=0)[100:101] > 0).all()
    assert (low[100:110].diff(dim=0) < scale).all()
    assert z.shape == (300, 3 * len(correction.MEMORIES))
