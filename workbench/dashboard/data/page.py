"""The Data page: one tile per data set with picture and facts; generate, upload, download."""

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
from workbench.dashboard.cards.base import html_pane
from workbench.dashboard.data.state import DataState
from workbench.dashboard.data.text import card_html, facts, progress
from workbench.dashboard.forms.upload import Upload
from workbench.datasets.schema import trajectories
from workbench.datasets.tabular import Source
from workbench.plots import thumbnail


class Tile:
    """Picture, facts and buttons of one data set."""

    def __init__(self, name: str, state: DataState, shell: Any) -> None:
        self.name = name
        self.state = state
        self._shell = shell
        experiment = experiments.get(name)
        head = f"<h2>{escape(experiment.title)}</h2><div class='caption'>{escape(experiment.summary)}</div>"
        self._picture, self._facts, self._progress = html_pane(""), html_pane(""), html_pane("")
        self.generate = button("Generate", None, partial(state.generate, name), shell.request_refresh)
        self.cancel = button("Cancel", None, partial(state.cancel, name), shell.request_refresh)
        self.train = button("Train", None, self._train, variant="contained")
        self.netcdf = Download(
            label="NetCDF", filename=f"{name}.nc", callback=self._content, size="small", margin=0, variant="outlined"
        )
        accepts_files = hasattr(experiment, "keep")
        self.generate.visible = not accepts_files
        buttons = (self.train, self.generate, self.cancel, self.netcdf)
        parts = (
            *(html_pane(head), self._picture, self._facts, *self._source_controls(accepts_files=accepts_files)),
            *(Row(*buttons, styles={**theme.LINE, "margin": "8px 0"}, **WIDE), self._progress),
            html_pane(self._description(experiment.title)),
        )
        self.view = Column(*parts, styles={**theme.CARD, **theme.flex(1, 330)}, **WIDE)

    def _source_controls(self, *, accepts_files: bool) -> list[Any]:
        """Choice of the record, else an upload button, where the experiment has them."""
        if titles := self.state.titles(self.name):
            options = {"size": "small", "margin": (10, 0, 4, 0), "sizing_mode": "stretch_width"}
            self.record = pmui.Select(label="Record", options=titles, value=titles[0], **options)
            self.record.param.watch(self._on_record, "value")
            return [self.record]
        return [Upload(self._read, partial(self.state.set_upload_error, self.name))] if accepts_files else []

    def _description(self, title: str) -> str:
        text = card_html(self.state.card(self.name))
        return f"<details><summary>About {escape(title)}</summary>{text}</details>" if text else ""

    def _read(self, sources: Sequence[Source]) -> None:
        """Read files in a thread: a large one takes seconds, and the page must stay responsive."""
        pn.state.execute(partial(asyncio.to_thread, self.state.upload, self.name, sources))

    def _on_record(self, event: Any) -> None:
        self.state.select_record(self.name, event.new)
        self._shell.request_refresh()

    def _train(self) -> None:
        self._shell.open_page("train", self.state.train_query(self.name))

    def _content(self) -> io.BytesIO:
        return io.BytesIO(self.state.netcdf(self.name))

    def update(self) -> None:
        """Draw the current state."""
        record, job, error = self.state.record(self.name), self.state.job(self.name), self.state.error(self.name)
        placeholder = "<div class='blank'>Not available yet. Press Generate below.</div>"
        if not self.state.is_expensive(self.name) and record is None and not error:
            placeholder = "<div class='blank'>Generating the record &hellip;</div>"
        self._picture.object = thumbnail.picture(trajectories(record)[0]) if record is not None else placeholder
        self._facts.object = facts(record, self.state.file(self.name)) if record is not None else ""
        is_active = job is not None and job.active
        self.generate.disabled, self.cancel.visible = is_active, is_active
        self.netcdf.disabled = record is None
        alert = f"<div class='notice error' role='alert'>{escape(error)}</div>" if error else ""
        self._progress.object = alert + (progress(job) if job is not None else "")


class DataPage:
    """Widgets of the Data page (see `shell.Page`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = DataState(search)
        self._shell = shell
        self._drawn = None
        self._notices = Notices(state.dismiss)
        self._tiles = {}
        self._grid = Row(styles=theme.PAIR, **WIDE)
        self.main = Column(self._notices.view, self._grid, styles=theme.PAGE_BODY, **WIDE)
        self.filter = pmui.TextInput(label="Filter", size="small", margin=(7, 0), sizing_mode="stretch_width")
        self.filter.param.watch(self._on_filter, "value_input")
        about = html_pane(
            "<p class='caption'>Data sets with picture, dimensions, units and source. Records are saved as NetCDF "
            "files in the data folder and can be downloaded.</p>"
        )
        self.side = Column(about, self.filter, **theme.SIDE)

    def _on_filter(self, event: Any) -> None:
        if event.new is not None and event.new != self.state.values()["search"]:
            self.state.enter("search", event.new)

    def show(self) -> None:
        """Load the records."""
        self.state.load_records()

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn = None

    def _version(self) -> Any:
        clock = int(time.monotonic()) if any(self._is_active(name) for name in self.state.names()) else 0
        return self.state.version(), clock

    def _is_active(self, name: str) -> bool:
        job = self.state.job(name)
        return job is not None and job.active

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version, names = self._version(), self.state.names()
        for name in names:
            if name not in self._tiles:
                self._tiles[name] = Tile(name, self.state, self._shell)
            self._tiles[name].update()
        views = [self._tiles[name].view for name in names]
        if list(self._grid.objects) != views:
            self._grid.objects = views
        self.filter.value = self.state.values()["search"]
        self._notices.update(self.state.notices, dismissible=bool(self.state.notices))
        self._drawn = version
