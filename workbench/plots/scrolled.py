"""Horizontally scrolling tables."""

from html import escape


def scrolled(table: str, label: str) -> str:
    """The table in a container that scrolls horizontally, also by keyboard; `label`: name for screen readers."""
    return f"<div class='scroll' tabindex='0' role='region' aria-label='{escape(label)}'>{table}</div>"
