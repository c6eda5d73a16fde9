"""Columns and rows whose visibility changes without a page layout, and that wrap on narrow screens."""

from typing import Any

import panel as pn


class _StyleVisibility:
    """Layout mixin that maps `visible` to the CSS property `display`.

    Bokeh lays out the whole page once for every model that is shown or hidden. With the figures of the Train page each
    layout takes 130 ms on two cores, so that the first Report of a run took a second to appear. A style is applied by
    the browser alone, and figures follow when their size changes.
    """

    def __init__(self, *objects: Any, **params: Any) -> None:
        super().__init__(*objects, **params)
        self.param.watch(lambda _: self.param.trigger("styles"), "visible")

    def _process_param_change(self, params: dict[str, Any]) -> dict[str, Any]:
        params.pop("visible", None)
        if "styles" in params:
            styles = params["styles"] or {}
            display = styles.get("display", "") if self.visible else "none"
            # Bokeh's default of 100 % would clip content taller than the window
            params["styles"] = {"max-height": "none", **styles, "display": display}
        return super()._process_param_change(params)

    def _compute_sizing_mode(self, children: Any, props: dict[str, Any]) -> dict[str, Any]:
        """Drop Panel's minimum width, the sum of the children's widths: here rows wrap."""
        sizing = super()._compute_sizing_mode(children, props)
        sizing.pop("min_width", None)
        return sizing


class Column(_StyleVisibility, pn.Column):
    """Column whose visibility is a style."""


class Row(_StyleVisibility, pn.Row):
    """Row whose visibility is a style."""
