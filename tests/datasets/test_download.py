"""Downloads from a local server: complete, interrupted, corrupt and repeated; no partial files remain."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workbench.datasets import download
from workbench.datasets.download import DownloadError, RemoteFile
from workbench.experiments import sst

BODY = bytes(range(256)) * 2000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Web:
    """A loopback server with scripted responses: "whole", "cut", "changed", "missing", "empty"."""

    def __init__(self) -> None:
        self.script, self.requests = [], 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.requests += 1
                kind = web.script.pop(0) if web.script else "whole"
                body = {"changed": BODY[::-1], "empty": b""}.get(kind, BODY)
                self.send_response(404 if kind == "missing" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 3] if kind == "cut" else body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def source(self, sha256: str = DIGEST) -> RemoteFile:
        return RemoteFile("field.nc", f"http://127.0.0.1:{self.server.server_port}/field.nc", sha256, "a test file")


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.server.shutdown()
    server.server.server_close()


def test_a_file_is_downloaded_once_with_progress(web, tmp_path):
    reports = []
    path = download.fetch(web.source(), folder=tmp_path, progress=lambda *now: reports.append(now))
    assert path.read_bytes() == BODY
    assert reports[-1] == (len(BODY), len(BODY))
    assert [part for part, _ in reports] == sorted(part for part, _ in reports)
    assert download.fetch(web.source(), folder=tmp_path) == path
    assert web.requests == 1
    assert [file.name for file in tmp_path.iterdir()] == ["field.nc"]


@pytest.mark.parametrize("fault", ["cut", "changed", "missing", "empty"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_failed_attempt_is_repeated(web, tmp_path, fault, times):
    web.script = [fault] * times
    path = download.fetch(web.source(), folder=tmp_path, pause=0.0)
    assert path.read_bytes() == BODY
    assert web.requests == times + 1
    assert [file.name for file in tmp_path.iterdir()] == ["field.nc"]


@pytest.mark.parametrize(
    "fault,message",
    [
        ("cut", "ended|incomplete|IncompleteRead|broken"),
        ("changed", "SHA-256"),
        ("missing", "404"),
        ("empty", "empty|SHA-256"),
    ],
)
def test_failed_downloads_raise_and_leave_no_files(web, tmp_path, fault, message):
    web.script = [fault] * 9
    with pytest.raises(DownloadError, match=message) as error:
        download.fetch(web.source(), folder=tmp_path, pause=0.0)
    assert web.requests == download.RETRIES + 1
    assert str(tmp_path / "field.nc") in str(error.value), "path of a manual download"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_is_detected_without_a_checksum(web, tmp_path):
    web.script = ["cut"]
    assert download.fetch(web.source(sha256=""), folder=tmp_path, pause=0.0).read_bytes() == BODY
    assert web.requests == 2


def test_without_a_network_the_error_explains_a_manual_download(web, tmp_path):
    source = web.source()
    web.server.shutdown()
    web.server.server_close()
    with pytest.raises(DownloadError, match="Without a network, download it elsewhere and save it as"):
        download.fetch(source, folder=tmp_path, pause=0.0)
    assert list(tmp_path.iterdir()) == []


def test_only_abandoned_partial_files_are_removed(web, tmp_path):
    abandoned, active = tmp_path / ".field.nc.1.part", tmp_path / ".field.nc.2.part"
    for part in (abandoned, active):
        part.write_bytes(BODY[:1000])
    past = time.time() - 2 * download.ABANDONED
    os.utime(abandoned, (past, past))
    path = download.fetch(web.source(), folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, active])


def test_an_experiment_downloads_its_files_with_progress(web, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setitem(download.SOURCES, "ersst", web.source())
    reports = []
    config = sst.Config(source="ersst", download=True)
    sst.prepare(config, lambda **report: reports.append(report))
    assert (tmp_path / "sst" / "field.nc").read_bytes() == BODY
    assert reports[-1] == {"words": f"downloading field.nc, {len(BODY) / 1e6:.1f} MB", "share": 1.0}
    sst.prepare(config, lambda **report: pytest.fail("the file exists already"))


def test_records_of_the_experiment_have_valid_settings():
    configs = [sst.Config(**settings) for settings in sst.RECORDS.values()]
    assert [config.source for config in configs if sst.is_immediate(config)] == ["elnino", "synthetic"]
    assert all(config.download for config in configs if not sst.is_immediate(config))
    assert set(download.SOURCES) == {name for files in sst.FILES.values() for name in files}


def test_a_corrupt_existing_file_raises_and_is_kept(web, tmp_path):
    (tmp_path / "field.nc").write_bytes(b"other")
    with pytest.raises(DownloadError, match="corrupt or another one"):
        download.fetch(web.source(), folder=tmp_path)
    assert (tmp_path / "field.nc").read_bytes() == b"other"
    assert web.requests == 0


def test_every_source_has_a_url_and_a_description():
    for source in download.SOURCES.values():
        assert source.url.startswith("https://")
        assert source.description.startswith(("NOAA", "the land-sea mask of NOAA"))
