"""Discovery from fields: exact without noise, close with it, honest about what it knows, and bad fields refused."""

from functools import cache

import numpy as np
import pytest
import torch

from workbench.datasets.pde import equations
from workbench.discovery.pde.terms import Field, Floor, library, spectra
from workbench.discovery.pde.weak_form import FieldProjection, FieldSettings, Found
from workbench.models.kdv.augmentation import Ranges, augment

LIBRARY = library(4)
SYSTEMS = ("kdv-easy", "ks", "burgers")


@cache
def made(name: str, count: int = 3) -> equations.Fields:
    return equations.simulate(equations.SETUPS[name], range(count), seed=0)


def field(name: str, index: int = 0, noise: float = 0.0) -> Field:
    own = made(name)
    u = own.u[index]
    noisy = u + noise * u.std() * np.random.default_rng(1).standard_normal(u.shape)
    return Field(noisy, own.t[index, 1] - own.t[index, 0], own.lengths[index])


def truth(name: str) -> np.ndarray:
    terms = equations.EQUATIONS[equations.SETUPS[name].equation].terms
    return np.array([terms.get(term.name, 0.0) for term in LIBRARY])


def discovered(*fields: Field, **settings: object) -> Found:
    model = FieldProjection(fields, LIBRARY, FieldSettings(**settings))
    while not model.done:
        model.step()
    return model.result()


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_noise_the_terms_are_exact_and_no_others(name):
    found = discovered(field(name))
    true = truth(name)
    assert ((found.coefficients != 0) == (true != 0)).all()
    np.testing.assert_allclose(found.coefficients, true, rtol=1e-5)
    assert found.noise < 1e-4
    assert (found.inclusion[true != 0] == 1).all()


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_noise_costs_no_more_than_its_size(name, noise):
    found = discovered(field(name, 0, noise))
    true = truth(name)
    kept = true != 0
    assert ((found.coefficients != 0) == kept).all()
    assert np.abs(found.coefficients / np.where(kept, true, 1) - 1)[kept].max() < noise
    assert found.noise == pytest.approx(noise * made(name).u[0].std(), rel=0.1)
    width = (found.upper - found.lower)[kept] / np.abs(true[kept])
    assert (width > 0.05 * noise).all()
    assert (width < 2 * noise).all()


def test_intervals_hold_the_truth_most_of_the_time():
    true = truth("kdv-easy")
    inside = []
    for seed in range(8):
        own = made("kdv-easy")
        u = own.u[0] + 0.05 * own.u[0].std() * np.random.default_rng(seed).standard_normal(own.u[0].shape)
        found = discovered(Field(u, own.t[0, 1] - own.t[0, 0], own.lengths[0]), n_bootstrap=20)
        inside += ((found.lower <= true) & (true <= found.upper))[true != 0].tolist()
    assert 11 <= sum(inside) <= 16


def test_more_fields_tell_more():
    one = discovered(field("kdv-easy", 1, 0.1))
    all_of_them = discovered(*(field("kdv-easy", index, 0.1) for index in range(3)))
    kept = truth("kdv-easy") != 0
    widths = [(found.upper - found.lower)[kept].max() for found in (one, all_of_them)]
    assert widths[1] < 0.7 * widths[0]


@pytest.mark.parametrize(
    "ranges", [Ranges(boost=0.4), Ranges(scale=0.2), Ranges(shift=0.5)], ids=["boost", "scale", "shift"]
)
def test_the_symmetries_are_those_of_the_equation(ranges):
    own = field("kdv-easy", 1)
    u = torch.from_numpy(own.values)[None]
    moved = augment(u, torch.tensor([own.step]), torch.tensor([own.length]), ranges, torch.Generator().manual_seed(2))[
        0
    ].numpy()
    assert np.abs(moved - own.values).max() > 0.01
    drawn = 2 * torch.rand(1, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1
    s = 1 + float(drawn[0, 2]) * ranges.scale
    found = discovered(Field(moved, own.step / s**3, own.length / s))
    np.testing.assert_allclose(found.coefficients, truth("kdv-easy"), atol=1e-5)


def test_a_shift_by_whole_grid_points_is_a_roll():
    own = field("kdv-easy")
    u = torch.from_numpy(own.values)[None]
    again = augment(
        u, torch.tensor([own.step]), torch.tensor([own.length]), Ranges(shift=1.0), torch.Generator().manual_seed(3)
    )
    place = (2 * torch.rand(1, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 1)[0, 0].item()
    wave = np.exp(2j * np.pi * place * np.arange(129))
    wave[-1] = 0
    by_hand = np.fft.irfft(np.fft.rfft(own.values) * wave)
    np.testing.assert_allclose(again[0].numpy(), by_hand, atol=1e-10)


def test_candidates_are_what_their_names_say():
    length, N = 7.0, 64
    x = length / N * np.arange(N)
    k = 2 * np.pi / length
    u = np.tile(np.sin(k * x), (40, 1))
    u_x, u_xx = k * np.cos(k * x), -(k**2) * np.sin(k * x)
    u_xxx, u_xxxx = -(k**3) * np.cos(k * x), k**4 * np.sin(k * x)
    own = Field(u + np.arange(40)[:, None], 0.1, length)
    v = own.values[3]
    expected = {
        "u": v, "u_x": u_x, "u_xx": u_xx, "u_xxx": u_xxx, "u_xxxx": u_xxxx, "u^2": v**2, "u u_x": v * u_x,
        "u u_xx": v * u_xx, "u_x^2": u_x**2, "u^3": v**3, "u^2 u_x": v**2 * u_x,
    }  # fmt: skip
    assert [term.name for term in LIBRARY] == list(expected)
    found = np.fft.irfft(spectra(own, LIBRARY, 31, 31), n=N, norm="forward")[:, 3]
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-9)


def test_the_cut_falls_with_the_noise():
    cuts = [Floor.of(own).cut(own, 30) for own in (field("kdv-easy", 0, noise) for noise in (0, 0.01, 0.1))]
    assert cuts[0] > cuts[1] > cuts[2] >= 3


def test_a_run_goes_on_from_its_state():
    whole = FieldProjection([field("ks", 1, 0.05)], LIBRARY)
    whole.step()
    state = whole.state()
    again = FieldProjection([field("ks", 1, 0.05)], LIBRARY)
    again.restore(state)
    for model in (whole, again):
        while not model.done:
            model.step()
    np.testing.assert_array_equal(whole.coefficients(), again.coefficients())
    np.testing.assert_array_equal(whole.result().upper, again.result().upper)


def test_before_the_first_step_nothing_is_known():
    found = FieldProjection([field("kdv-easy")], LIBRARY).result()
    assert not found.coefficients.any()


@pytest.mark.parametrize(
    "values,words",
    [
        (np.zeros((4, 64)), r"at least 8 times and 8 grid points, found \(4, 64\)"),
        (np.full((40, 64), np.nan), "expected finite values, found nan at 0, 0"),
        (np.ones((40, 64)), "it never changes"),
    ],
)
def test_a_bad_field_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        Field(values, 0.1, 1.0)


@pytest.mark.parametrize(
    "settings,words",
    [
        ({"window": 6}, "window: expected at least 7 frames for 11 terms, found 6"),
        ({"window": 150}, r"150 frames are more than the field has \(140\)"),
        ({"modes": 128}, "modes: expected at most 127, found 128"),
    ],
)
def test_bad_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        FieldProjection([field("kdv-easy")], LIBRARY, FieldSettings(**settings))
    with pytest.raises(ValueError, match="expected at least one"):
        FieldProjection([], LIBRARY)
