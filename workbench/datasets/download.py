"""Download published files: sources, retries, checksums, atomic replacement."""

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
ABANDONED = 600  # s without a write after which a partial file counts as abandoned

Progress = Callable[[int, int], None]
"""Called with the bytes received and the bytes expected (0: unknown)."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file: local name, URL, SHA-256 ("": unknown, the publisher updates the file) and description."""

    name: str
    url: str
    sha256: str
    description: str


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
    """A download failed; the message gives the reason and the path for a manual download."""


def fetch(
    source: RemoteFile, *, folder: Path | None = None, progress: Progress | None = None, pause: float = 1.0
) -> Path:
    """The path of the file in `folder` (default: `sst` in the data folder), downloaded if it is not there.

    A failed attempt is repeated RETRIES times after `pause`, 2 `pause`, ... seconds. A download is complete if its
    length and, if known, its SHA-256 are right; until then it has a temporary name, and it is removed on failure.
    Raises DownloadError if all attempts fail, or if the existing file has another SHA-256.
    """
    target = (folder or data_folder() / "sst") / source.name
    if target.exists():
        _require_hash(target, source)
        return target
    problem = ""
    for attempt in range(RETRIES + 1):
        if attempt:
            logger.warning("%s: %s; retrying", source.name, problem)
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            return _attempt(source, target, progress)
        # errors of requests are OSErrors; pooch raises ValueError for a wrong checksum
        except (OSError, ValueError) as error:
            problem = _short(error)
    raise DownloadError(
        f"{source.description} could not be downloaded from {source.url}: {problem}. Without a network, download it "
        f"elsewhere and save it as {target}"
    )


def _attempt(source: RemoteFile, target: Path, progress: Progress | None) -> Path:
    """Download to a temporary name and rename the complete file; old partial files are removed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f".{target.name}.*.part"):
        if time.time() - old.stat().st_mtime > ABANDONED:
            old.unlink(missing_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        _Downloader(progress)(source.url, part)
        _require_hash(part, source)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return target


class _Downloader:
    """A pooch downloader that reports progress and raises OSError for an incomplete response."""

    def __init__(self, progress: Progress | None) -> None:
        self._bar = _Bar(progress)

    def __call__(self, url: str, path: Path) -> None:
        pooch.HTTPDownloader(progressbar=self._bar, timeout=TIMEOUT)(url, str(path), None, check_only=False)
        received = path.stat().st_size
        if self._bar.total and received != self._bar.total:
            raise OSError(f"the connection ended after {received:,} of {self._bar.total:,} bytes")
        if not received:
            raise OSError("the response was empty")


class _Bar:
    """Progress bar interface of pooch around a callback."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.total = 0
        self._received = 0

    def update(self, received: int) -> None:
        self._received += received
        # pooch finishes with reset() and update(total)
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
            f"{path}: the SHA-256 is {digest.hexdigest()}, expected {source.sha256}: the file is corrupt or another one"
        )


def _short(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) < 300 else text[:300] + " ..."
