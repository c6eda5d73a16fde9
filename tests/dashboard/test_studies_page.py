"""The Studies page: the state without a browser, the map of what was found, and a study in a real browser."""

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
    """Workers inside this process, which are there at once."""
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as made,
        distributed.Client(made, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def state(fakes, cluster, monkeypatch):
    """`state(search)`: a session whose workers are those of the test; the page knows the fake experiments."""
    from workbench.dashboard.studies import state as studies_state

    @contextmanager
    def here(*address, **options):
        yield cluster

    monkeypatch.setattr(studies_state, "connected", here)
    monkeypatch.setattr(studies_state, "WORKS", {})
    return studies_state.StudiesState


def ended(work):
    wait_until(lambda: not work.running, "the end of the study")
    return work


def test_a_study_runs_on_the_server_and_another_session_watches_it(state):
    one = state(QUERY)
    assert one.notices == []
    one.start()
    other = state(one.query())
    assert other.work is one.work
    found = ended(one.work).results()
    assert one.work.error == ""
    assert found.status.values.tolist() == [["finished"] * 2] * 2
    assert one.there() == [one.work.study.name]
    assert (studies_folder() / one.work.study.name / "study.nc").exists()


def test_a_cancelled_study_keeps_what_is_complete_and_goes_on(state):
    session = state(QUERY.replace("settings=", "settings=steps%3D20%3Bdelay%3D0.05"))
    session.start()
    while not session.work.version > 1:
        time.sleep(0.05)
    session.cancel()
    found = ended(session.work).results()
    assert session.work.error == ""
    assert 0 < (found.status == "missing").sum() < 4
    session.resume()
    assert (ended(session.work).results().status == "finished").all()


def test_what_is_wrong_is_said_and_starts_nothing(state):
    for search, words in (
        ("axes=rate", "NAME=VALUE"),
        ("experiment=decay&axes=rate%3D-1&settings=", "ate=-1, seed=0: rate Input"),
        ("experiment=decay&axes=colour%3Dred&settings=", "xis colour"),
    ):
        session = state(search)
        assert session.config is None
        assert words in " ".join([*session.errors.values(), *(notice.text for notice in session.notices)])
        session.start()
        assert session.work is None
    lost = state(f"{QUERY}&study=nowhere")
    assert "there is no study nowhere" in lost.notices[-1].text
    assert lost.work is None


def test_marks_and_map_show_every_cell(fakes, tmp_path):
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
def test_a_study_fills_its_grid_in_a_browser(visit):
    from tests.dashboard.browser.browsing import button, expect, expect_painted

    page = visit("page=studies&experiment=linear&axes=points%3D20%2C40&seeds=2&settings=")
    button(page, "Run").click()
    expect(page.get_by_text("4 of 4 cells, complete")).to_be_visible()
    expect(page.locator("td.finished")).to_have_count(4)
    expect_painted(page, 1)
    expect(page).to_have_url(re.compile("show=&study=linear-"))  # nobody has chosen what the map shows
    page.reload()
    expect(page.get_by_text("4 of 4 cells, complete")).to_be_visible()
