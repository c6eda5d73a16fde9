"""Discovery of partial differential equations: accuracy, intervals, symmetries, errors."""

from functools import cache

import numpy as np
import pytest
import torch

from workbench.datasets.pde import equations
from workbench.discovery.pde.terms import Field, Floor, library, spectra
from workbench.discovery.pde.weak_form import FieldDiscovery, FieldProjection, FieldSettings
from workbench.models.kdv.augmentation import Ranges, augment

LIBRARY = library(4)
SYSTEMS = ("kdv-easy", "ks", "burgers")


@cache
def simulated(name: str, count: int = 3) -> equations.Fields:
    return equations.simulate(equations.SETUPS[name], range(count), seed=0)


def field(name: str, index: int = 0, noise: float = 0.0) -> Field:
    data = simulated(name)
    u = data.u[index]
    noisy = u + noise * u.std() * np.random.default_rng(1).standard_normal(u.shape)
    return Field(noisy, data.t[index, 1] - data.t[index, 0], data.lengths[index])


def truth(name: str) -> np.ndarray:
    terms = equations.EQUATIONS[equations.SETUPS[name].equation].terms
    return np.array([terms.get(term.name, 0.0) for term in LIBRARY])


def discovered(*fields: Field, **settings: object) -> FieldDiscovery:
    model = FieldProjection(fields, LIBRARY, FieldSettings(**settings))
    while not model.done:
        model.step()
    return model.result()


@pytest.mark.parametrize("name", SYSTEMS)
def test_terms_without_noise_are_exact(name):
    result = discovered(field(name))
    true = truth(name)
    assert ((result.coefficients != 0) == (true != 0)).all()
    np.testing.assert_allclose(result.coefficients, true, rtol=1e-5)
    assert result.noise < 1e-4
    assert (result.inclusion[true != 0] == 1).all()


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_relative_errors_are_smaller_than_the_noise(name, noise):
    result = discovered(field(name, 0, noise))
    true = truth(name)
    terms = true != 0
    assert ((result.coefficients != 0) == terms).all()
    assert np.abs(result.coefficients / np.where(terms, true, 1) - 1)[terms].max() < noise
    assert result.noise == pytest.approx(noise * simulated(name).u[0].std(), rel=0.1)
    width = (result.upper - result.lower)[terms] / np.abs(true[terms])
    assert (width > 0.05 * noise).all()
    assert (width < 2 * noise).all()


def test_intervals_contain_the_truth_in_most_cases():
    true = truth("kdv-easy")
    inside = []
    for seed in range(8):
        data = simulated("kdv-easy")
        u = data.u[0] + 0.05 * data.u[0].std() * np.random.default_rng(seed).standard_normal(data.u[0].shape)
        result = discovered(Field(u, data.t[0, 1] - data.t[0, 0], data.lengths[0]), n_bootstrap=20)
        inside += ((result.lower <= true) & (true <= result.upper))[true != 0].tolist()
    assert 11 <= sum(inside) <= 16


def test_more_fields_give_narrower_intervals():
    one = discovered(field("kdv-easy", 1, 0.1))
    three = discovered(*(field("kdv-easy", index, 0.1) for index in range(3)))
    terms = truth("kdv-easy") != 0
    widths = [(result.upper - result.lower)[terms].max() for result in (one, three)]
    assert widths[1] < 0.7 * widths[0]


