"""Cards of PDE experiments: images over time and space, animated frames, errors per frame, local ODE coefficients."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, figure_pane, heading, html_pane, watch
from workbench.experiments.report import Report
from workbench.plots.fields import images

INTERVAL = 120
"""Milliseconds per animation frame."""


Columns = Callable[[xr.Dataset], Mapping[str, Mapping[str, Any]]]
Draw = Callable[[Mapping[str, ColumnDataSource], xr.Dataset], Sequence[Any]]


class FiguresCard:
    """Figures of one Dataset of a Report, created once; afterwards only their columns are replaced."""

    def __init__(self, title: str, caption: str, columns: Columns, draw: Draw, min_width: int) -> None:
        self._title, self._columns, self._draw, self._min_width = title, columns, draw, min_width
        self._sources, self._shape = {}, None
        self._head, self._plots = html_pane(heading(title, caption)), Column(**WIDE)
        self.view = card(self._head, self._plots)

    def _pane(self, plot: Any) -> pn.pane.Bokeh:
        return figure_pane(plot, styles=theme.flex(1, self._min_width))

    def set_caption(self, caption: str) -> None:
        """Replace the caption."""
        self._head.object = heading(self._title, caption)

    def update(self, dataset: xr.Dataset | None, key: str) -> None:
        """Show the Dataset; None hides the card. A new `key` or shape rebuilds the figures."""
        self.view.visible = dataset is not None
        if dataset is None:
            return
        columns = self._columns(dataset)
        shape = (key, tuple(columns), tuple(dataset.sizes.items()))
        if shape != self._shape:
            self._shape = shape
            self._sources = {name: ColumnDataSource(dict(values)) for name, values in columns.items()}
            plots = self._draw(self._sources, dataset)
            per_row = 2 if len(plots) == 4 else 3
            rows = [plots[first : first + per_row] for first in range(0, len(plots), per_row)]
            self._plots.objects = [Row(*map(self._pane, row), styles=theme.PAIR, **WIDE) for row in rows]
            return
        for name, values in columns.items():
            self._sources[name].data = dict(values)


class RolloutCard:
    """One frame as curves, with a player that animates all frames."""

    def __init__(self) -> None:
        self._image = None
        self._source = None
        self._sizes = None
        self._plot = Column(**WIDE)
        self._time = html_pane("")
        self.player = pn.widgets.Player(
            start=0, end=1, value=0, interval=INTERVAL, loop_policy="loop", show_loop_controls=False, **WIDE
        )
        watch(self._draw, self.player)
        legend = '<span class="key truth">truth</span><span class="key found">prediction</span>'
        self.view = card(
            html_pane(heading("Rollout", "Frame by frame. The prediction should track the truth.") + legend),
            self._time,
            self._plot,
            self.player,
            **theme.flex(1, 330),
        )

    def update(self, image: xr.Dataset | None) -> None:
        """Show another image at the current frame; None, or an image without `estimate`, hides the card."""
        self.view.visible = image is not None and "estimate" in image
        if not self.view.visible:
            return
        self._image = image
        self.player.end = image.sizes["time"] - 1
        if image.sizes != self._sizes:
            self._sizes, self._source = image.sizes, None
        self._draw()

    def _draw(self) -> None:
        if self._image is None:
            return
        frame = min(int(self.player.value), self._image.sizes["time"] - 1)
        columns = images.lines(self._image, frame)
        self._time.object = f'<div class="caption">time {float(self._image.time[frame]):.1f}</div>'
        if self._source is None:
            self._source = ColumnDataSource(columns)
            self._plot.objects = [figure_pane(images.snapshot(self._source, self._image))]
        else:
            self._source.data = columns


class FieldCards:
    """All cards of PDE experiments; a card without data in the Report is hidden."""

    def __init__(self) -> None:
        self.image = FiguresCard("Field", "", images.image_columns, images.images, 240)
        self.rollout = RolloutCard()
        self.profile = FiguresCard(
            "Forecast error", "Error per frame, against persistence.", images.profile_columns, images.profile, 300
        )
        self.maps = FiguresCard(
            "Local equations",
            "One linear ODE per grid point: its coefficients over x and the ten frames of the first forecast, and its "
            "right-hand side.",
            images.map_columns,
            images.maps,
            240,
        )
        self.profile.view.styles = {**self.profile.view.styles, **theme.flex(1, 330)}
        pair = Row(self.rollout.view, self.profile.view, styles=theme.PAIR, **WIDE)
        self.view = Column(self.image.view, pair, self.maps.view, styles={"gap": "14px"}, visible=False, **WIDE)

    def update(self, report: Report | None, key: str) -> None:
        """Show the fields of a Report; an unchanged `key` keeps zoom and choices."""
        image = report.image if report else None
        self.view.visible = report is not None and any(
            part is not None for part in (image, report.profile, report.maps)
        )
        if image is not None:
            self.image.set_caption(images.caption(image))
        self.image.update(image, key)
        self.rollout.update(image)
        self.profile.update(report.profile if report else None, key)
        self.maps.update(report.maps if report else None, key)
