"""Columns and rows that come and go without the page being laid out again, and that fit a phone."""

from typing import Any

import panel as pn


class _ByStyle:
    """A layout whose `visible` is a style of its own.

    Bokeh lays out the whole page again for every model that is shown or hidden, one after the other: with the figures
    of the Train page 130 ms each on two cores, so that the first Report of a run took a second to show. A style is the
    browser's own affair, and figures learn from it when their size changes.
    """

    def __init__(self, *objects: Any, **params: Any) -> None:
        super().__init__(*objects, **params)
        self.param.watch(lambda _: self.param.trigger("styles"), "visible")

    def _process_param_change(self, params: dict[str, Any]) -> dict[str, Any]:
        params.pop("visible", None)
        if "styles" in params:
            own = params["styles"] or {}
            shown = own.get("display", "") if self.visible else "none"
            # Bokeh's 100 % would cut what is higher than the window
            params["styles"] = {"max-height": "none", **own, "display": shown}
        return super()._process_param_change(params)

    def _compute_sizing_mode(self, children: Any, props: dict[str, Any]) -> dict[str, Any]:
        """As wide as there is room: Panel would ask for the widths of all children in one line, but lines wrap."""
        found = super()._compute_sizing_mode(children, props)
        found.pop("min_width", None)
        return found


class Column(_ByStyle, pn.Column):
    """A Column."""


class Row(_ByStyle, pn.Row):
    """A Row."""
