"""The cards of experiments on fields: images over time and place, frames played, errors by frame, the ODEs inside."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, drawing, heading, text, watch
from workbench.experiments.report import Report
from workbench.plots.fields import images

INTERVAL = 120
"""Milliseconds between two frames that are played."""


Columns = Callable[[xr.Dataset], Mapping[str, Mapping[str, Any]]]
Draw = Callable[[Mapping[str, ColumnDataSource], xr.Dataset], Sequence[Any]]


class DrawnCard:
    """Figures of a part of a Report: made once, then their columns are replaced."""

    def __init__(self, title: str, caption: str, columns: Columns, draw: Draw, least: int) -> None:
        self._title, self._columns, self._draw, self._least = title, columns, draw, least
        self._sources, self._shape = {}, None
        self._head, self._plots = text(heading(title, caption)), Column(**WIDE)
        self.view = card(self._head, self._plots)

    def _drawn(self, plot: Any) -> pn.pane.Bokeh:
        return drawing(plot, styles=theme.share(1, self._least))

    def say(self, caption: str) -> None:
        """Another line under the title."""
        self._head.object = heading(self._title, caption)

    def update(self, part: xr.Dataset | None, key: str) -> None:
        """Show the part; None hides the card. Another `key` is another thing to show."""
        self.view.visible = part is not None
        if part is None:
            return
        columns = self._columns(part)
        shape = (key, tuple(columns), tuple(part.sizes.items()))
        if shape != self._shape:
            self._shape = shape
            self._sources = {name: ColumnDataSource(dict(own)) for name, own in columns.items()}
            plots = self._draw(self._sources, part)
            across = 2 if len(plots) == 4 else 3
            rows = [plots[first : first + across] for first in range(0, len(plots), across)]
            self._plots.objects = [Row(*map(self._drawn, row), styles=theme.PAIR, **WIDE) for row in rows]
            return
        for name, own in columns.items():
            self._sources[name].data = dict(own)


class RolloutCard:
    """One frame as curves, and buttons that play them one after the other."""

    def __init__(self) -> None:
        self._image = None
        self._source = None
        self._sizes = None
        self._plot = Column(**WIDE)
        self._moment = text("")
        self.player = pn.widgets.Player(
            start=0, end=1, value=0, interval=INTERVAL, loop_policy="loop", show_loop_controls=False, **WIDE
        )
        watch(self._draw, self.player)
        legend = '<span class="key truth">truth</span><span class="key found">found</span>'
        self.view = card(
            text(heading("Frame by frame", "Play the frames: the line should stay on the road.") + legend),
            self._moment,
            self._plot,
            self.player,
            **theme.share(1, 330),
        )

    def update(self, image: xr.Dataset | None) -> None:
        """Take another image; None, or one without anything found, hides the card. The frame shown stays."""
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
        self._moment.object = f'<div class="caption">time {float(self._image.time[frame]):.1f}</div>'
        if self._source is None:
            self._source = ColumnDataSource(columns)
            self._plot.objects = [drawing(images.moment(self._source, self._image))]
        else:
            self._source.data = columns


class FieldCards:
    """All of them: what a Report has of fields is shown, the rest is hidden."""

    def __init__(self) -> None:
        self.image = DrawnCard("Field", "", images.image_columns, images.images, 240)
        self.rollout = RolloutCard()
        self.profile = DrawnCard(
            "How far ahead", "The forecast, beside holding the last frame.", images.profile_columns, images.profile, 300
        )
        self.maps = DrawnCard(
            "The equations inside",
            "Every grid point has a linear ODE of its own. Its coefficients over x and the ten frames of the first "
            "forecast, and its right-hand side.",
            images.map_columns,
            images.maps,
            240,
        )
        self.profile.view.styles = {**self.profile.view.styles, **theme.share(1, 330)}
        pair = Row(self.rollout.view, self.profile.view, styles=theme.PAIR, **WIDE)
        self.view = Column(self.image.view, pair, self.maps.view, styles={"gap": "14px"}, visible=False, **WIDE)

    def update(self, report: Report | None, key: str) -> None:
        """Show the fields of a Report; the same `key` keeps zoom and choices."""
        image = report.image if report else None
        self.view.visible = report is not None and any(
            part is not None for part in (image, report.profile, report.maps)
        )
        if image is not None:
            self.image.say(images.caption(image))
        self.image.update(image, key)
        self.rollout.update(image)
        self.profile.update(report.profile if report else None, key)
        self.maps.update(report.maps if report else None, key)
