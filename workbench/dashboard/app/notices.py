"""Notices above a page."""

import traceback
from collections.abc import Callable, Sequence
from html import escape

from workbench.dashboard.app.buttons import button
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import html_pane
from workbench.dashboard.forms.page_state import Notice


class Notices:
    """List of notices with a button that calls `dismiss`."""

    def __init__(self, dismiss: Callable[[], None]) -> None:
        self._html = html_pane("")
        self._button = button("Dismiss", None, dismiss, variant="text", width=90)
        self.view = Row(self._html, self._button, visible=False, **WIDE)

    def update(self, notices: Sequence[Notice], *, dismissible: bool) -> None:
        """Show notices. dismissible: whether the button can remove any."""
        self.view.visible = bool(notices)
        self._button.visible = dismissible
        self._html.object = "".join(map(_html, notices))


def error_notice(text: str, error: Exception) -> Notice:
    """Error notice with the message of an exception; the traceback is collapsed."""
    message = str(error) or type(error).__name__
    return Notice("error", f"{text}: {message}", "".join(traceback.format_exception(error)))


def _html(notice: Notice) -> str:
    details = (
        f"<details><summary>Details</summary><pre>{escape(notice.details)}</pre></details>" if notice.details else ""
    )
    return f'<div class="notice {notice.severity}" role="alert">{escape(notice.text)}{details}</div>'
