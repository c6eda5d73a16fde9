"""Cards of sea surface temperature: maps over the globe, forecast skill against lead time."""

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import card, figure_pane, heading, html_pane, select, watch
from workbench.experiments.report import Report
from workbench.plots.fields import maps, skill
from workbench.plots.scrolled import scrolled

BANDS = "latitude bands"


class MapCard:
    """Map of one quantity, or of the latitude bands that follow from the coefficients."""

    def __init__(self) -> None:
        self._maps = None
        self.quantity = select("Quantity", [BANDS], BANDS, width=300)
        self._plot = Column(**WIDE)
        self.view = card(
            html_pane(heading("Map", "Quantities of the equation at every location. Grey: land.")),
            self._plot,
            controls=[self.quantity],
            **theme.flex(3, 330),
        )
        watch(self._draw, self.quantity)

    def update(self, report: Report | None) -> None:
        """Show the maps of a Report; hidden without maps."""
        globe = report.globe if report else None
        self.view.visible = globe is not None
        if globe is None or globe is self._maps:
            return
        is_first = self._maps is None
        self._maps = globe
        names = maps.names(globe)
        options = {**names, **({BANDS: BANDS} if {"damping", "amplitude"} <= set(globe.data_vars) else {})}
        is_available = not is_first and self.quantity.value in options.values()
        value = self.quantity.value if is_available else next(iter(options.values()))
        self.quantity.param.update(options=options, value=value)
        self._draw()

    def _draw(self) -> None:
        if self._maps is None:
            return
        name = self.quantity.value
        plot = maps.bands(self._maps) if name == BANDS else maps.chart(self._maps, name)
        self._plot.objects = [figure_pane(plot)]


class SkillCard:
    """Forecast skill of the model and of the baselines."""

    def __init__(self) -> None:
        self._plot = Column(**WIDE)
        self._table = html_pane("")
        caption = "Skill of out-of-sample forecasts against baselines."
        self.view = card(html_pane(heading("Forecast skill", caption)), self._plot, self._table, **theme.flex(2, 330))

    def update(self, report: Report | None) -> None:
        """Show the skill of a Report; hidden without skill."""
        dataset = report.skill if report else None
        self.view.visible = dataset is not None
        if dataset is None:
            return
        self._plot.objects = [figure_pane(skill.curve(dataset))]
        self._table.object = scrolled(skill.table(dataset), "skill")
