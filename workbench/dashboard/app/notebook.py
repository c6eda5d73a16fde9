"""The heart of the Train page in a cell of a notebook:

    import workbench
    workbench.explore("lorenz", noise=0.5)

It is the page itself, without its shell.
"""

from typing import Any

import panel as pn
import panel_material_ui as pmui  # noqa: F401  (before any widget is built, as in the dashboard)

from workbench import experiments
from workbench.dashboard.app import theme
from workbench.dashboard.app.shell import PERIOD
from workbench.dashboard.app.visibility import Visibility
from workbench.dashboard.forms import settings
from workbench.dashboard.train.page import TrainPage


class _Cell:
    """What a page knows of its shell, where there is no other page: the theme is light."""

    dark = False
    icons = False  # their font would come from another machine
    has_library = True

    def soon(self) -> None:
        """The next look at the run comes soon enough."""


def explore(experiment: str = "lorenz", **config: Any) -> pn.Row:
    """Controls and figures of an experiment, live: choose, press Start, and watch its equations being found.

    config: settings of the experiment's Config that differ from their defaults. Runs are those of the dashboard: they
    are kept in files, and go on when the cell is run again. It works without a network: Panel then asks in vain for
    style sheets of what is added later, which changes nothing that is seen.

    Raises ValueError for an unknown experiment, and pydantic.ValidationError naming each setting that is wrong.
    """
    module = experiments.get(experiment)
    query = settings.query(module.Config(**config), {"experiment": experiment})
    pn.extension("plotly", inline=True)
    page = TrainPage(query, _Cell())
    page.show()
    page.refresh()

    seen = Visibility(height=0)

    def tick() -> None:
        if seen.heard and page.stale():
            page.refresh()

    pn.state.add_periodic_callback(tick, PERIOD)
    side = pn.Column(page.side, seen, width=320)
    return pn.Row(side, page.main, styles=theme.MAIN, sizing_mode="stretch_width")
