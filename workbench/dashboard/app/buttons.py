"""Buttons shared by all pages."""

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui


class ServerOwned:
    """Mixin for widgets whose appearance is set by the server only; values reported by a browser are overridden.

    A slow browser writes back the value it has just drawn, although the server has sent a newer one meanwhile, and
    keeps the old value (`useState` in Panel 1.9): Start stayed disabled after a run of some milliseconds. In a
    browser slowed down eightfold, this happened in 18 of 160 trials with two changes 8 ms apart.
    """

    PROPERTIES = frozenset({"disabled", "label", "icon"})

    def _process_property_change(self, props: dict[str, Any]) -> dict[str, Any]:
        if reported := self.PROPERTIES & props.keys():
            self.param.trigger(*reported)
        return super()._process_property_change({name: props[name] for name in props if name not in reported})


class Button(ServerOwned, pmui.Button):
    """Button whose appearance is set by the server."""


class Download(ServerOwned, pmui.FileDownload):
    """Download button whose appearance is set by the server."""


def button(
    label: str, icon: str | None, action: Callable[[], Any], after: Callable[[], Any] = lambda: None, **params: Any
) -> Button:
    """Small button; a click calls `action`, then `after`, on the event loop. params: passed to Button."""
    defaults = {"icon_size": "1.35em", "size": "small", "margin": 0, "variant": "outlined", "color": "primary"}
    widget = Button(label=label, icon=icon, **{**defaults, **params})

    async def on_click(_: Any) -> None:
        action()
        after()

    widget.on_click(on_click)
    return widget
