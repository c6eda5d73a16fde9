"""File upload. Only bytes and a name are received; the name never reaches the file system."""

from collections.abc import Callable, Sequence
from typing import Any

import panel_material_ui as pmui

from workbench.datasets.tabular.read import ENDINGS, LIMIT, Source

CHUNK = 2**20
"""Bytes per message, well below the server's limit."""
MAX_FILES = 20


class Upload(pmui.FileInput):
    """Upload button and drop area. on_files: called with the uploaded files; on_error: with an error message.

    The size limit is enforced on the server: bytes are counted on arrival and discarded beyond LIMIT.
    """

    def __init__(self, on_files: Callable[[Sequence[Source]], None], on_error: Callable[[str], None]) -> None:
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
        self._on_files, self._on_error = on_files, on_error
        self._count, self._names = 0, set()

    def _process_chunk(self, message: dict[str, Any]) -> None:
        self._count += len(message["data"])
        # at most one name beyond the limit
        self._names = {*self._names, message["name"]} if len(self._names) <= MAX_FILES else self._names
        if self._exceeds_limit():
            self._file_buffer.clear()
            self._buffer.clear()
        else:
            super()._process_chunk(message)

    def _exceeds_limit(self) -> bool:
        return self._count > LIMIT or len(self._names) > MAX_FILES

    def _flush_buffer(self) -> None:
        """Pass on the completed files; keep no copy here or in the browser."""
        exceeds_limit, megabytes = self._exceeds_limit(), self._count / 2**20
        self._count, self._names = 0, set()
        sources = [Source(str(file["filename"]), file["value"]) for file in self._buffer]
        self._buffer.clear()
        self._file_buffer.clear()
        if exceeds_limit:
            limit = f"expected at most {LIMIT // 2**20} MB in at most {MAX_FILES} files"
            advice = "Keep every second row, or remove columns."
            self._on_error(f"The upload has {megabytes:.0f} MB or too many files: {limit}. {advice}")
        elif sources:
            self._on_files(sources)
        else:
            self._on_error(f"Nothing was uploaded: expected 1 to {MAX_FILES} non-empty files.")
