"""Card of the trajectory, in three dimensions or over time."""

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui
import xarray as xr
from bokeh.models import ColumnDataSource

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.plotly_library import PlotlyLibrary
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import button_group, card, figure_pane, heading, html_pane, watch
from workbench.plots import trajectory


class TrajectoryCard:
    """True and discovered trajectory: in three dimensions for three variables, else over time.

    has_library: whether the browser has loaded Plotly.
    """

    def __init__(self, redraw: Callable[[], None], *, has_library: bool = False) -> None:
        self._key = ""
        self._sizes = None
        self._eye = {}
        self._source = None
        self.kind = button_group({"3-D": "phase", "over time": "series"}, "phase", 170)
        self.kind.visible = False  # until there are three variables
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
        self._head = html_pane(heading("Trajectory", ""))
        self._legend = html_pane("")
        self._waiting = html_pane('<div class="caption">Loading data &hellip;</div>', min_height=trajectory.HEIGHT)
        watch(redraw, self.kind)
        watch(redraw, self._library, name="loaded")
        watch(redraw, self._library, name="failed")
        watch(redraw, self.end, name="value_throttled")
        body = (self._waiting, self._legend, self._scene, self._series, self.end)
        self.view = card(self._head, *body, controls=[self.kind], **theme.flex(3, 330))

    def update(self, data: xr.Dataset | None, key: str, *, dark: bool) -> None:
        """Show a trajectory; an unchanged `key` keeps camera, zoom and choices."""
        self._waiting.visible, self.end.visible = data is None, data is not None
        if data is None:
            self._scene.visible = self._series.visible = False
            self._head.object, self._legend.object = heading("Trajectory", ""), ""
            return
        # an uploaded file may have other variables, or other data under the same names
        key = " ".join([key, str(data.attrs.get("title", "")), *map(str, data["variable"].values)])
        if key != self._key:
            is_3d = data.sizes["variable"] == 3
            # gaps and outliers of an uploaded record are visible over time
            self.kind.visible, self.kind.value = is_3d, "phase" if is_3d and "truth" in data else "series"
            self._eye = trajectory.camera_position(data) if is_3d else {}
        sizes = (data.sizes, set(trajectory.BAND) <= set(data.data_vars))
        if key != self._key or sizes != self._sizes:
            self._reset(data)
        self._key, self._sizes = key, sizes
        self._draw(data, dark)

    def _reset(self, data: xr.Dataset) -> None:
        """Adapt the time slider to the data and remove the time-series figures."""
        start, end, initial_end = trajectory.span(data)
        label = trajectory.axis_label(data, "time").replace("time", "Time shown", 1)
        self.end.param.update(start=start, end=end, step=(end - start) / 100, value=initial_end, label=label)
        self._source, self._series.objects = None, []

    def _draw(self, data: xr.Dataset, dark: bool) -> None:
        part = trajectory.truncate(data, self.end.value)
        is_3d = self.kind.value == "phase" and not self._library.failed
        self._head.object = heading("Trajectory", trajectory.caption(data))
        self._legend.object = trajectory.legend(data)
        self._scene.visible, self._series.visible = is_3d, not is_3d
        if is_3d:
            self._phase.object = trajectory.phase(part, self._key, self._eye, dark=dark)
            pane = self._phase if self._library.loaded else self._library
            if pane not in self._scene.objects:
                self._scene.objects = [pane]  # the figure only once filled: an empty one shows the axes of a plane
        elif self._source is None:
            self._source = ColumnDataSource(trajectory.series_columns(part))
            self._series.objects = [figure_pane(plot) for plot in trajectory.series(self._source, data)]
        else:
            self._source.data = trajectory.series_columns(part)
