"""Data folder and atomic replacement of files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_folder() -> Path:
    """`$WORKBENCH_DATA`, or `data` in the current folder; not created."""
    return Path(os.environ.get("WORKBENCH_DATA") or "data").absolute()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder that atomically replaces `path` on exit without an exception.

    A kill at any time leaves either the old or the new file. Creates the folder. One writer per path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        _sync(part)
        os.replace(part, path)
        _sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Flush a file, or the directory entries of a folder, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
