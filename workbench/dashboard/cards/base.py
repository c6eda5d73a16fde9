"""Building blocks of cards: HTML panes, headings, figure panes, small controls."""

from collections.abc import Callable, Sequence
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.theme import WIDE

ROLLOVER = 4000
"""Maximum number of points in a streamed curve."""


def html_pane(html: str, **params: Any) -> pn.pane.HTML:
    """HTML in the style of the page."""
    return pn.pane.HTML(html, stylesheets=[theme.STYLE], **{**WIDE, **params})


def heading(title: str, caption: str) -> str:
    """HTML of a card's title and one-line caption."""
    return f'<h2>{title}</h2><div class="caption">{caption}</div>'


def card(head: pn.pane.HTML, *body: Any, controls: Sequence[Any] = (), **styles: str) -> Column:
    """Titled panel, hidden at first: heading on the left, controls on the right, body below."""
    head.styles = theme.flex(1, 190)
    top = Row(head, *controls, styles={**theme.LINE, "margin-bottom": "8px"}, **WIDE)
    return Column(top, *body, styles={**theme.CARD, **styles}, visible=False, **WIDE)


def select(label: str, options: Any, value: Any, width: int = 120) -> pmui.Select:
    """Small drop-down list for the head of a card."""
    return pmui.Select(label=label, options=options, value=value, size="small", width=width, margin=0)


def button_group(options: Any, value: Any, width: int) -> pmui.RadioButtonGroup:
    """Single-choice buttons for the head of a card."""
    return pmui.RadioButtonGroup(options=options, value=value, size="small", width=width, margin=0, label="")


def figure_pane(plot: Any, **params: Any) -> pn.pane.Bokeh:
    """Pane of a Bokeh figure that does not report changes in the browser to the server.

    By default the browser sends every fitted range, size and theme colour to the server. Each message waits for the
    document lock between two redraws; with a few figures they arrive faster than they are handled, and a click on Stop
    queues behind them (Bokeh issues 3408 and 3745).
    """
    for model in plot.references():
        model.syncable = False
    return pn.pane.Bokeh(plot, **{**WIDE, **params})


def watch(callback: Callable[[], None], *widgets: Any, name: str = "value") -> None:
    """Call `callback` when parameter `name` of a widget changes; as a coroutine, hence on the session's event loop."""

    async def changed(_: Any) -> None:
        callback()

    for widget in widgets:
        widget.param.watch(changed, name)
