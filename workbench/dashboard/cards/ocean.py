"""The cards of fields and forecasts: maps over the globe, and skill against lead time."""

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import card, choice, drawing, heading, text, watch
from workbench.experiments.report import Report
from workbench.plots.fields import maps, skill
from workbench.plots.scrolled import scrolled

BANDS = "latitude bands"


class MapCard:
    """One quantity of every place, as a map; or all places by their coefficients."""

    def __init__(self) -> None:
        self._maps = None
        self.quantity = choice("Quantity", [BANDS], BANDS, width=300)
        self._plot = Column(**WIDE)
        self.view = card(
            text(heading("Map", "What the equation of every place says. Grey: land.")),
            self._plot,
            controls=[self.quantity],
            **theme.share(3, 330),
        )
        watch(self._draw, self.quantity)

    def update(self, report: Report | None) -> None:
        """Show the maps of a Report; without any the card is not there."""
        found = report.globe if report else None
        self.view.visible = found is not None
        if found is None or found is self._maps:
            return
        first = self._maps is None
        self._maps = found
        names = maps.names(found)
        options = {**names, **({BANDS: BANDS} if {"damping", "amplitude"} <= set(found.data_vars) else {})}
        stays = not first and self.quantity.value in options.values()
        kept = self.quantity.value if stays else next(iter(options.values()))
        self.quantity.param.update(options=options, value=kept)
        self._draw()

    def _draw(self) -> None:
        if self._maps is None:
            return
        name = self.quantity.value
        plot = maps.bands(self._maps) if name == BANDS else maps.chart(self._maps, name)
        self._plot.objects = [drawing(plot)]


class SkillCard:
    """How good forecasts are, beside the simple ones."""

    def __init__(self) -> None:
        self._plot = Column(**WIDE)
        self._table = text("")
        caption = "Of forecasts that see nothing of what they foretell, beside the simple ones to beat."
        self.view = card(text(heading("Forecast skill", caption)), self._plot, self._table, **theme.share(2, 330))

    def update(self, report: Report | None) -> None:
        """Show the skill of a Report; without any the card is not there."""
        found = report.skill if report else None
        self.view.visible = found is not None
        if found is None:
            return
        self._plot.objects = [drawing(skill.curve(found))]
        self._table.object = scrolled(skill.table(found), "skill")
