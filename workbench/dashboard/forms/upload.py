"""The button that takes files. What comes is bytes and a name: it is read where it is, and opens nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import panel_material_ui as pmui

from workbench.datasets.tabular.read import ENDINGS, LIMIT, Source

CHUNK = 2**20
"""Bytes of a message, well below what the server takes at once."""
MOST_FILES = 20


class Upload(pmui.FileInput):
    """A button and a place to drop files; `taken` gets what was uploaded, `refused` a sentence instead.

    The browser is not trusted with the limit: bytes are counted as they come, and beyond LIMIT nothing is kept.
    """

    def __init__(self, taken: Callable[[Sequence[Source]], None], refused: Callable[[str], None]) -> None:
        super().__init__(
            label="Upload a file",
            accept=",".join(ENDINGS),
            multiple=True,
            chunk_size=CHUNK,
            uploaded_label="Upload another file",
            variant="outlined",
            color="primary",
            size="small",
            margin=(6, 0),
            sizing_mode="stretch_width",
        )
        self._taken, self._refused = taken, refused
        self._count, self._names = 0, set()

    def _process_chunk(self, message: dict[str, Any]) -> None:
        self._count += len(message["data"])
        # not more names than are told apart from too many
        self._names = {*self._names, message["name"]} if len(self._names) <= MOST_FILES else self._names
        if self._too_much():
            self._file_buffer.clear()
            self._buffer.clear()
        else:
            super()._process_chunk(message)

    def _too_much(self) -> bool:
        return self._count > LIMIT or len(self._names) > MOST_FILES

    def _flush_buffer(self) -> None:
        """All files are there: hand them over, and keep neither them nor a copy in the browser."""
        too_much, megabytes = self._too_much(), self._count / 2**20
        self._count, self._names = 0, set()
        sources = [Source(str(own["filename"]), own["value"]) for own in self._buffer]
        self._buffer.clear()
        self._file_buffer.clear()
        if too_much:
            limit = f"expected at most {LIMIT // 2**20} MB in at most {MOST_FILES} files"
            advice = "Take every second row, or leave out columns."
            self._refused(f"The upload has {megabytes:.0f} MB or too many files: {limit}. {advice}")
        elif sources:
            self._taken(sources)
        else:
            self._refused(f"Nothing was uploaded: expected at most {MOST_FILES} files that are not empty.")
