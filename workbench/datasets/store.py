"""Where data lie, and how a file is replaced so that a kill at any moment leaves either the old one or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def data_folder() -> Path:
    """`$WORKBENCH_DATA`, or `data` in the current folder; not created here."""
    return Path(os.environ.get("WORKBENCH_DATA") or "data").absolute()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder to write to; on leaving it replaces `path` in one step, unless an error came.

    The folder is created. One writer per path.
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
    """Wait until the file (or the folder's list of names) is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
