"""The Studies page: state, map of results, and a study in a browser."""

import re
import time
from contextlib import contextmanager

import distributed
import numpy as np
import pytest

from tests.waiting import wait_until
from workbench.plots.studies import heatmap
from workbench.studies import Study, results
from workbench.studies.study import studies_folder

QUERY = "experiment=decay&axes=rate%3D0.5%2C0.7&seeds=2&settings="


@pytest.fixture(scope="module")
def cluster():
    """Workers in this process, which start at once."""
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as workers,
        distributed.Client(workers, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def state(fakes, cluster, monkeypatch):
    """`state(search)`: a session with the workers of the test and the fake experiments."""
    from workbench.dashboard.studies import state as studies_state

    @contextmanager
    def connect(*address, **options):
        yield cluster

    monkeypatch.setattr(studies_state, "connected", connect)
    monkeypatch.setattr(studies_state, "STUDY_RUNS", {})
    return studies_state.StudiesState


def wait_for_end(study_run):
    wait_until(lambda: not study_run.running, "the end of the study")
    return study_run


def test_a_study_belongs_to_the_server_and_is_shared_by_sessions(state):
    one = state(QUERY)
    assert one.notices == []
    one.start()
    other = state(one.query())
    assert other.study_run is one.study_run
    table = wait_for_end(one.study_run).results()
    assert one.study_run.error == ""
    assert table.status.values.tolist() == [["finished"] * 2] * 2
    assert one.names() == [one.study_run.study.name]
    assert (studies_folder() / one.study_run.study.name / "study.nc").exists()


def test_a_cancelled_study_keeps_completed_cells_and_can_be_resumed(state):
    session = state(QUERY.replace("settings=", "settings=steps%3D20%3Bdelay%3D0.05"))
    session.start()
    while not session.study_run.version > 1:
        time.sleep(0.05)
    session.cancel()
    table = wait_for_end(session.study_run).results()
    assert session.study_run.error == ""
    assert 0 < (table.status == "missing").sum() < 4
    session.resume()
    assert (wait_for_end(session.study_run).results().status == "finished").all()


def test_invalid_settings_are_reported_and_start_nothing(state):
    for search, message in (
        ("axes=rate", "NAME=VALUE"),
        ("experiment=decay&axes=rate%3D-1&settings=", "ate=-1, seed=0: rate Input"),
        ("experiment=decay&axes=colour%3Dred&settings=", "xis colour"),
    ):
        session = state(search)
        assert session.config is None
        assert message in " ".join([*session.errors.values(), *(notice.text for notice in session.notices)])
        session.start()
        assert session.study_run is None
    missing = state(f"{QUERY}&study=nowhere")
    assert "no study nowhere" in missing.notices[-1].text
    assert missing.study_run is None


def test_table_and_map_show_every_cell(fakes, tmp_path):
    study = Study(tmp_path / "s", "decay", {"rate": (0.5, 0.7), "delay": (1, 2, 3)}, range(2))
    study.save()
    found = results(study)
    found["rmse"] = found.seconds.copy(data=np.arange(12.0).reshape(2, 3, 2))
    found.status[0, 0, 0], found.status[1, 2, 1], found.message[1, 2, 1] = "finished", "failed", "no <memory>"
    marks = heatmap.grid(found)
    assert [marks.count(f"<td class='{word}'") for word in ("finished", "failed", "missing")] == [1, 1, 10]
    assert "failed: no &lt;memory&gt;" in marks
    plot = heatmap.heat_map(found, "rmse", dark=False)
    squares = plot.renderers[0].data_source.data
    place = [(x, y) for x, y in zip(squares["x"], squares["y"], strict=True)].index(("3", "0.7"))
    assert squares["value"][place] == np.median([10, 11])
    assert len(squares["value"]) == 6
    assert heatmap.metrics(found)[0] == "rmse"
    alone = heatmap.heat_map(found.isel(rate=0, delay=[0]).drop_vars("rate"), "rmse", dark=True)
    assert len(alone.renderers[0].data_source.data["value"]) == 1


@pytest.mark.exhaustive
@pytest.mark.browser
def test_a_study_completes_its_cells_in_a_browser(visit):
    from tests.dashboard.browser.browsing import button, expect, expect_painted

    page = visit("page=studies&experiment=linear&axes=points%3D20%2C40&seeds=2&settings=")
    button(page, "Run").click()
    expect(page.get_by_text("4 of 4 cells, complete")).to_be_visible()
    expect(page.locator("td.finished")).to_have_count(4)
    expect_painted(page, 1)
    expect(page).to_have_url(re.compile("show=&study=linear-"))  # the map shows the default metric
    page.reload()
    expect(page.get_by_text("4 of 4 cells, complete")).to_be_visible()
