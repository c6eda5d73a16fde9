"""The line of notices above a page, and the button that takes them away."""

from collections.abc import Callable
from typing import Any

import panel as pn
import panel_material_ui as pmui

from workbench.dashboard.cards import text
from workbench.dashboard.look import WIDE


class Notices:
    """Notices as HTML; `dismissed` is called when a person has read them."""

    def __init__(self, dismissed: Callable[[], None]) -> None:
        self._act = dismissed
        self._text = text("")
        self._button = pmui.Button(label="Dismiss", variant="text", size="small", margin=0, width=90)
        self._button.on_click(self._pressed)
        self.view = pn.Row(self._text, self._button, visible=False, **WIDE)

    async def _pressed(self, _: Any) -> None:
        self._act()

    def update(self, html: str, *, removable: bool) -> None:
        """Show this; nothing is shown for "". `removable`: whether the button would change anything."""
        self.view.visible = bool(html)
        self._button.visible = removable
        self._text.object = html
