"""Buttons of every page, in one place."""

from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui


def button(
    label: str, icon: str | None, act: Callable[[], Any], answer: Callable[[], Any] = lambda: None, **params: Any
) -> pmui.Button:
    """A small button: a press calls `act`, then `answer`, on the event loop. params: of the Button."""
    shape = {"icon_size": "1.35em", "size": "small", "margin": 0, "variant": "outlined", "color": "primary"}
    made = pmui.Button(label=label, icon=icon, **{**shape, **params})

    async def pressed(_: Any) -> None:
        act()
        answer()

    made.on_click(pressed)
    return made
