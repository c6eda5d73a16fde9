"""The button that takes files. What comes is bytes and a name: it is read where it is, and opens nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import panel_material_ui as pmui

from workbench.datasets.tables.reading import ENDINGS, LIMIT, Source

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
        self._count = 0

    def _process_chunk(self, message: dict[str, Any]) -> None:
        self._count += len(message["data"])
        files = len({*self._file_buffer, *(own["filename"] for own in self._buffer), message["name"]})
        if self._count > LIMIT or files > MOST_FILES:
            self._file_buffer.clear()
            self._buffer.clear()
            return
        super()._process_chunk(message)

    def _flush_buffer(self) -> None:
        """All files are there: hand them over, and keep neither them nor a copy in the browser."""
        count, self._count = self._count, 0
        sources = [Source(str(own["filename"]), own["value"]) for own in self._buffer]
        self._buffer.clear()
        self._file_buffer.clear()
        if sources:
            self._taken(sources)
        elif count > LIMIT:
            limit = f"expected at most {LIMIT // 2**20} MB, in at most {MOST_FILES} files"
            self._refused(
                f"The upload has {count / 2**20:.0f} MB: {limit}. Take every second row, or leave out columns."
            )
        else:
            self._refused(f"Nothing was uploaded: expected at most {MOST_FILES} files that are not empty.")
