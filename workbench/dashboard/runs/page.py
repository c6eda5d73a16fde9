"""The Runs page: every run in a table; curves over each other, settings beside each other; go on, export, delete."""

import io
import time
from html import escape
from typing import Any

import panel_material_ui as pmui
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import layouts, theme
from workbench.dashboard.app.buttons import Download, button
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, choice, drawing, heading, segments, text
from workbench.dashboard.forms.table import Table
from workbench.dashboard.runs import exports
from workbench.dashboard.runs.state import SHOWN, RunsState
from workbench.dashboard.train import text as words
from workbench.jobs.run_index import RunEntry
from workbench.plots.studies import run_overlay

LOOK_EVERY = 1.0
"""Seconds between two looks at the folder."""
TITLES = {
    "run": "run",
    "experiment": "data set",
    "mode": "mode",
    "status": "state",
    "steps": "steps",
    "last": "last loss",
    "best": "best loss",
    "rmse": "RMSE of coefficients",
    "created": "begun (UTC)",
    "tags": "tags",
}
NUMBERS = ["steps", "last", "best", "rmse"]
EMPTY = (
    "<p>No run yet. <b>Start</b> on the Train page makes one; so does the command line. Each is one file in the folder "
    "of runs and will be listed here.</p>"
)


class RunsPage:
    """Widgets of the Runs page (see `shell.RunsPage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = RunsState(search)
        self._shell = shell
        self._drawn = None
        self._looked = 0.0
        self._shown = False
        self._sources = []
        self._curve_key = None
        self._doomed = []
        self._notices = Notices(state.dismiss)
        self.table = Table(columns=TITLES, numbers=NUMBERS, caption="Runs", sizing_mode="stretch_width", margin=0)
        for name, act in (("selected", self._ticked), ("sort", self._sorted), ("opened", self._opened)):
            self.table.param.watch(act, name)
        self._empty = text(EMPTY)
        self._count = text(heading("Runs", ""))
        self._make_actions()
        listing = card(self._count, self._actions, self._empty, self.table)
        listing.visible = True
        self._make_overlay()
        self._difference = text("")
        self._difference_head = text(heading("Settings", ""))
        self._settings = card(self._difference_head, self._difference)
        self.main = layouts.Column(
            self._notices.view, self._cut, listing, self._curves, self._settings, styles=theme.PAGE_BODY, **WIDE
        )
        self._make_side()

    # making

    def _make_actions(self) -> None:
        self.open = button("Open", "open_in_new", self._open, self._shell.soon, variant="contained")
        self.resume = button("Resume", "play_arrow", self._resume, self._shell.soon)
        self.delete = button("Delete", "delete", self._ask_delete, self._shell.soon, variant="text")
        self.confirm = button("Delete for good", "delete", self._delete, self._shell.soon, color="error")
        self.downloads = {kind: self._download(kind) for kind in exports.KINDS}
        self._tags = pmui.TextInput(label="Tags", size="small", width=190, margin=0, placeholder="good, for the talk")
        self._tags.param.watch(self._tagged, "value")
        self.keep = button("Keep", None, self._keep, self._shell.soon, variant="text")
        shown = [self.open, self.resume, *self.downloads.values(), self._tags]
        buttons = [*shown, self.delete, self.confirm, self.keep]
        line = {**theme.LINE, "margin-bottom": "10px", "align-items": "center"}
        self._actions = layouts.Row(*buttons, styles=line, **WIDE)
        self._go_on = button("Resume all", "play_arrow", self._resume_all, self._shell.soon)
        self._cut_words = text("", styles=theme.share(1, 250))
        self._cut = layouts.Row(
            self._cut_words, self._go_on, visible=False, styles={**theme.LINE, **theme.CARD}, **WIDE
        )

    def _make_overlay(self) -> None:
        self.metric = choice("Curve", ["loss"], "loss", width=150)
        self.over = segments(["step", "seconds"], "step", 140)
        self.scale = segments(["log", "linear"], "log", 120)
        for widget, name in ((self.metric, "curve"), (self.over, "over"), (self.scale, "scale")):
            self._bind(widget, name)
        self._plot = layouts.Column(**WIDE)
        self._legend = text("")
        head = text(heading("Curves", "The ticked runs over each other; those that run go on."))
        self._curves = card(head, self._legend, self._plot, controls=[self.metric, self.over, self.scale])

    def _make_side(self) -> None:
        common = {"size": "small", "margin": (7, 0), "sizing_mode": "stretch_width"}
        hint = "Words that a run's name, data set, mode, tags or settings hold, as in noise=0.1"
        self.filter = pmui.TextInput(label="Filter", description=hint, **common)
        self.status = pmui.Select(label="State", options=list(SHOWN), value="all", **common)
        self._bind(self.filter, "search", "value_input")
        self._bind(self.status, "status")
        about = text(
            "<p class='caption'>All runs of this server and of the command line. Tick some to see their curves over "
            "each other and the settings in which they differ; follow a name to open its run.</p>"
        )
        self.side = layouts.Column(about, self.filter, self.status, **theme.SIDE)

    def _bind(self, widget: Any, field: str, name: str = "value") -> None:
        def changed(event: Any) -> None:
            if event.new is not None and event.new != self.state.shown()[field]:
                self.state.enter(field, event.new)

        widget.param.watch(changed, name)

    def _download(self, kind: str) -> Any:
        def content() -> io.BytesIO | None:
            try:
                name, made = self.state.export(kind)
            except Exception as error:
                self.state.tell(words.failed(f"The {kind.lower()} could not be made", error))
                raise
            download.filename = name
            return io.BytesIO(made)

        download = Download(
            label=kind,
            filename=f"run{exports.KINDS[kind][0]}",
            callback=content,
            size="small",
            margin=0,
            variant="outlined",
        )
        return download

    # what a person does

    def _ticked(self, event: Any) -> None:
        self._doomed = []
        if event.new != [row.id for row in self.state.selected()]:
            self.state.select(event.new)

    def _sorted(self, event: Any) -> None:
        if event.new != self.state.shown()["sort"]:
            self.state.enter("sort", event.new)

    def _opened(self, event: Any) -> None:
        self._show(event.new[0])

    def _show(self, name: str) -> None:
        self._shell.go("train", f"?run={name}")

    def _open(self) -> None:
        self._show(self.state.selected()[0].id)

    def _resume(self) -> None:
        resumed = self.state.resume()
        if len(resumed) == 1:
            self._show(resumed[0])

    def _resume_all(self) -> None:
        self.state.resume(self.state.interrupted())

    def _ask_delete(self) -> None:
        self._doomed = [row.id for row in self.state.selected()]
        self.state.revision += 1

    def _delete(self) -> None:
        if self._doomed == [row.id for row in self.state.selected()]:
            self.state.delete()
        self._keep()

    def _keep(self) -> None:
        self._doomed = []
        self.state.revision += 1

    def _tagged(self, event: Any) -> None:
        if event.new != ", ".join(self.state.tags()):  # a person has entered it, not `refresh`
            self.state.tag(event.new)

    # drawing

    def show(self) -> None:
        """Let `refresh` draw figures, too."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn = self._curve_key = None

    def stale(self) -> bool:
        """Whether something has changed; looks at the folder now and then."""
        if time.monotonic() - self._looked > LOOK_EVERY:
            self.state.look()
            self._looked = time.monotonic()
        return self._drawn != (self._shown, self.state.revision)

    def refresh(self) -> None:
        """Draw the page."""
        version = (self._shown, self.state.revision)
        self._draw_table()
        self._draw_actions()
        if self._shown:
            self._draw_curves()
        self._draw_difference()
        self._drawn = version

    def _draw_table(self) -> None:
        rows, colors = self.state.visible(), self._colors()
        self._empty.visible, self.table.visible = not self.state.rows, bool(self.state.rows)
        shown = f"{len(rows)} of {len(self.state.rows)}" if len(rows) != len(self.state.rows) else str(len(rows))
        self._count.object = heading(f"Runs ({shown})", "Tick to compare, follow a name to open.")
        cells = [{**words.run_cells(row), "color": colors.get(row.id, "")} for row in rows]
        self.table.param.update(
            rows=cells, selected=[row.id for row in self.state.selected()], sort=self.state.shown()["sort"]
        )
        self.filter.value = self.state.shown()["search"]
        self.status.value = self.state.shown()["status"]

    def _colors(self) -> dict[str, str]:
        return {row.id: run_overlay.color(index) for index, (row, _, _) in enumerate(self.state.curves())}

    def _draw_actions(self) -> None:
        enabled = self.state.enabled()
        self._actions.visible = bool(self.state.rows)
        self.open.disabled, self.resume.disabled = not enabled["open"], not enabled["resume"]
        for download in self.downloads.values():
            download.disabled = not enabled["export"]
        self._tags.disabled = not enabled["tag"]
        self._tags.value = ", ".join(self.state.tags())
        asked = bool(self._doomed)
        self.delete.disabled = not enabled["delete"] or asked
        self.confirm.visible = self.keep.visible = asked
        self.confirm.label = f"Delete {len(self._doomed)} for good"
        cut = self.state.interrupted()
        self._cut.visible = bool(cut)
        names = ", ".join(escape(row.id) for row in cut[:5]) + (" and more" if len(cut) > 5 else "")
        self._cut_words.object = f"<p><b>Cut short when the server stopped:</b> {names}.</p>"
        self._notices.update(words.listed(self.state.notices), removable=bool(self.state.notices))

    def _draw_curves(self) -> None:
        found, config = self.state.curves(), self.state.shown()
        self._curves.visible = bool(self.state.selected())
        self._legend.object = _legend([row for row, _, _ in found], str(config["curve"]))
        metrics = self.state.metrics()
        options = sorted({*metrics, config["curve"]} - {"step"})
        self.metric.param.update(options=options, value=config["curve"])
        self.over.value, self.scale.value = config["over"], config["scale"]
        key = ([row.id for row, _, _ in found], config["curve"], config["over"], config["scale"])
        if key == self._curve_key:
            for source, (_, x, y) in zip(self._sources, found, strict=True):
                if len(source.data["x"]) != len(x):
                    source.data = run_overlay.columns(x, y)
            return
        self._curve_key = key
        self._sources = [ColumnDataSource(run_overlay.columns(x, y)) for _, x, y in found]
        labels = [row.id for row, _, _ in found]
        axes = {"xlabel": "time (s)" if config["over"] == "seconds" else "step", "ylabel": str(config["curve"])}
        plot = run_overlay.curves(self._sources, labels, **axes, log=config["scale"] == "log") if found else None
        self._plot.objects = [drawing(plot)] if plot else []

    def _draw_difference(self) -> None:
        names, lines = self.state.difference()
        self._settings.visible = bool(names)
        title = "Difference of the settings" if len(names) > 1 else "Settings"
        what = "Only what differs." if len(names) > 1 else "Tick a second run to see the difference."
        self._difference_head.object = heading(title, what)
        self._difference.object = words.comparison(names, lines)


def _legend(rows: list[RunEntry], metric: str) -> str:
    if not rows:
        return f"<p class='caption'>None of the ticked runs has records of {escape(metric)}.</p>"
    line = "<span class='key' style='--line: {}'>{}</span>"
    return "".join(line.format(run_overlay.color(index), escape(row.id)) for index, row in enumerate(rows))
