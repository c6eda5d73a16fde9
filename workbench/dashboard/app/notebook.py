"""The Train page in a notebook cell, without the application shell:

import workbench
workbench.explore("lorenz", noise=0.5)
"""

from typing import Any

import panel as pn
import panel_material_ui as pmui  # noqa: F401  (import before any widget is created, as in the dashboard)

from workbench import experiments
from workbench.dashboard.app import theme
from workbench.dashboard.app.shell import PERIOD
from workbench.dashboard.app.visibility import Visibility
from workbench.dashboard.forms import settings
from workbench.dashboard.train.page import TrainPage


class _NotebookShell:
    """Stand-in for `shell.Shell` with a single page and the light theme."""

    dark = False
    icons = False  # the icon font would be loaded from another server
    has_library = True

    def request_refresh(self) -> None:
        """Do nothing; the periodic refresh is sufficient."""


def explore(experiment: str = "lorenz", **config: Any) -> pn.Row:
    """Interactive controls and figures of an experiment; press Start to train.

    config: settings of the experiment's Config that differ from their defaults. Runs are shared with the dashboard:
    they are stored in files and continue when the cell is executed again. Works offline: Panel then fails to load
    style sheets of components added later, which has no visible effect.

    Raises ValueError for an unknown experiment, and pydantic.ValidationError naming each invalid setting.
    """
    module = experiments.get(experiment)
    query = settings.query(module.Config(**config), {"experiment": experiment})
    pn.extension("plotly", inline=True)
    page = TrainPage(query, _NotebookShell())
    page.show()
    page.refresh()

    visibility = Visibility(height=0)

    def tick() -> None:
        if visibility.acknowledged and page.stale():
            page.refresh()

    pn.state.add_periodic_callback(tick, PERIOD)
    side = pn.Column(page.side, visibility, width=320)
    return pn.Row(side, page.main, styles=theme.MAIN, sizing_mode="stretch_width")
