"""The Compare page: one problem, several solvers, as sliders move; and the race of two solvers through one training."""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, drawing, heading, text
from workbench.dashboard.compare import text as compare_words
from workbench.dashboard.compare.race_card import RaceCard
from workbench.dashboard.compare.state import VARIANTS, CompareState
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.train import text as words
from workbench.plots.studies import solutions

FIGURES = {"difference": "|difference to the reference|", "error": "|error against the closed form|"}


class ComparePage:
    """Widgets of the Compare page (see `shell.ComparePage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = CompareState(search)
        state.bench.told = shell.soon  # a result is drawn at once
        self._drawn = None
        self._shown = False
        self._plots = {}
        self._controls = Controls(state)
        self.side = Column(self._controls.view, **theme.SIDE)
        self._notices = Notices(state.dismiss)
        self._sources = {label: ColumnDataSource(solutions.empty()) for label in VARIANTS}
        self._truth = ColumnDataSource({"time": [], "u": [], "data": []})
        self._busy = text("", sizing_mode=None)
        self.cancel = button("Cancel", "stop", state.bench.cancel, shell.soon, visible=False)
        self._head, self._table = text(heading("Solutions", "")), text("")
        self._u = Column(**WIDE)
        above = card(self._head, self._u, controls=[self._busy, self.cancel])
        costs = card(
            text(
                heading(
                    "Costs and distances",
                    "Forward and backward pass, with the gradient; the largest difference and error.",
                )
            ),
            self._table,
        )
        below = [Column(**WIDE) for _ in FIGURES]
        self._below = dict(zip(FIGURES, below, strict=True))
        pair = [
            card(text(heading(title, "")), below[i], **theme.share(1, 330)) for i, title in enumerate(self._titles())
        ]
        for part in (above, costs, *pair):
            part.visible = True
        self.race = RaceCard(state, shell.soon)
        self.main = Column(
            self._notices.view,
            above,
            Row(*pair, styles=theme.PAIR, **WIDE),
            costs,
            self.race.view,
            styles=theme.PAGE_BODY,
            **WIDE,
        )

    def _titles(self) -> tuple[str, str]:
        return "Difference to the reference", "Error against the closed form"

    def show(self) -> None:
        """Let `refresh` draw figures, too."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn = None

    def _version(self) -> tuple[Any, ...]:
        return self._shown, self.state.revision, self.state.bench.version, self.race.version()

    def stale(self) -> bool:
        """Whether something has changed."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version = self._version()
        before = self._drawn or (None,) * 4
        if version[1] != before[1]:
            self._controls.update()
        if version[:3] != before[:3]:
            self._draw_results()
        if version[0] != before[0] or version[1] != before[1] or version[3] != before[3]:
            self.race.update(shown=self._shown)
        self._drawn = version

    def _draw_results(self) -> None:
        bench, config = self.state.bench, self.state.config
        notices = list(self.state.notices)
        if "" in self.state.errors:
            notices.append(words.Notice("warning", self.state.errors[""]))
        if bench.error:
            notices.append(words.Notice("error", f"The comparison failed: {bench.error}"))
        self._notices.update(words.listed(notices), removable=bool(self.state.notices))
        self._busy.object = f"<span class='caption' role='status'>{bench.busy and bench.busy + ' &hellip;'}</span>"
        self.cancel.visible = bool(bench.busy)
        labels = [variant.label for variant in config.variants()] if config else []
        self._table.object = compare_words.results(labels, bench.results, bench.memory, bench.busy)
        if bench.example is None or not self._shown:
            return
        self._fill(bench.example, labels)
        self._head.object = heading("Solutions", compare_words.problem(bench.example, labels))
        fresh = not self._plots
        if fresh:
            self._make()
        columns = [self._sources[label].data for label in labels]
        for name in FIGURES:
            axis = self._plots[name].y_range
            axis.start, axis.end = solutions.span(columns, name)
        if fresh:  # last: what has come into the document must not change in the same turn
            for name, place in {"u": self._u, **self._below}.items():
                place.objects = [drawing(self._plots[name])]

    def _fill(self, example: Any, labels: list[str]) -> None:
        time, readings = example.time(), example.readings()
        truth = {"time": time, "u": example.exact()[:, 0]}
        truth["data"] = np.full(len(time), np.nan) if readings is None else readings
        self._truth.data = {name: solutions.thin(values) for name, values in truth.items()}
        for label, source in self._sources.items():
            result = self.state.result(label) if label in labels else None
            if result is None or result.u is None or len(result.u.reshape(-1, *result.u.shape[-3:])[0]) != len(time):
                if len(source.data["time"]):
                    source.data = solutions.empty()
                continue
            u = result.u.reshape(-1, *result.u.shape[-3:])[0, :, 0, 0]
            source.data = solutions.columns(time, u, result.difference, result.error)

    def _make(self) -> None:
        labels, sources = list(self._sources), list(self._sources.values())
        self._plots["u"] = solutions.solutions(sources, labels, self._truth)
        for name, title in FIGURES.items():
            self._plots[name] = solutions.distances(sources, labels, name, title)
