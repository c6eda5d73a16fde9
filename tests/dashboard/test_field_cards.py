"""Cards of PDE fields: shared colour scale, visibility, reuse of figures, animation."""

import numpy as np
import pytest
import xarray as xr
from bokeh.models import LinearColorMapper
from panel.models.widgets import Player

from workbench.dashboard.cards.fields import FieldCards, FiguresCard
from workbench.experiments.report import Report
from workbench.plots import summary
from workbench.plots.fields import images


def image(frames: int = 5, noise: float = 0.0, *, has_estimate: bool = True) -> xr.Dataset:
    x, time = np.linspace(0, 9, 10), np.arange(float(frames))
    truth = 2 * np.sin(x + time[:, None])
    parts = {"truth": truth, "data": truth + noise} | ({"estimate": truth + 0.25} if has_estimate else {})
    attributes = {"units": "1", "long_name": "u"}
    return xr.Dataset(
        {name: (("time", "x"), values, attributes) for name, values in parts.items()}, coords={"time": time, "x": x}
    )


def parts() -> tuple[xr.Dataset, xr.Dataset]:
    profile = xr.Dataset(
        {"forecast": ("frame", [0.1, 0.2]), "persistence": ("frame", [0.3, 0.4])}, coords={"frame": [1, 2]}
    )
    maps = xr.Dataset(
        {"coefficients": (("order", "frame", "x"), np.ones((2, 3, 4))), "forcing": (("frame", "x"), np.ones((3, 4)))},
        coords={"order": [0, 1], "frame": np.arange(3), "x": np.arange(4.0)},
    )
    return profile, maps


def figures(card: FiguresCard) -> list:
    return [pane.object for row in card._plots for pane in row]


def test_images_share_one_colour_scale_and_show_the_error():
    panels = images.panels(image(noise=0.1))
    assert list(panels) == ["truth", "noisy data", "estimate", "error"]
    np.testing.assert_allclose(panels["error"], 0.25)
    cards = FieldCards()
    cards.update(Report(image=image(noise=0.1)), "a")
    plots = figures(cards.image)
    mappers = {mapper.id: mapper for plot in plots for mapper in plot.select(LinearColorMapper)}
    assert len(plots) == 4
    assert len(mappers) == 1
    (mapper,) = mappers.values()
    assert mapper.high == -mapper.low == pytest.approx(np.abs(image().truth).max())
    assert len({plot.x_range.id for plot in plots}) == 1


def test_images_without_truth_or_noise_are_not_duplicated():
    assert list(images.panels(image())) == ["truth", "estimate", "error"]
    assert list(images.panels(image(has_estimate=False)[["data"]])) == ["field"]


def test_cards_without_data_are_hidden():
    cards = FieldCards()
    cards.update(None, "")
    views = (cards.image, cards.rollout, cards.profile, cards.maps)
    assert [card.view.visible for card in views] == [False] * 4
    cards.update(Report(image=image(has_estimate=False)), "a")
    assert [card.view.visible for card in views] == [True, False, False, False]
    profile, maps = parts()
    cards.update(Report(image=image(), profile=profile, maps=maps), "b")
    assert [card.view.visible for card in views] == [True] * 4
    assert len(figures(cards.maps)) == 3


def test_a_new_report_of_the_same_run_keeps_the_figures():
    cards = FieldCards()
    cards.update(Report(image=image()), "a")
    before = figures(cards.image)
    cards.update(Report(image=image() + 1), "a")
    after = figures(cards.image)
    assert [a.id for a in before] == [b.id for b in after]
    drawn = cards.image._sources["truth"].data["image"][0]
    np.testing.assert_allclose(drawn, image().truth + 1, rtol=1e-6)
    cards.update(Report(image=image(frames=7)), "a")
    assert figures(cards.image)[0].id != before[0].id


def test_frames_are_animated():
    cards = FieldCards()
    cards.update(Report(image=image(frames=7)), "a")
    assert isinstance(cards.rollout.player.get_root(), Player)
    assert cards.rollout.player.end == 6
    source = cards.rollout._source
    cards.rollout.player.value = 4
    cards.rollout._draw()
    np.testing.assert_allclose(source.data["estimate"], image(7).estimate[4])
    assert np.isnan(source.data["data"]).all()
    assert "time 4.0" in cards.rollout._time.object
    cards.update(Report(image=image(frames=3)), "b")
    np.testing.assert_allclose(cards.rollout._source.data["truth"], image(3).truth[2])


def test_a_field_is_summarised_and_animated_in_a_notebook():
    text = summary.summary(image())
    assert "10, step 1, periodic" in text
    animation = images.rollout(image(frames=150))
    assert 50 <= len(animation) <= images.MAX_FRAMES
    last = animation[animation.keys()[-1]]
    assert {curve.label for curve in last} == {"truth", "estimate"}
