"""Application shell, without a browser."""

import pytest

from workbench.dashboard.app.shell import Shell


def fail(*_):
    raise RuntimeError("a package is missing")


def test_a_page_that_cannot_be_created_is_a_notice_on_the_visible_page(fakes, monkeypatch):
    monkeypatch.setattr("workbench.dashboard.data.page.DataPage", fail)
    shell = Shell()
    shell.open_page("data")
    shell.refresh()
    assert shell.nav.page == "train"
    (notice,) = shell._current().state.notices
    assert notice.severity == "error"
    assert notice.text == "The Data page could not be opened: a package is missing"
    shell.open_page("runs")
    shell.refresh()
    assert shell.nav.page == "runs"


def test_a_first_page_that_cannot_be_created_raises(fakes, monkeypatch):
    monkeypatch.setattr("workbench.dashboard.data.page.DataPage", fail)
    with pytest.raises(RuntimeError, match="a package"):
        Shell("?page=data")
