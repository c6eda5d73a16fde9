"""Standard errors, intervals, inclusion, truncation error and the Pareto front of discovery."""

import numpy as np
import pytest
import scipy.stats

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, discovered, lorenz_trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.result import RENAMED
from workbench.discovery.modes import discover


@pytest.mark.exhaustive
def test_standard_errors_are_calibrated():
    """The root mean square of error over standard error is about 1, over seeds not used for tuning."""
    scores = []
    for seed in range(200, 208):
        result = discovered(0.5, seed, 1500)
        if ((result.coefficients != 0) == TRUE).all():
            scores.append((result.coefficients - TRUTH)[TRUE] / result.standard_error[TRUE])
    assert len(scores) >= 7
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.5


def test_intervals_contain_the_estimate_and_inclusion_identifies_true_terms():
    result = discovered(0.5)
    for lower, upper in ((result.lower, result.upper), (result.bootstrap_lower, result.bootstrap_upper)):
        assert ((lower <= result.coefficients) & (result.coefficients <= upper)).all()
    assert (result.lower[~TRUE] == 0).all()
    half = scipy.stats.norm.ppf(0.975) * result.standard_error + result.truncation
    np.testing.assert_allclose(result.upper - result.coefficients, half, rtol=1e-5)
    assert result.inclusion[TRUE].min() > 0.9
    assert result.inclusion[~TRUE].max() < 0.5


def test_the_seed_determines_the_bootstrap():
    record = lorenz_trajectory(0.5, points=1000)
    one, same, other = (
        discover([record], QUADRATIC, Settings(denoise=False, n_bootstrap=20, seed=seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.bootstrap_lower, same.bootstrap_lower)
    assert (one.bootstrap_lower != other.bootstrap_lower).any()


def test_intervals_without_noise_are_narrow_and_contain_the_truth():
    result = discover([lorenz_trajectory()], QUADRATIC)
    for lower, upper in ((result.lower, result.upper), (result.bootstrap_lower, result.bootstrap_upper)):
        assert ((lower <= TRUTH) & (upper >= TRUTH))[TRUE].all()
        assert (upper - lower)[TRUE].max() < 1e-4
    assert discover([lorenz_trajectory()], QUADRATIC, Settings(denoise=False)).truncation[TRUE].min() > 0
    assert (discovered(0.5).truncation == 0).all()


def test_the_front_drops_steeply_at_the_true_number_of_terms():
    for result, left in ((discover([lorenz_trajectory()], QUADRATIC), 1e-4), (discovered(0.5), 0.9)):
        most = int(result.terms[0])  # of a long record with noise, only promising candidates are left
        assert most > 7
        assert result.terms[:-1].tolist() == list(range(most, -1, -1))
        assert (np.diff(result.errors[:-1]) >= -1e-6 * result.errors[:-2]).all()
        errors = dict(zip(result.terms[:-1].tolist(), result.errors[:-1].tolist(), strict=True))
        assert errors[7] < left * errors[6]
        assert errors[7] < 1.1 * errors[most]
        assert result.terms[-1] == 7
        assert result.errors[-1] <= errors[7] * (1 + 1e-9)


@pytest.mark.parametrize("old, new", RENAMED.items())
def test_deprecated_fields_warn(old, new):
    result = discovered(0.5)
    with pytest.warns(DeprecationWarning, match=f"Discovery.{old} has moved to Discovery.{new}"):
        assert getattr(result, old) is getattr(result, new)
