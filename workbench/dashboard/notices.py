"""The line of notices above a page, and the button that takes them away."""

from collections.abc import Callable

from workbench.dashboard.buttons import button
from workbench.dashboard.cards import text
from workbench.dashboard.layouts import Row
from workbench.dashboard.look import WIDE


class Notices:
    """Notices as HTML; `dismissed` is called when a person has read them."""

    def __init__(self, dismissed: Callable[[], None]) -> None:
        self._text = text("")
        self._button = button("Dismiss", None, dismissed, variant="text", width=90)
        self.view = Row(self._text, self._button, visible=False, **WIDE)

    def update(self, html: str, *, removable: bool) -> None:
        """Show this; nothing is shown for "". `removable`: whether the button would change anything."""
        self.view.visible = bool(html)
        self._button.visible = removable
        self._text.object = html
