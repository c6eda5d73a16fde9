"""Maps with coastlines, skill of forecasts and baselines, and confidence bands."""

import numpy as np
import pytest
import xarray as xr
from bokeh.models import ColumnDataSource, Image, LinearColorMapper, Segment, VArea

from workbench.plots import trajectory
from workbench.plots.fields import maps, skill


@pytest.fixture
def globe() -> xr.Dataset:
    ocean = np.ones((3, 4), dtype=bool)
    ocean[1, 2] = False
    values = np.arange(12.0).reshape(3, 4)
    values[~ocean] = np.nan
    return xr.Dataset(
        {
            "ocean": (("lat", "lon"), ocean),
            "damping": (("lat", "lon"), values, {"units": "1/year", "long_name": "damping of anomalies"}),
            "phase": (("lat", "lon"), values, {"units": "months from 1 January", "long_name": "strongest"}),
            "period": (("lat", "lon"), values * np.nan, {"units": "year", "long_name": "period"}),
            "amplitude": (("lat", "lon"), values + 1, {"units": "degC/year", "long_name": "forcing"}),
        },
        coords={"lat": [10.0, 0.0, -10.0], "lon": [100.0, 110.0, 120.0, 130.0]},
    )


def drawn(plot: object, kind: type) -> list:
    return [renderer for renderer in plot.renderers if isinstance(renderer.glyph, kind)]


def test_the_coastline_surrounds_the_land(globe):
    x, y = maps.coastline(globe["ocean"])
    edges = {tuple(sorted(zip(x[:, i].tolist(), y[:, i].tolist(), strict=True))) for i in range(x.shape[1])}
    corners = [(115.0, 5.0), (125.0, 5.0), (125.0, -5.0), (115.0, -5.0)]
    assert edges == {tuple(sorted([corners[i], corners[(i + 1) % 4]])) for i in range(4)}
    assert maps.coastline(globe["ocean"] | True)[0].shape == (2, 0)


def test_quantities_without_finite_values_are_omitted(globe):
    assert maps.names(globe) == {
        "damping of anomalies (1/year)": "damping",
        "strongest (months from 1 January)": "phase",
        "forcing (degC/year)": "amplitude",
    }


def test_a_map_has_the_right_orientation_and_a_monotonic_luminance(globe):
    plot = maps.chart(globe, "damping")
    land, values = (renderer.data_source.data["image"][0] for renderer in drawn(plot, Image))
    np.testing.assert_array_equal(values, globe["damping"].values[::-1])
    np.testing.assert_array_equal(np.isfinite(land), ~globe["ocean"].values[::-1])
    glyph = drawn(plot, Image)[1].glyph
    assert (glyph.y, glyph.dh) == (-15.0, 30.0)
    assert len(drawn(plot, Segment)[0].data_source.data["x0"]) == 4
    colors = glyph.color_mapper.palette
    grey = [0.299 * int(c[1:3], 16) + 0.587 * int(c[3:5], 16) + 0.114 * int(c[5:7], 16) for c in colors]
    assert (np.diff(grey) > -2).all()
    assert grey[-1] - grey[0] > 150, "dark to light"


def test_limits_of_the_colour_scale(globe):
    assert maps.limits(globe["phase"]) == (0.0, 12.0)
    low, high = maps.limits(globe["damping"])
    assert 0 <= low < 1 < 10 < high <= 11
    low, high = maps.limits(xr.ones_like(globe["damping"]))
    assert low < 1 < high


def test_bands_contain_every_cell_once(globe):
    plot = maps.bands(globe)
    source = plot.renderers[0].data_source.data
    assert sorted(source["lat"].tolist()) == [0.0] * 3 + [10.0] * 8
    assert isinstance(plot.renderers[0].glyph.fill_color.transform, LinearColorMapper)


def test_skill_as_curves_and_as_a_table():
    values = [[0.6, 0.1], [0.0, 0.0], [0.5, -3.0]]
    dataset = xr.Dataset(
        {"skill": (("forecast", "lead"), values)},
        coords={
            "forecast": ["model", "climatology", "persistence"],
            "lead": ("lead", [1, 6], {"units": "month"}),
        },
    )
    plot = skill.curve(dataset)
    assert plot.y_range.start == pytest.approx(-1.05), "the axis has a lower limit"
    assert plot.xaxis[0].axis_label == "lead time (months)"
    assert {item.label.value for item in plot.legend[0].items} == {"this model", "climatology", "persistence"}
    dashes = [renderer.glyph.line_dash for renderer in plot.renderers if hasattr(renderer.glyph, "line_dash")]
    assert len({str(dash) for dash in dashes}) >= 3, "distinguishable without colour"
    text = skill.table(dataset)
    assert "<b>0.600</b>" in text
    assert "<b>0.000</b>" not in text
    assert "lead in months" in text


@pytest.mark.parametrize("band", [True, False])
def test_the_band_of_a_forecast_is_drawn(band):
    over = ("time", "variable")
    data = xr.Dataset(
        {name: (over, np.zeros((5, 1))) for name in ("truth", "estimate", *(("lower", "upper") if band else ()))},
        coords={"time": np.arange(5.0), "variable": ["a"]},
    )
    columns = trajectory.series_columns(data)
    assert ("lower_0" in columns) == band
    plots = trajectory.series(ColumnDataSource(columns), data)
    assert len(drawn(plots[0], VArea)) == band
    assert trajectory.caption(data.assign_attrs(caption="What to see.")) == "What to see."
