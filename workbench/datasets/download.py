"""Files that are fetched on request: where they come from, and how nothing half-written is ever left behind."""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch

from workbench.datasets.store import data_folder

logger = logging.getLogger(__name__)

RETRIES = 3
TIMEOUT = 30  # s without a byte
ABANDONED = 600  # s after which what was received in part belongs to nobody: its process was killed

Progress = Callable[[int, int], None]
"""Called with the bytes received and the bytes expected (0: not known)."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch: its name on disk, its address, its SHA-256 ("": the publisher replaces the file as data come in,
    so that none is known), and what it is, for a person.
    """

    name: str
    url: str
    sha256: str
    what: str


_PSL = "https://downloads.psl.noaa.gov/Datasets"
SOURCES = {
    "oisst": RemoteFile(
        "sst.wkmean.1990-present.nc",
        f"{_PSL}/noaa.oisst.v2/sst.wkmean.1990-present.nc",
        "",
        "NOAA OISST v2 weekly means (about 450 MB)",
    ),
    "oisst_mask": RemoteFile(
        "lsmask.nc", f"{_PSL}/noaa.oisst.v2/lsmask.nc", "", "the land-sea mask of NOAA OISST v2 (134 kB)"
    ),
    "ersst": RemoteFile(
        "sst.mnmean.nc", f"{_PSL}/noaa.ersst.v5/sst.mnmean.nc", "", "NOAA ERSST v5 monthly means (about 130 MB)"
    ),
    "nino": RemoteFile(
        "wksst9120.for",
        "https://www.cpc.ncep.noaa.gov/data/indices/wksst9120.for",
        "",
        "NOAA CPC weekly SST of the Nino regions (148 kB)",
    ),
}


class DownloadError(OSError):
    """A file could not be fetched; says why, and how to place it by hand."""


def fetch(
    source: RemoteFile, *, folder: Path | None = None, progress: Progress | None = None, pause: float = 1.0
) -> Path:
    """The path of the file, fetched if it is not in `folder` (the data folder) yet.

    A failed attempt is repeated RETRIES times, `pause`, 2 `pause`, ... seconds apart. What was received counts only if
    all of it came (length and, where known, SHA-256); until then it lies under a temporary name and is removed.
    Raises DownloadError saying what failed and where to put the file by hand; the same for a file that lies there with
    another SHA-256.
    """
    target = (folder or data_folder() / "sst") / source.name
    if target.exists():
        _require_hash(target, source)
        return target
    fault = ""
    for attempt in range(RETRIES + 1):
        if attempt:
            logger.warning("%s: %s; trying again", source.name, fault)
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _attempt(source, target, progress)
        # requests' errors are OSErrors; pooch says a wrong checksum by ValueError
        except (OSError, ValueError) as error:
            fault = _words(error)
    raise DownloadError(
        f"{source.what} could not be fetched from {source.url}: {fault}. Without a network, download it elsewhere and "
        f"put it at {target}"
    )


def _attempt(source: RemoteFile, target: Path, progress: Progress | None) -> Path:
    """One download under a temporary name, moved into place when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.*.part"):
        if time.time() - left.stat().st_mtime > ABANDONED:
            left.unlink(missing_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _Complete(progress)(source.url, part)
        _require_hash(part, source)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


class _Complete:
    """A pooch downloader that refuses a body shorter than announced; it reports progress as it goes."""

    def __init__(self, progress: Progress | None) -> None:
        self._bar = _Bar(progress)

    def __call__(self, url: str, path: Path) -> None:
        pooch.HTTPDownloader(progressbar=self._bar, timeout=TIMEOUT)(url, str(path), None, check_only=False)
        received = path.stat().st_size
        if self._bar.total and received != self._bar.total:
            raise OSError(f"the connection ended after {received:,} of {self._bar.total:,} bytes")
        if not received:
            raise OSError("the answer was empty")


class _Bar:
    """What pooch asks of a progress bar, as calls of a function."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.total = 0
        self._received = 0

    def update(self, received: int) -> None:
        self._received += received
        # pooch ends with reset() and update(total)
        self._received = min(self._received, self.total or self._received)
        if self._progress is not None:
            self._progress(self._received, self.total)

    def reset(self) -> None:
        self._received = 0

    def close(self) -> None:
        pass


def _require_hash(path: Path, source: RemoteFile) -> None:
    if not source.sha256:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != source.sha256:
        raise DownloadError(
            f"{path}: its SHA-256 is {digest.hexdigest()}, expected {source.sha256}: the file is damaged or another one"
        )


def _words(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) < 300 else text[:300] + " ..."
