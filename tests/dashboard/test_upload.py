"""Files of a person on the Train page, driven without a browser."""

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


def test_an_upload_becomes_the_record_and_its_preview(state):
    assert state.config.record == "example"
    state.upload([Source("mine.csv", GOOD)])
    assert state.config.record.startswith("mine-")
    assert state.notices == []
    preview = state.preview
    wait_until(lambda: preview.data is not None and "mine.csv" in preview.data.attrs["title"], "the preview")
    assert state.report().trajectory["variable"].values.tolist() == ["x"]
    again = TrainState(state.query(), state.jobs)
    assert again.config.record == state.config.record


def test_a_bad_upload_is_a_notice_and_what_was_chosen_stays(state):
    state.upload([Source("mine.csv", GOOD)])
    before, revision = state.config, state.revision
    state.upload([Source("bad.csv", b"t,x\n1,2\n")])
    assert [(n.severity, n.text) for n in state.notices] == [
        ("error", "bad.csv: one row of values (line 2): expected at least 20, one for each time")
    ]
    assert state.config == before
    assert state.revision > revision
    state.upload([Source("bad.csv", b"")])
    assert len(state.notices) == 1
    state.upload([Source("other.csv", OTHER)])
    assert state.notices == []
    assert state.config.record.startswith("other-")


def test_an_upload_that_breaks_the_reader_is_a_notice_too(state, monkeypatch):
    monkeypatch.setattr(state.experiment, "keep", lambda sources: 1 / 0)
    state.upload([Source("odd.csv", GOOD)])
    assert "ZeroDivisionError" in state.notices[0].text


def test_an_upload_clears_an_old_run_and_a_run_keeps_its_record(state):
    state.upload([Source("mine.csv", GOOD)])
    state.enter("n_bootstrap", "20")
    state.start()
    wait_until(lambda: state.job.snapshot().state == "finished" and state.job.wait(PATIENCE), "the end of the run")
    assert [equation.left_text for equation in state.report().equations] == ["x'"]
    state.upload([Source("other.csv", OTHER)])
    assert state.job is None
    assert state.config.n_bootstrap == 20


@pytest.mark.parametrize("record", ["../../etc/passwd", "/etc/passwd", "..%2F..%2Fsecret"])
def test_an_address_opens_no_file(registry, monkeypatch, record):
    monkeypatch.setitem(experiments.TABLE, "table", "workbench.experiments.table")
    state = TrainState(f"?experiment=table&record={record}", registry)
    assert state.config is None
    assert "record" in state.errors
    assert any("cannot be used" in notice.text for notice in state.notices)


# the button


def send(button: Upload, name: str, content: bytes, size: int) -> None:
    """What the browser sends for one file."""
    parts = [content[i : i + size] for i in range(0, len(content), size)]
    for number, part in enumerate(parts, start=1):
        message = {"name": name, "chunk": number, "total_chunks": len(parts), "mime_type": "text/csv", "data": part}
        button._handle_msg({"status": "upload_event", **message})


@pytest.fixture
def button(monkeypatch):
    taken, refused = [], []
    made = Upload(taken.append, refused.append)
    monkeypatch.setattr(made, "_send_msg", lambda message: None)
    return made, taken, refused


def test_the_button_hands_over_what_comes_in_pieces_and_keeps_nothing(button):
    made, taken, refused = button
    send(made, "a.csv", GOOD, 100)
    send(made, "b.csv", OTHER, 33)
    made._handle_msg({"status": "finished"})
    assert [(source.name, source.content) for source in taken[0]] == [("a.csv", GOOD), ("b.csv", OTHER)]
    assert refused == []
    assert made.value is None
    made._handle_msg({"status": "finished"})
    assert len(taken) == 1
    assert "Nothing was uploaded" in refused[0]


def test_the_button_lets_go_of_what_is_too_much_while_it_comes(button, monkeypatch):
    made, taken, refused = button
    monkeypatch.setattr(upload, "LIMIT", 2**20)
    send(made, "big.csv", bytes(2**20 + 5000), 2**16)
    assert sum(len(part) for own in made._file_buffer.values() for part in own["chunks"].values()) <= 2**16
    made._handle_msg({"status": "finished"})
    assert taken == []
    assert "expected at most 1 MB" in refused[0]
    for number in range(30):
        send(made, f"{number}.csv", GOOD, 10_000)
    made._handle_msg({"status": "finished"})
    assert taken == []
    assert "in at most 20 files" in refused[1]
    send(made, "a.csv", GOOD, 1000)
    made._handle_msg({"status": "finished"})
    assert taken[-1][0].content == GOOD


def test_only_an_experiment_that_takes_files_has_the_button(state):
    form = Form(state)
    form.update()
    assert [type(part) for part in form._files] == [Upload]
    state.choose("rossler")
    form.update()
    assert len(form._files) == 0
