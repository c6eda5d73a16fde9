"""How sure discovery is: standard errors, intervals, inclusion, truncation, and the front of models."""

import numpy as np
import pytest
import scipy.stats

from tests.discovery.discoveries import QUADRATIC, TRUE, TRUTH, found, lorenz_record
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import discover


@pytest.mark.exhaustive
def test_stated_errors_are_the_errors_that_are_made():
    """z, error over standard error, has the size 1 over seeds that nothing was chosen on."""
    scores = []
    for seed in range(200, 208):
        result = found(0.5, seed, 1500)
        if ((result.coefficients != 0) == TRUE).all():
            scores.append((result.coefficients - TRUTH)[TRUE] / result.deviation[TRUE])
    assert len(scores) >= 7
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.5


def test_intervals_hold_their_estimate_and_inclusion_tells_true_terms():
    result = found(0.5)
    for lower, upper in ((result.lower, result.upper), (result.drawn_lower, result.drawn_upper)):
        assert ((lower <= result.coefficients) & (result.coefficients <= upper)).all()
    assert (result.lower[~TRUE] == 0).all()
    half = scipy.stats.norm.ppf(0.975) * result.deviation + result.truncation
    np.testing.assert_allclose(result.upper - result.coefficients, half, rtol=1e-5)
    assert result.inclusion[TRUE].min() > 0.9
    assert result.inclusion[~TRUE].max() < 0.5


def test_the_seed_decides_the_bootstrap():
    record = lorenz_record(0.5, points=1000)
    one, same, other = (discover([record], QUADRATIC, Settings(n_bootstrap=20, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.drawn_lower, same.drawn_lower)
    assert (one.drawn_lower != other.drawn_lower).any()


def test_without_noise_the_intervals_hold_the_truth_and_are_narrow():
    result = discover([lorenz_record()], QUADRATIC)
    for lower, upper in ((result.lower, result.upper), (result.drawn_lower, result.drawn_upper)):
        assert ((lower <= TRUTH) & (upper >= TRUTH))[TRUE].all()
        assert (upper - lower)[TRUE].max() < 1e-4
    assert result.truncation[TRUE].min() > 0
    assert (found(0.5).truncation == 0).all()


def test_the_front_falls_steeply_until_the_true_terms_are_there():
    for result, left in ((discover([lorenz_record()], QUADRATIC), 1e-4), (found(0.5), 0.9)):
        assert result.terms[:-1].tolist() == list(range(30, -1, -1))
        assert (np.diff(result.errors[:-1]) >= -1e-6 * result.errors[:-2]).all()
        errors = dict(zip(result.terms[:-1].tolist(), result.errors[:-1].tolist(), strict=True))
        assert errors[7] < left * errors[6]
        assert errors[7] < 1.1 * errors[30]
        assert result.terms[-1] == 7
        assert result.errors[-1] <= errors[7] * (1 + 1e-9)
