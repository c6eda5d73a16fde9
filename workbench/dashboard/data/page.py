"""The Data page: a card per data set with a picture and facts; records are made or downloaded, and taken along."""

import asyncio
import io
import time
from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench import experiments
from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import Download, button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import text
from workbench.dashboard.data.state import DataState
from workbench.dashboard.data.text import card_html, facts, progress
from workbench.dashboard.forms.upload import Upload
from workbench.dashboard.train import text as words
from workbench.datasets.schema import trajectories
from workbench.datasets.tabular import Source
from workbench.plots import thumbnail


class Tile:
    """One data set."""

    def __init__(self, name: str, state: DataState, shell: Any) -> None:
        self.name = name
        self.state = state
        self._shell = shell
        experiment = experiments.get(name)
        head = f"<h2>{escape(experiment.title)}</h2><div class='caption'>{escape(experiment.summary)}</div>"
        self._picture, self._facts, self._progress = text(""), text(""), text("")
        self.make = button("Make it", None, partial(state.make, name), shell.soon)
        self.cancel = button("Cancel", None, partial(state.cancel, name), shell.soon)
        self.train = button("Train on it", None, self._train, variant="contained")
        self.netcdf = Download(
            label="NetCDF", filename=f"{name}.nc", callback=self._content, size="small", margin=0, variant="outlined"
        )
        buttons = Row(self.train, self.make, self.cancel, self.netcdf, styles={**theme.LINE, "margin": "8px 0"}, **WIDE)
        about = card_html(state.card(name))
        fold = f"<details><summary>About {escape(experiment.title)}</summary>{about}</details>" if about else ""
        takes_files = hasattr(experiment, "keep")
        choice = [Upload(self._read, lambda said: state.refuse(name, said))] if takes_files else []
        if titles := state.titles(name):
            look_of = {"size": "small", "margin": (10, 0, 4, 0), "sizing_mode": "stretch_width"}
            self.record = pmui.Select(label="Record", options=titles, value=titles[0], **look_of)
            self.record.param.watch(self._chosen, "value")
            choice = [self.record]
        self.make.visible = not takes_files
        parts = (text(head), self._picture, self._facts, *choice, buttons, self._progress, text(fold))
        self.view = Column(*parts, styles={**theme.CARD, **theme.share(1, 330)}, **WIDE)

    def _read(self, sources: Sequence[Source]) -> None:
        """Read files in a thread: a large one takes seconds, in which the page must answer."""
        pn.state.execute(partial(asyncio.to_thread, self.state.upload, self.name, sources))

    def _chosen(self, event: Any) -> None:
        self.state.choose(self.name, event.new)
        self._shell.soon()

    def _train(self) -> None:
        self._shell.go("train", self.state.address(self.name))

    def _content(self) -> io.BytesIO:
        return io.BytesIO(self.state.netcdf(self.name))

    def update(self) -> None:
        """Draw what is known."""
        record, making, error = self.state.record(self.name), self.state.making(self.name), self.state.error(self.name)
        waiting = "<div class='blank'>Not here yet. The button below makes it.</div>"
        costly = self.state.costly(self.name)
        if not costly and record is None and not error:
            waiting = "<div class='blank'>Making the record &hellip;</div>"
        self._picture.object = thumbnail.picture(trajectories(record)[0]) if record is not None else waiting
        self._facts.object = facts(record, self.state.file(self.name)) if record is not None else ""
        active = making is not None and making.active
        self.make.label = "Make it" if costly else "Generate"
        self.make.disabled, self.cancel.visible = active, active
        self.netcdf.disabled = record is None
        alert = f"<div class='notice error' role='alert'>{escape(error)}</div>" if error else ""
        self._progress.object = alert + (progress(making) if making is not None else "")


class DataPage:
    """Widgets of the Data page (see `shell.DataPage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = DataState(search)
        self._shell = shell
        self._drawn = None
        self._notices = Notices(state.dismiss)
        self._tiles = {}
        self._grid = Row(styles=theme.PAIR, **WIDE)
        self.main = Column(self._notices.view, self._grid, styles=theme.PAGE_BODY, **WIDE)
        self.filter = pmui.TextInput(label="Filter", size="small", margin=(7, 0), sizing_mode="stretch_width")
        self.filter.param.watch(self._filtered, "value_input")
        about = text(
            "<p class='caption'>Every data set with its picture, dimensions, units and source. A record is kept as one "
            "NetCDF file in the folder of data, and can be taken along.</p>"
        )
        self.side = Column(about, self.filter, **theme.SIDE)

    def _filtered(self, event: Any) -> None:
        if event.new is not None and event.new != self.state.shown()["search"]:
            self.state.enter("search", event.new)

    def show(self) -> None:
        """Ask for the records."""
        self.state.look()

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn = None

    def _version(self) -> Any:
        clock = int(time.monotonic()) if any(self._active(name) for name in self.state.names()) else 0
        return self.state.version(), clock

    def _active(self, name: str) -> bool:
        making = self.state.making(name)
        return making is not None and making.active

    def stale(self) -> bool:
        """Whether something has changed."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version, names = self._version(), self.state.names()
        for name in names:
            if name not in self._tiles:
                self._tiles[name] = Tile(name, self.state, self._shell)
            self._tiles[name].update()
        wanted = [self._tiles[name].view for name in names]
        if list(self._grid.objects) != wanted:
            self._grid.objects = wanted
        self.filter.value = self.state.shown()["search"]
        self._notices.update(words.listed(self.state.notices), removable=bool(self.state.notices))
        self._drawn = version
