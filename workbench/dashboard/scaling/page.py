"""The Scaling page: what a solve costs as it grows, drawn as the points arrive; saved studies laid over."""

import io
from math import inf, isfinite, nan
from typing import Any

import panel_material_ui as pmui
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import Download, button
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, drawing, heading, text
from workbench.dashboard.compare import text as compare_words
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.scaling.state import ScalingState
from workbench.dashboard.scaling.text import numbered, progress, rows, table
from workbench.dashboard.train import text as words
from workbench.plots.studies import scaling

AXES = {"T": "grid points T", "B": "systems B"}
EMPTY = (
    "<div class='intro'><h2>What does a solve cost?</h2><p>Press <b>Measure</b>. Every point is solved in a fresh "
    "process, forward and backward, and drawn the moment it is known. What exceeds its budget becomes a mark.</p></div>"
)


class ScalingPage:
    """Widgets of the Scaling page (see `shell.ScalingPage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = ScalingState(search)
        self._shell = shell
        self._drawn = None
        self._shown = False
        self._key = None
        self._plot = None
        self._sources = []
        self._controls = Controls(state)
        self._overlay = pmui.MultiChoice(
            label="Lay saved studies over", options=[], margin=(7, 0), sizing_mode="stretch_width"
        )
        self._overlay.param.watch(self._overlaid, "value")
        self.side = Column(self._controls.view, self._overlay, **theme.SIDE)
        self._notices = Notices(state.dismiss)
        self._make_bar()
        self._empty = text(EMPTY)
        self._figure = Column(**WIDE)
        self._head = text(heading("Growth", ""))
        self._table = text("")
        self._chart = card(self._head, self._empty, self._figure)
        self._laws = card(text(heading("Laws and limits", compare_words.LAWS)), self._table)
        self._chart.visible = True
        self.main = Column(self._notices.view, self._bar, self._chart, self._laws, styles=theme.PAGE_BODY, **WIDE)

    def _make_bar(self) -> None:
        self.start = button("Measure", "play_arrow", self.state.start, self._shell.soon, variant="contained")
        self.cancel = button("Cancel", "stop", self.state.cancel, self._shell.soon)
        self._name = pmui.TextInput(label="Name", size="small", width=170, margin=0, value="")
        self.save = button("Save", "save", self._save, self._shell.soon)
        self.csv = Download(
            label="CSV", filename="study.csv", callback=self._content, size="small", margin=0, variant="outlined"
        )
        self._progress = text("", styles=theme.share(1, 200))
        parts = [self.start, self.cancel, self._name, self.save, self.csv, self._progress]
        line = Row(*parts, styles={**theme.LINE, "align-items": "center"}, **WIDE)
        self._bar = Column(line, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

    def _save(self) -> None:
        self.state.keep(self._name.value_input or self._name.value)

    def _content(self) -> io.BytesIO:
        return io.BytesIO(self.state.csv())

    def _overlaid(self, event: Any) -> None:
        if event.new != self.state.overlays():
            self.state.enter("overlay", ", ".join(event.new))

    def show(self) -> None:
        """Let `refresh` draw figures, too."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn = None

    def _version(self) -> tuple[Any, ...]:
        study = self.state.study
        return self._shown, self.state.revision, study and (study.id, study.version)

    def stale(self) -> bool:
        """Whether something has changed."""
        return self._drawn != self._version()

    def refresh(self) -> None:
        """Draw the page."""
        version = self._version()
        self._controls.update()
        self._overlay.param.update(options=self.state.saved, value=self.state.overlays())
        self._overlay.visible = bool(self.state.saved)
        self._draw_bar()
        self._draw_chart()
        self._drawn = version

    def _draw_bar(self) -> None:
        study = self.state.study
        running, there = study is not None and study.running, study is not None and bool(study.points)
        self.start.disabled = running or self.state.config is None
        self.cancel.disabled = not running
        self.save.disabled = self.csv.disabled = self._name.disabled = not there
        self._progress.object = progress(study)
        shown = list(self.state.notices)
        if study is not None and study.error:
            shown.append(words.Notice("error", f"The study failed: {study.error}"))
        self._notices.update(words.listed(shown), removable=bool(self.state.notices))

    def _draw_chart(self) -> None:
        found, config = self.state.curves(), self.state.config
        self._empty.visible, self._laws.visible = not found, bool(found)
        if config is None:
            return
        axis = self.state.study.config.axis if self.state.study else config.axis
        budget = self.state.study.config.budget() if self.state.study else config.budget()
        quantity = "memory" if config.quantity == "memory" else {"both": "seconds"}.get(config.part, config.part)
        lines = rows(found, axis, quantity, budget)
        self._table.object = table(lines, axis)
        legend = "".join(numbered(line) for line in lines)
        self._head.object = heading("Growth", f"Dotted: the fitted power law. × marks what a budget ended.<br>{legend}")
        if self._shown and lines:
            self._draw_figure(lines, axis, quantity, budget)
        elif not lines:
            self._figure.objects, self._key = [], None

    def _draw_figure(self, lines: list[Any], axis: str, quantity: str, budget: Any) -> None:
        line = budget.seconds if quantity != "memory" else float(budget.bytes)
        ceiling = line if any(one.marks for one in lines) else nan
        found = [scaling.columns(one.sizes, one.values, one.marks, line) for one in lines]
        for data, one in zip(found, lines, strict=True):
            data["law"] = _law(one, max(one.sizes, default=1.0))
        fresh = False
        key = ([(one.label, one.study) for one in lines], axis, quantity, isfinite(ceiling))
        if key != self._key:
            self._key, fresh = key, True
            self._sources = [{kind: ColumnDataSource(columns) for kind, columns in data.items()} for data in found]
            curves = [(o.label, o.number, bool(o.study), s) for o, s in zip(lines, self._sources, strict=True)]
            ylabel = "peak memory (byte)" if quantity == "memory" else f"time of {_pass(quantity)} (s)"
            self._plot = scaling.growth(curves, xlabel=AXES[axis], ylabel=ylabel, budget=ceiling)
        else:
            for sources, data in zip(self._sources, found, strict=True):
                for kind, columns in data.items():
                    sources[kind].data = columns
        (left, right), (low, high) = scaling.spans(found, ceiling)
        self._plot.x_range.update(start=float(left), end=float(right))
        self._plot.y_range.update(start=float(low), end=float(high))
        if fresh:
            self._figure.objects = [drawing(self._plot)]


def _law(line: Any, largest: float) -> dict[str, Any]:
    """The fitted line, out to the predicted limit where that is near."""
    if line.slope is None:
        return {"size": [], "value": []}
    end = line.limit.size if line.limit is not None and line.limit.size < inf else largest
    return scaling.law(min(line.sizes), min(max(end, largest), 10 * largest), line.slope.value, line.slope.intercept)


def _pass(quantity: str) -> str:
    return {"seconds": "forward and backward pass"}.get(quantity, f"the {quantity} pass")
