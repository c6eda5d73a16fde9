"""The Scaling page: cost of a solve against problem size, with fitted power laws and saved studies."""

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
from workbench.dashboard.cards.base import card, figure_pane, heading, html_pane
from workbench.dashboard.compare.text import POWER_LAW
from workbench.dashboard.forms.form import Controls
from workbench.dashboard.forms.page_state import Notice
from workbench.dashboard.scaling.state import ScalingState
from workbench.dashboard.scaling.text import CurveRow, curve_rows, legend_key, progress, table
from workbench.plots.studies import scaling

AXES = {"T": "grid points T", "B": "systems B"}
EMPTY = (
    "<div class='intro'><h2>Cost of a solve</h2><p>Press <b>Measure</b>. Every point is solved in a separate process, "
    "forward and backward, and plotted when it completes. Points that exceed the budget are marked.</p></div>"
)


class ScalingPage:
    """Widgets of the Scaling page (see `shell.Page`)."""

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
            label="Overlay saved studies", options=[], margin=(7, 0), sizing_mode="stretch_width"
        )
        self._overlay.param.watch(self._on_overlay, "value")
        self.side = Column(self._controls.view, self._overlay, **theme.SIDE)
        self._notices = Notices(state.dismiss)
        self._create_bar()
        self._empty = html_pane(EMPTY)
        self._figure = Column(**WIDE)
        self._head = html_pane(heading("Scaling", ""))
        self._table = html_pane("")
        self._chart = card(self._head, self._empty, self._figure)
        self._laws = card(html_pane(heading("Scaling laws and limits", POWER_LAW)), self._table)
        self._chart.visible = True
        self.main = Column(self._notices.view, self._bar, self._chart, self._laws, styles=theme.PAGE_BODY, **WIDE)

    def _create_bar(self) -> None:
        self.start = button("Measure", "play_arrow", self.state.start, self._shell.request_refresh, variant="contained")
        self.cancel = button("Cancel", "stop", self.state.cancel, self._shell.request_refresh)
        self._name = pmui.TextInput(label="Name", size="small", width=170, margin=0, value="")
        self.save = button("Save", "save", self._save, self._shell.request_refresh)
        self.csv = Download(
            label="CSV", filename="study.csv", callback=self._content, size="small", margin=0, variant="outlined"
        )
        self._progress = html_pane("", styles=theme.flex(1, 200))
        parts = [self.start, self.cancel, self._name, self.save, self.csv, self._progress]
        row = Row(*parts, styles={**theme.LINE, "align-items": "center"}, **WIDE)
        self._bar = Column(row, styles={**theme.CARD, "padding": "12px 18px"}, **WIDE)

    def _save(self) -> None:
        self.state.save(self._name.value_input or self._name.value)

    def _content(self) -> io.BytesIO:
        return io.BytesIO(self.state.csv())

    def _on_overlay(self, event: Any) -> None:
        if event.new != self.state.overlays():
            self.state.enter("overlay", ", ".join(event.new))

    def show(self) -> None:
        """Make `refresh` draw figures."""
        self._shown = True

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn = None

    def _version(self) -> tuple[Any, ...]:
        study = self.state.study
        return self._shown, self.state.revision, study and (study.id, study.version)

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
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
        running, has_points = study is not None and study.running, study is not None and bool(study.points)
        self.start.disabled = running or self.state.config is None
        self.cancel.disabled = not running
        self.save.disabled = self.csv.disabled = self._name.disabled = not has_points
        self._progress.object = progress(study)
        notices = list(self.state.notices)
        if study is not None and study.error:
            notices.append(Notice("error", f"The study failed: {study.error}"))
        self._notices.update(notices, dismissible=bool(self.state.notices))

    def _draw_chart(self) -> None:
        curves, config = self.state.curves(), self.state.config
        self._empty.visible, self._laws.visible = not curves, bool(curves)
        if config is None:
            return
        axis = self.state.study.config.axis if self.state.study else config.axis
        budget = self.state.study.config.budget() if self.state.study else config.budget()
        quantity = "memory" if config.quantity == "memory" else {"both": "seconds"}.get(config.part, config.part)
        rows = curve_rows(curves, axis, quantity, budget)
        self._table.object = table(rows, axis)
        legend = "".join(map(legend_key, rows))
        self._head.object = heading("Scaling", f"Dotted: fitted power law. ×: budget exceeded.<br>{legend}")
        if self._shown and rows:
            self._draw_figure(rows, axis, quantity, budget)
        elif not rows:
            self._figure.objects, self._key = [], None

    def _draw_figure(self, rows: list[CurveRow], axis: str, quantity: str, budget: Any) -> None:
        limit = budget.seconds if quantity != "memory" else float(budget.bytes)
        ceiling = limit if any(row.marks for row in rows) else nan
        tables = [scaling.columns(row.sizes, row.values, row.marks, limit) for row in rows]
        for columns, row in zip(tables, rows, strict=True):
            columns["law"] = _power_law(row, max(row.sizes, default=1.0))
        key = ([(row.label, row.study) for row in rows], axis, quantity, isfinite(ceiling))
        is_new = key != self._key
        if is_new:
            self._key = key
            self._sources = [{kind: ColumnDataSource(part) for kind, part in columns.items()} for columns in tables]
            curves = [(r.label, r.number, bool(r.study), s) for r, s in zip(rows, self._sources, strict=True)]
            ylabel = "peak memory (byte)" if quantity == "memory" else f"time of {_pass(quantity)} (s)"
            self._plot = scaling.scaling_curves(curves, xlabel=AXES[axis], ylabel=ylabel, budget=ceiling)
        else:
            for sources, columns in zip(self._sources, tables, strict=True):
                for kind, part in columns.items():
                    sources[kind].data = part
        (left, right), (low, high) = scaling.axis_ranges(tables, ceiling)
        self._plot.x_range.update(start=float(left), end=float(right))
        self._plot.y_range.update(start=float(low), end=float(high))
        if is_new:
            self._figure.objects = [figure_pane(self._plot)]


def _power_law(row: CurveRow, largest: float) -> dict[str, Any]:
    """Columns of the fitted line, extended to the predicted limit, at most to 10 times the largest size."""
    if row.slope is None:
        return {"size": [], "value": []}
    end = row.limit.size if row.limit is not None and row.limit.size < inf else largest
    return scaling.power_law(min(row.sizes), min(max(end, largest), 10 * largest), row.slope.value, row.slope.intercept)


def _pass(quantity: str) -> str:
    return {"seconds": "forward and backward pass"}.get(quantity, f"the {quantity} pass")
