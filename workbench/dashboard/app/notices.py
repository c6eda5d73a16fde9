"""The line of notices above a page, and the button that takes them away."""

from collections.abc import Callable

from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import text


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
