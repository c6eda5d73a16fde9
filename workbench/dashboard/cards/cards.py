"""The cards of the Train page. Each owns its panes and sources and redraws them from a Report or from records."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui
import xarray as xr
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.plotly_library import PlotlyLibrary
from workbench.dashboard.app.theme import WIDE
from workbench.experiments.report import Report
from workbench.plots import loss, trajectory
from workbench.plots import summary as record
from workbench.plots.equations import coefficients, equation, parameters
from workbench.plots.scrolled import scrolled
from workbench.training import Record

ROLLOVER = 4000
CAPTIONS = {
    True: (
        "Wide blue: true value. Orange: a true term. Grey: a term that should vanish.",
        "The dot belongs in the ring.",
    ),
    False: ("A term that is not needed falls to zero and stays there.", "The true value lies in 95 of 100 intervals."),
}
"""What to see in the coefficients over the steps and now, where the truth is known and where it is not."""


def text(html: str, **params: Any) -> pn.pane.HTML:
    """A piece of HTML in the style of the page."""
    return pn.pane.HTML(html, stylesheets=[theme.STYLE], **{**WIDE, **params})


def heading(title: str, caption: str) -> str:
    """The title of a card and one line on what to see."""
    return f'<h2>{title}</h2><div class="caption">{caption}</div>'


def card(head: pn.pane.HTML, *body: Any, controls: Sequence[Any] = (), **styles: str) -> Column:
    """A titled surface, not visible yet: its heading, controls on the right, then the body."""
    head.styles = theme.share(1, 190)
    top = Row(head, *controls, styles={**theme.LINE, "margin-bottom": "8px"}, **WIDE)
    return Column(top, *body, styles={**theme.CARD, **styles}, visible=False, **WIDE)


def choice(label: str, options: Any, value: Any, width: int = 120) -> pmui.Select:
    """A small list in the head of a card."""
    return pmui.Select(label=label, options=options, value=value, size="small", width=width, margin=0)


def segments(options: Any, value: Any, width: int) -> pmui.RadioButtonGroup:
    """A row of buttons in the head of a card, one of them chosen."""
    return pmui.RadioButtonGroup(options=options, value=value, size="small", width=width, margin=0, label="")


def drawing(plot: Any, **params: Any) -> pn.pane.Bokeh:
    """A Bokeh figure whose changes in the browser stay there.

    By default the browser tells the server every range that it fits to new data, every size, every colour of its theme.
    Each of these messages waits its turn for the document, between two drawings; with a few figures they come in faster
    than they are taken, and a click on Stop stands in line behind them (Bokeh's issues 3408 and 3745).
    """
    for model in plot.references():
        model.syncable = False
    return pn.pane.Bokeh(plot, **{**WIDE, **params})


def watch(act: Callable[[], None], *widgets: Any, name: str = "value") -> None:
    """Call `act` when a widget changes; as a coroutine, so on the event loop like all of a session."""

    async def changed(_: Any) -> None:
        act()

    for widget in widgets:
        widget.param.watch(changed, name)


class EquationCard:
    """The discovered equations beside the true ones, and the numbers that judge them."""

    NAMES = {
        "rmse": "RMSE of the coefficients",
        "precision": "precision of the terms",
        "recall": "recall of the terms",
        "max_error": "largest error of a coefficient",
        "horizon": "horizon, in Lyapunov times",
        "clean_rmse": "RMSE of the curve",
        "noise_rms": "RMS of the noise",
        **{f"error_{K}": f"error with {K} derivatives" for K in (2, 3, 4, 5)},
        "noise": "noise, told from the data",
        "mse_given": "error², first 10 points given",
        "mse_after": "error², after these points",
        "mse_honest": "error², nothing given",
        "mse_climatology": "error² of climatology",
        "separation": "latitude bands told right",
        "chance": "by guessing",
        "coverage": "inside the 95 % band",
        **{f"skill_{lead}": f"skill {lead} steps ahead" for lead in (1, 3, 4, 6, 12, 13, 24, 26, 36, 52, 104, 156)},
        "modes": "Fourier modes used",
        **{f"nmse_{n}": f"NMSE over {n} frames" for n in (20, 40, 100)},
        **{f"published_nmse_{n}": f"the same over {n}, as published" for n in (20, 40, 100)},
        **{f"persistence_{n}": f"last frame held, {n} frames" for n in (20, 40, 100)},
        "degree": "degree of the polynomials",
        "noise_share": "noise, as a share of the variation",
        "left_over": "left unexplained, over the noise",
        "relative_error": "largest relative error of a coefficient",
        "followed": "time for which the simulation stays with the truth",
        **{
            f"{name}_{share}": f"{words} relative error of {name}"
            for name in ("r", "K")
            for share, words in (("median", "median"), ("95", "95th percentile of the"))
        },
        **{f"rolled_{n}": f"error after {n} orbit{'s' * (n > 1)}, over the distance" for n in (1, 5, 10)},
    }

    def __init__(self, redraw: Callable[[], None]) -> None:
        self.digits = choice("Decimals", [1, 2, 3, 4, 6], 3, width=96)
        watch(redraw, self.digits)
        self._found = text("")
        self._true = text("")
        self._metrics = text("")
        self._doubts = text("")
        found, true = text('<h3 class="key found">Discovered</h3>'), text('<h3 class="key truth">True</h3>')
        left = Column(found, self._found, styles=theme.share(7, 300), **WIDE)
        self._right = Column(true, self._true, styles=theme.share(6, 300), **WIDE)
        both = Row(left, self._right, styles=theme.PAIR, **WIDE)
        self.view = card(
            text(heading("Equations", "What the run has found so far, beside what made the data.")),
            both,
            self._metrics,
            self._doubts,
            controls=[self.digits],
        )

    def update(self, report: Report | None) -> None:
        """Show the equations and metrics of a Report; None: nothing is found yet."""
        if report is None:
            waiting = '<div class="caption">The first equations appear after the first step.</div>'
            self._found.object, self._true.object, self._metrics.object = waiting, "", ""
            self._doubts.object = ""
            self._right.visible = False
            return
        digits = self.digits.value
        none = '<div class="caption">No equation is discovered in this mode.</div>'
        self._found.object = equation.html(report.equations, digits, report.true_equations) or none
        self._true.object = equation.html(report.true_equations, digits)
        self._right.visible = bool(report.true_equations)
        units = record.units(report.trajectory) if report.trajectory is not None and report.equations else ""
        told = f'<div class="caption">Units: {escape(units)}.</div>' if units else ""
        self._metrics.object = told + equation.metrics(report.metrics, self.NAMES)
        self._doubts.object = equation.doubts(report.doubts)


class LossCard:
    """The loss, or another metric, against the step; raw under smoothed, linear or logarithmic.

    The figure is made when there are records to draw, with these in its source: a log axis without data has no range,
    and a source must be known to the browser before it can be updated. It stands in a plain Column: in a layout of
    panel_material_ui a figure that comes later may be measured before it is laid out (its issue 548).
    """

    def __init__(self, rewind: Callable[[], None]) -> None:
        self._rewind = rewind
        self._source = None
        self.metric = choice("Curve", ["loss"], "loss", width=130)
        self.scale = segments(["log", "linear"], "log", 120)
        self._plot = Column(**WIDE)
        watch(self._again, self.metric, self.scale)
        self.view = card(
            text(heading("Learning curve", "Every step pale, smoothed on top.")),
            self._plot,
            controls=[self.metric, self.scale],
            **theme.share(3, 330),
        )

    def _again(self) -> None:
        self._source = None
        self._rewind()

    def clear(self) -> None:
        """Forget what is drawn."""
        self._source, self._plot.objects = None, []

    def update(self, records: Sequence[Record], *, restart: bool) -> None:
        """Append records; `restart`: forget what is drawn first."""
        if not records:
            if restart:  # a run that has no step yet
                self.clear()
            return
        if not set(records[-1].metrics) <= set(self.metric.options):
            self.metric.options = list(records[-1].metrics)
        drawn = None if restart or self._source is None else self._source.data
        before = None if drawn is None else (drawn["step"][-1], drawn["smooth"][-1])
        columns = loss.columns(records, self.metric.value, before)
        if self._source is None:
            self._source = ColumnDataSource(columns)
            plot = loss.curve(self._source, self.metric.value, log=self.scale.value == "log")
            self._plot.objects = [drawing(plot)]
        elif restart:
            self._source.data = columns
        else:
            self._source.stream(columns, rollover=ROLLOVER)


class TrajectoryCard:
    """The trajectory, truth against discovered: in three dimensions when there are three variables, else over time.

    has_library: whether the browser has the 3-D library already.
    """

    def __init__(self, redraw: Callable[[], None], *, has_library: bool = False) -> None:
        self._key = ""
        self._sizes = None
        self._eye = {}
        self._source = None
        self.kind = segments({"3-D": "phase", "over time": "series"}, "phase", 170)
        self.kind.visible = False  # until it is known that there are three variables
        self.end = pmui.FloatSlider(
            label="Time shown",
            start=0.0,
            end=1.0,
            value=1.0,
            step=0.01,
            size="small",
            margin=(0, 12, 0, 8),
            sizing_mode="stretch_width",
            visible=False,
        )
        self._phase = pn.pane.Plotly(
            None, height=trajectory.HEIGHT, config={"displaylogo": False, "responsive": True}, **WIDE
        )
        self._library = PlotlyLibrary(height=24, loaded=has_library)
        self._scene = Column(visible=False, min_height=trajectory.HEIGHT, **WIDE)
        self._series = Column(**WIDE)
        self._head = text(heading("Trajectory", ""))
        self._legend = text("")
        self._waiting = text('<div class="caption">Making the data &hellip;</div>', min_height=trajectory.HEIGHT)
        watch(redraw, self.kind)
        watch(redraw, self._library, name="loaded")
        watch(redraw, self._library, name="failed")
        watch(redraw, self.end, name="value_throttled")
        self.view = card(
            self._head,
            self._waiting,
            self._legend,
            self._scene,
            self._series,
            self.end,
            controls=[self.kind],
            **theme.share(3, 330),
        )

    def update(self, data: xr.Dataset | None, key: str, *, dark: bool) -> None:
        """Show a trajectory; the same `key` keeps camera, zoom and choices."""
        self._waiting.visible, self.end.visible = data is None, data is not None
        if data is None:
            self._scene.visible = self._series.visible = False
            self._head.object, self._legend.object = heading("Trajectory", ""), ""
            return
        # another file has other variables, or others of the same names
        key = " ".join([key, str(data.attrs.get("title", "")), *map(str, data["variable"].values)])
        if key != self._key:
            solid = data.sizes["variable"] == 3
            # gaps and odd values of a person's own record are seen over time
            self.kind.visible, self.kind.value = solid, "phase" if solid and "truth" in data else "series"
            self._eye = trajectory.eye(data) if solid else {}
        sizes = (data.sizes, set(trajectory.BAND) <= set(data.data_vars))
        if key != self._key or sizes != self._sizes:
            self._fit(data)
        self._key, self._sizes = key, sizes
        self._draw(data, dark)

    def _fit(self, data: xr.Dataset) -> None:
        start, end, shown = trajectory.span(data)
        label = trajectory.axis_label(data, "time").replace("time", "Time shown", 1)
        self.end.param.update(start=start, end=end, step=(end - start) / 100, value=shown, label=label)
        self._source, self._series.objects = None, []

    def _draw(self, data: xr.Dataset, dark: bool) -> None:
        shown = trajectory.until(data, self.end.value)
        solid = self.kind.value == "phase" and not self._library.failed
        self._head.object = heading("Trajectory", trajectory.caption(data))
        self._legend.object = trajectory.legend(data)
        self._scene.visible, self._series.visible = solid, not solid
        if solid:
            self._phase.object = trajectory.phase(shown, self._key, self._eye, dark=dark)
            wanted = self._phase if self._library.loaded else self._library
            if wanted not in self._scene.objects:
                self._scene.objects = [wanted]  # the figure not sooner: an empty one shows the axes of a plane
        elif self._source is None:
            self._source = ColumnDataSource(trajectory.series_columns(shown))
            plots = trajectory.series(self._source, data)
            self._series.objects = [drawing(plot) for plot in plots]
        else:
            self._source.data = trajectory.series_columns(shown)


class CoefficientCard:
    """Every coefficient: over the steps, one figure per variable, and now, as a table of true and discovered."""

    def __init__(self, rewind: Callable[[], None]) -> None:
        self._rewind = rewind
        self._values = None
        self._shape = None
        self._quiet = None
        self._source = None
        self._heads = None
        self._paths = Row(styles=theme.PAIR, **WIDE)
        self._table = text("")
        self._captions = text(""), text("")
        self.over_steps = card(self._captions[0], self._paths)
        self.now = card(self._captions[1], self._table)

    def update_report(self, report: Report | None) -> None:
        """Show the table of a Report; a new shape lets the figures be made again."""
        self._values = values = report.coefficients if report else None
        self.over_steps.visible = self.now.visible = values is not None
        if values is None:
            self.clear()
            return
        paths, table = CAPTIONS[coefficients.true_values(values) is not None]
        self._captions[0].object = heading("Coefficients over the steps", paths)
        self._captions[1].object = heading("Coefficients now", table)
        shape = (tuple(values.candidate.values), tuple(values.variable.values))
        if shape != self._shape:
            self._shape, self._source = shape, None
            self._quiet = coefficients.vanishing(values)
            self._rewind()
        table = scrolled(coefficients.table(values), "coefficients")
        self._table.object = f"<p>{coefficients.verdict(values)}</p>{table}"

    def clear(self) -> None:
        """Forget what is drawn; the next Report begins anew, with the first record."""
        self._shape = self._source = None

    def update(self, records: Sequence[Record], *, restart: bool) -> None:
        """Append records; `restart`: forget what is drawn first. Nothing is drawn before the first Report of a run,
        which lets them be read again from the first."""
        known = [record for record in records if record.coefficients is not None]
        if restart and not known:
            self.clear()
        if self._shape is None or not known:
            return
        columns = coefficients.columns([r.step for r in known], [r.coefficients for r in known])
        heads = coefficients.heads(known[-1].step, known[-1].coefficients, self._quiet)
        if self._source is None:
            self._source, self._heads = ColumnDataSource(columns), ColumnDataSource(heads)
            count = len(self._shape[1])
            plots = [coefficients.paths(self._source, self._heads, self._values, index) for index in range(count)]
            self._paths.objects = [drawing(plot, styles=theme.share(1, 250)) for plot in plots]
            return
        self._heads.data = heads
        if restart:
            self._source.data = columns
        else:
            self._source.stream(columns, rollover=ROLLOVER)


class ParameterCard:
    """The parameters of many curves, found against true; only where a Report has some."""

    def __init__(self) -> None:
        self._source = None
        self._plots = Row(styles=theme.PAIR, **WIDE)
        self.view = card(text(heading("Parameters", "A dot per curve; on the blue line it is right.")), self._plots)

    def update(self, report: Report | None) -> None:
        """Show the parameters of a Report."""
        values = report.parameters if report else None
        self.view.visible = values is not None
        if values is None:
            self._source = None
            return
        found = parameters.columns(values)
        if self._source is None or len(self._source.data["truth_0"]) != values.sizes["curve"]:
            self._source = ColumnDataSource(found)
            plots = parameters.scatters(self._source, values)
            self._plots.objects = [drawing(plot, styles=theme.share(1, 300)) for plot in plots]
        else:
            self._source.data = found
