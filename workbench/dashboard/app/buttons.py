"""Buttons of every page, in one place."""

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui


class ServerOwned:
    """A widget whose looks the server alone decides; what a browser says of them is answered with how they are.

    A browser that is slow to draw says a look again when another has come meanwhile, and keeps the old one (Panel 1.9:
    `useState` writes back what was drawn): Start stayed disabled after a run of some milliseconds. Two changes 8 ms
    apart, in a browser at an eighth of its speed, were measured to end so in 18 of 160 tries.
    """

    LOOKS = frozenset({"disabled", "label", "icon"})

    def _process_property_change(self, props: dict[str, Any]) -> dict[str, Any]:
        if repeated := self.LOOKS & props.keys():
            self.param.trigger(*repeated)
        return super()._process_property_change({name: props[name] for name in props if name not in repeated})


class Button(ServerOwned, pmui.Button):
    """A button."""


class Download(ServerOwned, pmui.FileDownload):
    """A button that gives a file."""


def button(
    label: str, icon: str | None, act: Callable[[], Any], answer: Callable[[], Any] = lambda: None, **params: Any
) -> Button:
    """A small button: a press calls `act`, then `answer`, on the event loop. params: of the Button."""
    shape = {"icon_size": "1.35em", "size": "small", "margin": 0, "variant": "outlined", "color": "primary"}
    made = Button(label=label, icon=icon, **{**shape, **params})

    async def pressed(_: Any) -> None:
        act()
        answer()

    made.on_click(pressed)
    return made
