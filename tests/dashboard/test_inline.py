"""The Train page in a cell, without a browser."""

import asyncio
import time
from types import SimpleNamespace

import numpy as np
import panel as pn
import pydantic
import pytest

import workbench
from tests.waiting import PATIENCE
from workbench.dashboard.app import notebook
from workbench.dashboard.train.page import TrainPage
from workbench.jobs.buffer import Cursor


@pytest.fixture
def ticks(monkeypatch, tmp_path):
    """What is called again and again while the cell lives."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    called = []
    monkeypatch.setattr(pn.state, "add_periodic_callback", lambda function, period: called.append(function))
    return called


def test_explore_follows_a_run(ticks, monkeypatch):
    pages = []
    monkeypatch.setattr(notebook, "TrainPage", lambda *given: pages.append(TrainPage(*given)) or pages[-1])
    view = workbench.explore("linear", points=50)
    (page,), (tick,) = pages, ticks
    assert page.main in list(view)
    assert page.bar.start.icon is None
    tick()
    assert page.stale()  # nothing is drawn before a browser shows it
    (seen,) = view.select(notebook.Seen)
    seen.seen += 1
    page.state.start()
    while page.state.job.state != "finished":
        tick()
        time.sleep(0.05)
    while page.stale():  # a tick draws one kind of result
        tick()
    assert page.bar.pause.disabled
    assert len(page.state.records()[0]) == 0  # all of them are drawn


def test_what_is_entered_outlives_a_drawing_in_the_same_moment(fakes, in_loop):
    async def enter_and_draw():
        page = TrainPage("", SimpleNamespace(soon=lambda: None, dark=False, icons=True, has_library=False))
        page.refresh()
        page.form._choice.value = "decay"
        for _ in range(3):  # the first before anything that was only scheduled
            page.refresh()
            await asyncio.sleep(0.05)
        page.form._controls._controls["steps"].widget.value = "9"
        for _ in range(3):
            page.form.update()
            await asyncio.sleep(0.05)
        return page

    page = in_loop(enter_and_draw())
    assert page.form._choice.value == "decay"
    assert page.form._controls._controls["steps"].widget.value == "9"
    assert (page.state.experiment.name, page.state.config.steps) == ("decay", 9)


def test_settings_are_checked():
    with pytest.raises(pydantic.ValidationError, match="points"):
        workbench.explore("linear", points=-1)
    with pytest.raises(ValueError, match="there is no experiment 'x'"):
        workbench.explore("x")


def test_the_name_is_the_function():
    assert workbench.explore is notebook.explore


def drawn(page):
    """Let the page draw until nothing is left."""
    page.show()
    while page.stale():
        page.refresh()


def curve(page):
    return list(page.loss._source.data["step"]) if page.loss._source is not None else []


def test_a_run_is_drawn_from_its_own_first_step_on(fakes):
    page = TrainPage(
        "experiment=rossler", SimpleNamespace(soon=lambda: None, dark=False, icons=True, has_library=False)
    )
    state = page.state
    for name in ("rossler", "rossler", "decay", "rossler"):
        state.choose(name)
        state.start()
        page.refresh()
        page.refresh()
        drawn(page)  # before the first step, as far as it goes
        assert state.job.wait(PATIENCE)
        drawn(page)
        steps = [record.step for record in state.job.read(Cursor())[0]]
        assert curve(page) == steps
        assert np.isfinite(page.loss._source.data["smooth"]).all()
        if state.job.report.coefficients is not None:
            assert list(page.coefficients._source.data["step"]) == steps
            assert len(page.coefficients._source.data) == 1 + state.job.report.coefficients.estimate.size


def test_a_run_without_a_step_shows_no_curve_of_the_one_before(fakes):
    page = TrainPage(
        "experiment=rossler", SimpleNamespace(soon=lambda: None, dark=False, icons=True, has_library=False)
    )
    page.state.start()
    assert page.state.job.wait(PATIENCE)
    drawn(page)
    assert curve(page)
    page.state._new()  # a run that waits
    drawn(page)
    assert curve(page) == []
    page.state.job.start()
    assert page.state.job.wait(PATIENCE)
    drawn(page)
    assert curve(page) == [record.step for record in page.state.job.read(Cursor())[0]]
