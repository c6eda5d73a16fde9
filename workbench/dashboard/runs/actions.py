"""Buttons of the selected runs: open, resume, export, tag, delete."""

import io
from collections.abc import Callable
from typing import Any

import panel_material_ui as pmui

from workbench.dashboard.app import theme
from workbench.dashboard.app.buttons import Download, button
from workbench.dashboard.app.layouts import Row
from workbench.dashboard.app.notices import error_notice
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.runs import exports
from workbench.dashboard.runs.state import RunsState


class Actions:
    """Row of buttons; deleting requires confirmation.

    open_run: opens a run on the Train page. refresh: called after every click.
    """

    def __init__(self, state: RunsState, open_run: Callable[[str], None], refresh: Callable[[], None]) -> None:
        self.state = state
        self._open_run = open_run
        self._to_delete = []
        self.open = button("Open", "open_in_new", self._open, refresh, variant="contained")
        self.resume = button("Resume", "play_arrow", self._resume, refresh)
        self.downloads = {name: self._download(name) for name in exports.FORMATS}
        self.tags = pmui.TextInput(label="Tags", size="small", width=190, margin=0, placeholder="good, for the talk")
        self.tags.param.watch(self._on_tags, "value")
        self.delete = button("Delete", "delete", self.ask_to_delete, refresh, variant="text")
        self.confirm = button("Delete permanently", "delete", self.delete_confirmed, refresh, color="error")
        self.keep = button("Cancel", None, self.cancel_delete, refresh, variant="text")
        widgets = [self.open, self.resume, *self.downloads.values(), self.tags, self.delete, self.confirm, self.keep]
        self.view = Row(*widgets, styles={**theme.LINE, "margin-bottom": "10px", "align-items": "center"}, **WIDE)

    def _download(self, name: str) -> Download:
        def content() -> io.BytesIO:
            try:
                filename, data = self.state.export(name)
            except Exception as error:
                self.state.notify(error_notice(f"The {name.lower()} could not be created", error))
                raise
            widget.filename = filename
            return io.BytesIO(data)

        widget = Download(
            label=name,
            filename=f"run{exports.FORMATS[name][0]}",
            callback=content,
            size="small",
            margin=0,
            variant="outlined",
        )
        return widget

    def _open(self) -> None:
        self._open_run(self.state.selected()[0].id)

    def _resume(self) -> None:
        resumed = self.state.resume()
        if len(resumed) == 1:
            self._open_run(resumed[0])

    def ask_to_delete(self) -> None:
        """Ask for confirmation to delete the selected runs."""
        self._to_delete = [run.id for run in self.state.selected()]
        self.state.revision += 1

    def delete_confirmed(self) -> None:
        """Delete the selected runs, provided that the selection has not changed since the question."""
        if self._to_delete == [run.id for run in self.state.selected()]:
            self.state.delete()
        self.cancel_delete()

    def cancel_delete(self) -> None:
        """Withdraw the question."""
        self.reset()
        self.state.revision += 1

    def reset(self) -> None:
        """Withdraw the question without a refresh, when the selection has changed."""
        self._to_delete = []

    def _on_tags(self, event: Any) -> None:
        if event.new != ", ".join(self.state.tags()):  # changed by the user, not by `update`
            self.state.tag(event.new)

    def update(self) -> None:
        """Enable the applicable buttons and show the common tags."""
        enabled = self.state.enabled()
        self.view.visible = bool(self.state.rows)
        self.open.disabled, self.resume.disabled = not enabled["open"], not enabled["resume"]
        for download in self.downloads.values():
            download.disabled = not enabled["export"]
        self.tags.disabled = not enabled["tag"]
        self.tags.value = ", ".join(self.state.tags())
        is_asking = bool(self._to_delete)
        self.delete.disabled = not enabled["delete"] or is_asking
        self.confirm.visible = self.keep.visible = is_asking
        self.confirm.label = f"Delete {len(self._to_delete)} permanently"
