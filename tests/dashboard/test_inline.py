"""The Train page in a cell, without a browser."""

import time

import panel as pn
import pydantic
import pytest

import workbench
from workbench import inline
from workbench.dashboard.pages.train import Page


@pytest.fixture
def ticks(monkeypatch, tmp_path):
    """What is called again and again while the cell lives."""
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    called = []
    monkeypatch.setattr(pn.state, "add_periodic_callback", lambda function, period: called.append(function))
    return called


def test_explore_follows_a_run(ticks, monkeypatch):
    pages = []
    monkeypatch.setattr(inline, "Page", lambda *given: pages.append(Page(*given)) or pages[-1])
    view = workbench.explore("linear", points=50)
    (page,), (tick,) = pages, ticks
    assert page.main in list(view)
    assert page.bar.start.icon is None
    tick()
    assert page.stale()  # nothing is drawn before a browser shows it
    (seen,) = view.select(inline.Seen)
    seen.seen += 1
    page.state.start()
    while page.state.job.state != "finished":
        tick()
        time.sleep(0.05)
    while page.stale():  # a tick draws one kind of result
        tick()
    assert page.bar.pause.disabled
    assert len(page.state.records()[0]) == 0  # all of them are drawn


def test_settings_are_checked():
    with pytest.raises(pydantic.ValidationError, match="points"):
        workbench.explore("linear", points=-1)
    with pytest.raises(ValueError, match="there is no experiment 'x'"):
        workbench.explore("x")


def test_the_name_is_the_function():
    assert workbench.explore is inline.explore
