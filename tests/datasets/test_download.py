"""Downloads from a server on this machine: whole, interrupted, corrupted, tried again; nothing half-written stays."""

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
    """A loopback server whose next answers are scripted: "whole", "cut", "changed", "missing", "empty"."""

    def __init__(self) -> None:
        self.script, self.asked = [], 0
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked += 1
                kind = web.script.pop(0) if web.script else "whole"
                body = {"changed": BODY[::-1], "empty": b""}.get(kind, BODY)
                self.send_response(404 if kind == "missing" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 3] if kind == "cut" else body)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def source(self, sha256: str = DIGEST) -> RemoteFile:
        return RemoteFile("field.nc", f"http://127.0.0.1:{self.server.server_port}/field.nc", sha256, "a test file")


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_file_is_fetched_once_with_progress(web, tmp_path):
    seen = []
    path = download.fetch(web.source(), folder=tmp_path, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [part for part, _ in seen] == sorted(part for part, _ in seen)
    assert download.fetch(web.source(), folder=tmp_path) == path
    assert web.asked == 1
    assert [file.name for file in tmp_path.iterdir()] == ["field.nc"]


@pytest.mark.parametrize("fault", ["cut", "changed", "missing", "empty"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_failed_attempt_is_repeated(web, tmp_path, fault, times):
    web.script = [fault] * times
    path = download.fetch(web.source(), folder=tmp_path, pause=0.0)
    assert path.read_bytes() == BODY
    assert web.asked == times + 1
    assert [file.name for file in tmp_path.iterdir()] == ["field.nc"]


@pytest.mark.parametrize(
    "fault,words",
    [
        ("cut", "ended|incomplete|IncompleteRead|broken"),
        ("changed", "SHA-256"),
        ("missing", "404"),
        ("empty", "empty|SHA-256"),
    ],
)
def test_when_all_attempts_fail_it_is_said_and_nothing_stays(web, tmp_path, fault, words):
    web.script = [fault] * 9
    with pytest.raises(DownloadError, match=words) as caught:
        download.fetch(web.source(), folder=tmp_path, pause=0.0)
    assert web.asked == download.RETRIES + 1
    assert str(tmp_path / "field.nc") in str(caught.value), "how to place it by hand"
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_is_found_without_a_checksum(web, tmp_path):
    web.script = ["cut"]
    assert download.fetch(web.source(sha256=""), folder=tmp_path, pause=0.0).read_bytes() == BODY
    assert web.asked == 2


def test_no_network_is_said_in_words(web, tmp_path):
    source = web.source()
    web.server.shutdown()
    web.server.server_close()
    with pytest.raises(DownloadError, match="Without a network, download it elsewhere and put it at"):
        download.fetch(source, folder=tmp_path, pause=0.0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_another_receives_is_not(web, tmp_path):
    left, received = tmp_path / ".field.nc.1.part", tmp_path / ".field.nc.2.part"
    for part in (left, received):
        part.write_bytes(BODY[:1000])
    long_ago = time.time() - 2 * download.ABANDONED
    os.utime(left, (long_ago, long_ago))
    path = download.fetch(web.source(), folder=tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, received])


def test_an_experiment_fetches_its_files_and_says_how_far_it_is(web, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setitem(download.SOURCES, "ersst", web.source())
    told = []
    config = sst.Config(source="ersst", download=True)
    sst.prepare(config, lambda **said: told.append(said))
    assert (tmp_path / "sst" / "field.nc").read_bytes() == BODY
    assert told[-1] == {"words": f"fetching field.nc, {len(BODY) / 1e6:.1f} MB", "share": 1.0}
    sst.prepare(config, lambda **said: pytest.fail("it is there already"))


def test_the_records_to_choose_from_are_settings_that_fit():
    configs = [sst.Config(**differs) for differs in sst.RECORDS.values()]
    assert [config.source for config in configs if sst.at_once(config)] == ["elnino", "synthetic"]
    assert all(config.download for config in configs if not sst.at_once(config))
    assert set(download.SOURCES) == {which for files in sst.FILES.values() for which in files}


def test_a_damaged_file_in_place_is_named_and_left_alone(web, tmp_path):
    (tmp_path / "field.nc").write_bytes(b"other")
    with pytest.raises(DownloadError, match="damaged or another one"):
        download.fetch(web.source(), folder=tmp_path)
    assert (tmp_path / "field.nc").read_bytes() == b"other"
    assert web.asked == 0


def test_every_source_says_where_it_is_from():
    for source in download.SOURCES.values():
        assert source.url.startswith("https://")
        assert source.what.startswith(("NOAA", "the land-sea mask of NOAA"))
