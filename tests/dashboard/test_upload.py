"""Uploads on the Train page, without a browser."""

import numpy as np
import pytest

from tests.waiting import PATIENCE, wait_until
from workbench import experiments
from workbench.dashboard.forms import upload
from workbench.dashboard.forms.form import Form
from workbench.dashboard.forms.upload import Upload
from workbench.dashboard.train.state import TrainState
from workbench.datasets.tabular import Source

TIMES = 0.1 * np.arange(80)
GOOD = "\n".join(["t,x", *(f"{t:.1f},{np.exp(-0.3 * t):.5f}" for t in TIMES)]).encode()
OTHER = "\n".join(["t,y", *(f"{t:.1f},{np.exp(-0.2 * t):.5f}" for t in TIMES)]).encode()


@pytest.fixture
def state(registry, monkeypatch):
    monkeypatch.setitem(experiments.TABLE, "table", "workbench.experiments.table")
    return TrainState("?experiment=table", registry)


def test_an_upload_is_selected_and_previewed(state):
    assert state.config.record == "example"
    state.upload([Source("mine.csv", GOOD)])
    assert state.config.record.startswith("mine-")
    assert state.notices == []
    preview = state.preview
    wait_until(lambda: preview.data is not None and "mine.csv" in preview.data.attrs["title"], "the preview")
    assert state.report().trajectory["variable"].values.tolist() == ["x"]
    restored = TrainState(state.query(), state.jobs)
    assert restored.config.record == state.config.record


def test_an_invalid_upload_is_a_notice_and_keeps_the_selected_data(state):
    state.upload([Source("mine.csv", GOOD)])
    before, revision = state.config, state.revision
    state.upload([Source("bad.csv", b"t,x\n1,2\n")])
    assert [(n.severity, n.text) for n in state.notices] == [
        ("error", "bad.csv: one row of values (line 2): expected at least 20 rows")
    ]
    assert state.config == before
    assert state.revision > revision
    state.upload([Source("bad.csv", b"")])
    assert len(state.notices) == 1
    state.upload([Source("other.csv", OTHER)])
    assert state.notices == []
    assert state.config.record.startswith("other-")


def test_an_unexpected_reader_error_is_a_notice(state, monkeypatch):
    monkeypatch.setattr(state.experiment, "keep", lambda sources: 1 / 0)
    state.upload([Source("odd.csv", GOOD)])
    assert "ZeroDivisionError" in state.notices[0].text


def test_an_upload_clears_the_previous_run(state):
    state.upload([Source("mine.csv", GOOD)])
    state.enter("n_bootstrap", "20")
    state.start()
    wait_until(lambda: state.job.snapshot().state == "finished" and state.job.wait(PATIENCE), "the end of the run")
    assert [equation.left_text for equation in state.report().equations] == ["x'"]
    state.upload([Source("other.csv", OTHER)])
    assert state.job is None
    assert state.config.n_bootstrap == 20


@pytest.mark.parametrize("record", ["../../etc/passwd", "/etc/passwd", "..%2F..%2Fsecret"])
def test_a_url_cannot_open_a_file(registry, monkeypatch, record):
    monkeypatch.setitem(experiments.TABLE, "table", "workbench.experiments.table")
    state = TrainState(f"?experiment=table&record={record}", registry)
    assert state.config is None
    assert "record" in state.errors
    assert any("in the URL is invalid" in notice.text for notice in state.notices)


# upload button


def send(button: Upload, name: str, content: bytes, size: int) -> None:
    """Send the messages of the browser for one file."""
    parts = [content[i : i + size] for i in range(0, len(content), size)]
    for number, part in enumerate(parts, start=1):
        message = {"name": name, "chunk": number, "total_chunks": len(parts), "mime_type": "text/csv", "data": part}
        button._handle_msg({"status": "upload_event", **message})


@pytest.fixture
def button(monkeypatch):
    uploads, errors = [], []
    widget = Upload(uploads.append, errors.append)
    monkeypatch.setattr(widget, "_send_msg", lambda message: None)
    return widget, uploads, errors


def test_chunks_are_assembled_and_not_kept(button):
    widget, uploads, errors = button
    send(widget, "a.csv", GOOD, 100)
    send(widget, "b.csv", OTHER, 33)
    widget._handle_msg({"status": "finished"})
    assert [(source.name, source.content) for source in uploads[0]] == [("a.csv", GOOD), ("b.csv", OTHER)]
    assert errors == []
    assert widget.value is None
    widget._handle_msg({"status": "finished"})
    assert len(uploads) == 1
    assert "Nothing was uploaded" in errors[0]


def test_uploads_beyond_the_limit_are_discarded_on_arrival(button, monkeypatch):
    widget, uploads, errors = button
    monkeypatch.setattr(upload, "LIMIT", 2**20)
    send(widget, "big.csv", bytes(2**20 + 5000), 2**16)
    assert sum(len(part) for file in widget._file_buffer.values() for part in file["chunks"].values()) <= 2**16
    widget._handle_msg({"status": "finished"})
    assert uploads == []
    assert "expected at most 1 MB" in errors[0]
    for number in range(30):
        send(widget, f"{number}.csv", GOOD, 10_000)
    widget._handle_msg({"status": "finished"})
    assert uploads == []
    assert "in at most 20 files" in errors[1]
    send(widget, "a.csv", GOOD, 1000)
    widget._handle_msg({"status": "finished"})
    assert uploads[-1][0].content == GOOD


def test_only_experiments_that_accept_files_have_the_button(state):
    form = Form(state)
    form.update()
    assert [type(part) for part in form._files] == [Upload]
    state.select_experiment("rossler")
    form.update()
    assert len(form._files) == 0
