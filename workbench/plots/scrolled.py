"""Tables wider than their card."""

from html import escape


def scrolled(table: str, label: str) -> str:
    """A table that scrolls sideways where there is no room, by keyboard, too; `label` names it for screen readers."""
    return f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(label)}'>{table}</div>"
