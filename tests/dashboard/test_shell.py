"""The shell of the app, without a browser."""

import pytest

from workbench.dashboard.app.shell import Shell


def broken(*_):
    raise RuntimeError("a wheel is missing")


def test_a_page_that_cannot_be_made_says_so_on_the_one_in_view(fakes, monkeypatch):
    monkeypatch.setattr("workbench.dashboard.data.page.DataPage", broken)
    shell = Shell()
    shell.go("data")
    shell.refresh()
    assert shell.nav.page == "train"
    (notice,) = shell._current().state.notices
    assert notice.severity == "error"
    assert notice.text == "The page Data could not be opened: a wheel is missing"
    shell.go("runs")
    shell.refresh()
    assert shell.nav.page == "runs"


def test_a_first_page_that_cannot_be_made_is_an_error_of_the_server(fakes, monkeypatch):
    monkeypatch.setattr("workbench.dashboard.data.page.DataPage", broken)
    with pytest.raises(RuntimeError, match="a wheel"):
        Shell("?page=data")