@pytest.mark.parametrize(
    "ranges", [Ranges(boost=0.4), Ranges(scale=0.2), Ranges(shift=0.5)], ids=["boost", "scale", "shift"]
)
def test_augmented_fields_obey_the_equation(ranges):
    data = field("kdv-easy", 1)
    u = torch.from_numpy(data.values)[None]
    moved = augment(
        u, torch.tensor([data.step]), torch.tensor([data.length]), ranges, torch.Generator().manual_seed(2)
    )[0].numpy()
    assert np.abs(moved - data.values).max() > 0.01
    offsets = 2 * torch.rand(1, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1
    s = 1 + float(offsets[0, 2]) * ranges.scale
    result = discovered(Field(moved, data.step / s**3, data.length / s))
    np.testing.assert_allclose(result.coefficients, truth("kdv-easy"), atol=1e-5)


def test_a_shift_multiplies_the_spectrum_by_a_phase():
    data = field("kdv-easy")
    u = torch.from_numpy(data.values)[None]
    shifted = augment(
        u, torch.tensor([data.step]), torch.tensor([data.length]), Ranges(shift=1.0), torch.Generator().manual_seed(3)
    )
    shift = (2 * torch.rand(1, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 1)[0, 0].item()
    wave = np.exp(2j * np.pi * shift * np.arange(129))
    wave[-1] = 0
    expected = np.fft.irfft(np.fft.rfft(data.values) * wave)
    np.testing.assert_allclose(shifted[0].numpy(), expected, atol=1e-10)


def test_spectra_equal_those_of_the_closed_forms():
    length, N = 7.0, 64
    x = length / N * np.arange(N)
    k = 2 * np.pi / length
    u = np.tile(np.sin(k * x), (40, 1))
    u_x, u_xx = k * np.cos(k * x), -(k**2) * np.sin(k * x)
    u_xxx, u_xxxx = -(k**3) * np.cos(k * x), k**4 * np.sin(k * x)
    data = Field(u + np.arange(40)[:, None], 0.1, length)
    v = data.values[3]
    expected = {
        "u": v, "u_x": u_x, "u_xx": u_xx, "u_xxx": u_xxx, "u_xxxx": u_xxxx, "u^2": v**2, "u u_x": v * u_x,
        "u u_xx": v * u_xx, "u_x^2": u_x**2, "u^3": v**3, "u^2 u_x": v**2 * u_x,
    }  # fmt: skip
    assert [term.name for term in LIBRARY] == list(expected)
    result = np.fft.irfft(spectra(data, LIBRARY, 31, 31), n=N, norm="forward")[:, 3]
    np.testing.assert_allclose(result, list(expected.values()), atol=1e-9)


def test_the_cutoff_decreases_with_the_noise():
    cuts = [Floor.of(data).cut(data, 30) for data in (field("kdv-easy", 0, noise) for noise in (0, 0.01, 0.1))]
    assert cuts[0] > cuts[1] > cuts[2] >= 3


def test_a_restored_state_continues_identically():
    whole = FieldProjection([field("ks", 1, 0.05)], LIBRARY)
    whole.step()
    state = whole.state()
    restored = FieldProjection([field("ks", 1, 0.05)], LIBRARY)
    restored.restore(state)
    for model in (whole, restored):
        while not model.done:
            model.step()
    np.testing.assert_array_equal(whole.coefficients(), restored.coefficients())
    np.testing.assert_array_equal(whole.result().upper, restored.result().upper)


def test_coefficients_are_zero_before_the_first_step():
    result = FieldProjection([field("kdv-easy")], LIBRARY).result()
    assert not result.coefficients.any()


@pytest.mark.parametrize(
    "values,message",
    [
        (np.zeros((4, 64)), r"at least 8 times and 8 grid points, found \(4, 64\)"),
        (np.full((40, 64), np.nan), "expected finite values, found nan at 0, 0"),
        (np.ones((40, 64)), "found a constant field"),
    ],
)
def test_invalid_fields_raise_an_error(values, message):
    with pytest.raises(ValueError, match=message):
        Field(values, 0.1, 1.0)


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"window": 6}, "window: expected at least 7 frames for 11 terms, found 6"),
        ({"window": 150}, r"150 frames exceed the length of the field \(140\)"),
        ({"modes": 128}, "modes: expected at most 127, found 128"),
    ],
)
def test_invalid_settings_raise_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        FieldProjection([field("kdv-easy")], LIBRARY, FieldSettings(**settings))
    with pytest.raises(ValueError, match="expected at least one"):
        FieldProjection([], LIBRARY)
