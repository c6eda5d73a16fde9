"""The Train page and its notebook version, without a browser."""

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
from workbench.dashboard.app.visibility import Visibility
from workbench.dashboard.train.page import TrainPage
from workbench.jobs.buffer import Cursor


def new_page(search=""):
    shell = SimpleNamespace(request_refresh=lambda: None, dark=False, icons=True, has_library=False)
    return TrainPage(search, shell)


@pytest.fixture
def callbacks(monkeypatch, tmp_path):
    """Periodic callbacks of the cell."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    functions = []
    monkeypatch.setattr(pn.state, "add_periodic_callback", lambda function, period: functions.append(function))
    return functions


def test_explore_displays_a_run(callbacks, monkeypatch):
    pages = []
    monkeypatch.setattr(notebook, "TrainPage", lambda *args: pages.append(TrainPage(*args)) or pages[-1])
    view = workbench.explore("linear", points=50)
    (page,), (tick,) = pages, callbacks
    assert page.main in list(view)
    assert page.bar.start.icon is None
    tick()
    assert page.stale()  # not refreshed before a browser displays it
    (visibility,) = view.select(Visibility)
    visibility.reports += 1
    page.state.start()
    while page.state.job.state != "finished":
        tick()
        time.sleep(0.05)
    while page.stale():  # a tick draws one kind of figure
        tick()
    assert page.bar.pause.disabled
    assert len(page.state.records()[0]) == 0  # all are drawn


def test_entered_values_survive_a_concurrent_refresh(fakes, in_loop):
    async def enter_and_draw():
        page = new_page()
        page.refresh()
        page.form._choice.value = "decay"
        for _ in range(3):  # the first before scheduled tasks
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
    with pytest.raises(ValueError, match="unknown experiment 'x'"):
        workbench.explore("x")


def test_explore_is_exported():
    assert workbench.explore is notebook.explore


def draw(page):
    """Draw all changes."""
    page.show()
    while page.stale():
        page.refresh()


def curve_steps(page):
    return list(page.loss._source.data["step"]) if page.loss._source is not None else []


def test_curves_start_at_the_first_step_of_each_run(fakes):
    page = new_page("experiment=rossler")
    state = page.state
    for name in ("rossler", "rossler", "decay", "rossler"):
        state.select_experiment(name)
        state.start()
        page.refresh()
        page.refresh()
        draw(page)  # before the first step
        assert state.job.wait(PATIENCE)
        draw(page)
        steps = [record.step for record in state.job.read(Cursor())[0]]
        assert curve_steps(page) == steps
        assert np.isfinite(page.loss._source.data["smooth"]).all()
        if state.job.report.coefficients is not None:
            assert list(page.coefficients._source.data["step"]) == steps
            assert len(page.coefficients._source.data) == 1 + state.job.report.coefficients.estimate.size


def test_a_run_without_steps_clears_the_previous_curve(fakes):
    page = new_page("experiment=rossler")
    page.state.start()
    assert page.state.job.wait(PATIENCE)
    draw(page)
    assert curve_steps(page)
    page.state._create_job()  # paused before its first step
    draw(page)
    assert curve_steps(page) == []
    page.state.job.start()
    assert page.state.job.wait(PATIENCE)
    draw(page)
    assert curve_steps(page) == [record.step for record in page.state.job.read(Cursor())[0]]
