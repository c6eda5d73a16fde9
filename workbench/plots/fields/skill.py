"""Skill of forecasts against lead time, with baselines.

Every function takes the `skill` Dataset of a Report: `skill` over (lead, forecast), the model first.
"""

from html import escape

import xarray as xr
from bokeh.models import FactorRange, Range1d
from bokeh.plotting import figure

from workbench.plots import palette
from workbench.plots.bokeh_figure import new_figure

HEIGHT = 360
MIN_SKILL = -1.0
"""Lower limit of the axis."""
DASHES = ("solid", "dashed", "dotted", "dotdash", "dashdot")
MARKS = ("square", "triangle", "diamond", "inverted_triangle", "hex")


def curve(skill: xr.Dataset) -> figure:
    """One line per forecast: the model in thick orange, baselines with different dashes and markers."""
    leads = [str(lead) for lead in skill["lead"].values]
    low = max(float(skill["skill"].min()), MIN_SKILL)
    plot = new_figure(
        height=HEIGHT,
        title="Skill (0: climatology, 1: perfect)",
        x_range=FactorRange(*leads),
        y_range=Range1d(min(low, 0.0) - 0.05, 1.05),
        x_axis_label=f"lead time ({skill['lead'].attrs['units']}s)",
        y_axis_label="skill",
        tools="save",
    )
    for index, name in enumerate(map(str, skill["forecast"].values)):
        values = skill["skill"].sel(forecast=name).values
        is_model = index == 0
        color, width = (palette.FOUND, 3) if is_model else (palette.TRUTH, 1.5)
        style = {"color": color, "legend_label": "this model" if is_model else name}
        plot.line(leads, values, line_width=width, line_dash=DASHES[index % len(DASHES)], **style)
        marker = "circle" if is_model else MARKS[index % len(MARKS)]
        plot.scatter(leads, values, size=9 if is_model else 6, marker=marker, **style)
    plot.add_layout(plot.legend[0], "below")
    plot.legend.orientation = "horizontal"
    plot.legend.ncols = 2
    plot.legend.spacing = plot.legend.margin = 0
    plot.legend.glyph_width = 16
    plot.legend.border_line_alpha = 0
    plot.legend.background_fill_alpha = 0
    plot.legend.label_text_font_size = "10px"
    return plot


def table(skill: xr.Dataset) -> str:
    """Skills as an HTML table, with the best of each lead in bold."""
    head = "".join(f"<th scope='col' class='number'>{lead}</th>" for lead in skill["lead"].values)
    best = skill["skill"].max("forecast").values
    rows = []
    for name in map(str, skill["forecast"].values):
        cells = "".join(
            f"<td class='number'>{f'<b>{value:.3f}</b>' if value == top else f'{value:.3f}'}</td>"
            for value, top in zip(skill["skill"].sel(forecast=name).values, best, strict=True)
        )
        rows.append(f"<tr><td>{escape('this model' if name == 'model' else name)}</td>{cells}</tr>")
    unit = escape(str(skill["lead"].attrs["units"]))
    return (
        f"<table><thead><tr><th scope='col'>skill, lead in {unit}s</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
