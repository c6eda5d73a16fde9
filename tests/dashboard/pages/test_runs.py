"""State and widgets of the Runs page, without a browser."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.waiting import PATIENCE
from workbench import experiments
from workbench.dashboard.runs import exports
from workbench.dashboard.runs.page import RunsPage
from workbench.dashboard.runs.state import RunsState
from workbench.jobs.run_index import RunIndex
from workbench.training import Training, run_file


@pytest.fixture
def state(registry):
    return lambda search="": RunsState(search, registry, RunIndex(registry))


@pytest.fixture
def three(new_job):
    """Three runs with different noise: finished, finished, paused after two steps."""
    jobs = [new_job(noise=noise) for noise in (0.0, 0.5, 1.0)]
    for job in jobs[:2]:
        job.start()
        assert job.wait(PATIENCE)
    for _ in range(2):
        jobs[2].step_once()
        assert jobs[2].wait(PATIENCE)
    return jobs


def test_an_empty_folder_gives_an_empty_table(state):
    page = state()
    assert (page.visible(), page.selected(), page.interrupted()) == ([], [], [])
    assert not any(page.enabled().values())


def test_runs_of_the_server_and_of_the_command_line_are_listed(state, three, fakes):
    experiment = experiments.get("decay")
    other = fakes / "runs" / "of-the-command-line.nc"
    for _ in Training(experiment, experiment.Config(), path=other):
        pass
    rows = {row.id: row for row in state().visible()}
    assert set(rows) == {other.stem, *(job.id for job in three)}
    assert rows[other.stem].title == "Decay"
    assert (rows[other.stem].state, rows[other.stem].held) == ("finished", False)
    paused = rows[three[2].id]
    assert (paused.state, paused.steps, paused.total) == ("paused", 2, 8)
    records = run_file.read_run(three[0].path).records.loss.values
    assert (rows[three[0].id].best, rows[three[0].id].last) == (records.min(), records[-1])


def test_a_running_run_updates_the_table(state, new_job):
    job = new_job(mode="slow", steps=500)
    page = state()
    before = page.revision
    job.step_once()
    assert job.wait(PATIENCE)
    page.reload()
    assert page.revision > before
    assert page.rows[job.id].steps == 1
    revision = page.revision
    page.reload()
    assert page.revision == revision, "unchanged"


def test_unreadable_files_are_listed_and_can_be_deleted(state, three, fakes):
    (fakes / "runs" / "broken.nc").write_bytes(b"no run at all")
    (fakes / "runs" / "empty.nc").write_bytes(b"")
    page = state("?select=broken")
    broken = page.rows["broken"]
    assert broken.state == "unreadable"
    assert "not a readable run file" in broken.message
    assert not page.enabled()["export"]
    assert page.enabled()["delete"]
    assert page.curves() == []
    page.delete()
    assert not broken.path.exists()


@pytest.mark.parametrize(
    "text,count", [("noise=0.5", 1), ("rössler", 3), ("quick rössler", 3), ("decay", 0), ("NOISE=1.0", 1)]
)
def test_the_filter_searches_names_modes_and_settings(state, three, text, count):
    page = state()
    page.enter("search", text)
    assert len(page.visible()) == count


def test_the_table_is_sorted_by_any_column_and_the_url_contains_it(state, three):
    page = state("?sort=best")
    assert page.notices == []
    best = [row.best for row in page.visible()]
    assert best == sorted(best)
    page.enter("sort", "-best")
    assert [row.best for row in page.visible()] == best[::-1]
    assert "sort=-best" in page.query()
    invalid = state("?sort=colour&shape=round")
    assert [notice.severity for notice in invalid.notices] == ["warning", "warning"]
    assert "shape=round" in invalid.notices[0].text
    assert "colour" in invalid.notices[1].text


def test_the_url_contains_the_selected_runs_and_missing_runs_are_a_notice(state, three):
    page = state()
    page.select([three[1].id, three[0].id])
    shared = state(page.query())
    assert [row.id for row in shared.selected()] == [three[1].id, three[0].id]
    missing = state(f"?select={three[0].id},../../etc/passwd,gone")
    assert [row.id for row in missing.selected()] == [three[0].id]
    assert "../../etc/passwd, gone" in missing.notices[0].text


def test_curves_are_drawn_over_steps_or_seconds(state, three):
    page = state()
    page.select([three[0].id, three[2].id])
    curves = page.curves()
    assert [len(x) for _, x, _ in curves] == [8, 2]
    assert curves[0][2].tolist() == run_file.read_run(three[0].path).records.loss.values.tolist()
    assert set(page.metrics()) == {"loss", "rmse", "step"}
    page.enter("over", "seconds")
    page.enter("curve", "rmse")
    assert np.all(np.diff(page.curves()[0][1]) > 0)


def test_the_difference_has_only_settings_that_differ(state, three):
    page = state()
    page.select([job.id for job in three])
    names, rows = page.difference()
    assert names == [job.id for job in three]
    assert rows == [("noise", ["0", "0.5", "1"])]
    page.select([three[0].id])
    assert {name for name, _ in page.difference()[1]} == {"experiment", *three[0].config.model_dump()}


def test_only_unfinished_runs_are_resumed(state, three):
    page = state()
    page.select([three[0].id])
    assert not page.enabled()["resume"]
    page.select([job.id for job in three])
    assert page.resume() == [three[2].id]
    assert three[2].wait(PATIENCE)
    assert three[2].state == "finished"


def test_deleting_removes_file_and_job_of_inactive_runs(state, three, new_job, registry):
    active = new_job(mode="slow", steps=1000)
    active.start()
    page = state()
    page.select([three[0].id, active.id])
    assert not page.enabled()["delete"]
    page.delete()
    assert not three[0].path.exists()
    assert registry.get(three[0].id) is None
    assert registry.get(active.id) is active
    assert "active" in page.notices[-1].text
    assert [row.id for row in page.selected()] == [active.id]


@pytest.fixture
def runs_page(state, monkeypatch):
    """Widgets of the page, without the shell."""
    monkeypatch.setattr("workbench.dashboard.runs.page.RunsState", state)
    return lambda: RunsPage("", SimpleNamespace(request_refresh=lambda: None, open_page=lambda *_: None))


def test_tags_of_several_runs_are_edited_together(runs_page, three, fakes):
    page, (first, second) = runs_page(), [job.id for job in three[:2]]

    def select(*names):
        page.table.selected = list(names)
        page.refresh()

    select(first)
    page.actions.tags.value = "good, old"
    select(second)
    page.actions.tags.value = "good"
    select(first, second)
    assert page.actions.tags.value == "good"  # common tags
    select(first)
    assert page.actions.tags.value == "good, old"
    assert run_file.read_tags(fakes / "runs") == {first: ["good", "old"], second: ["good"]}
    select(first, second)
    page.actions.tags.value = "better"
    page.refresh()
    assert run_file.read_tags(fakes / "runs") == {first: ["old", "better"], second: ["better"]}
    page.actions.tags.value = ""
    page.refresh()
    assert run_file.read_tags(fakes / "runs") == {first: ["old"]}


def test_runs_hidden_by_the_filter_are_not_selected(state, three):
    page = state()
    page.select([job.id for job in three])
    page.enter("search", "noise=0.5")
    assert [row.id for row in page.selected()] == [three[1].id]
    page.delete()
    page.enter("search", "")
    assert [row.id for row in page.selected()] == [three[0].id, three[2].id]


def test_deletion_requires_confirmation(runs_page, three):
    page = runs_page()
    page.table.selected = [three[0].id]
    page.refresh()
    page.actions.ask_to_delete()
    page.refresh()
    assert page.actions.confirm.visible
    assert page.actions.keep.visible
    page.actions.cancel_delete()
    page.refresh()
    assert not page.actions.confirm.visible
    page.actions.delete_confirmed()
    assert len(page.state.rows) == 3


def test_entered_values_survive_a_concurrent_refresh(runs_page, three, in_loop):
    async def enter_and_draw():
        page = runs_page()
        page.refresh()
        page.table.selected = [three[0].id]
        page.status.value = "paused"
        for _ in range(3):  # the first before scheduled tasks
            page.refresh()
            await asyncio.sleep(0.05)
        return page

    page = in_loop(enter_and_draw())
    assert [row.id for row in page.state.selected()] == page.table.selected == [three[0].id]
    assert page.state.values()["status"] == page.status.value == "paused"


def test_tags_are_saved_in_the_folder_of_runs(state, three, fakes):
    page = state()
    page.select([three[0].id, three[1].id])
    page.tag(" good , for the talk,good")
    assert state().rows[three[1].id].tags == ("good", "for the talk")
    page.select([three[0].id])
    page.tag("")
    assert set(run_file.read_tags(fakes / "runs")) == {three[1].id}
    page.enter("search", "talk")
    assert [row.id for row in page.visible()] == [three[1].id]
    (fakes / "runs" / "tags.json").write_text("[broken")
    assert state().rows[three[1].id].tags == ()


def test_export_file_names_and_contents(state, three):
    page = state()
    page.select([three[0].id])
    assert page.enabled()["export"]
    name, content = page.export("NetCDF")
    assert name == f"{three[0].id}.nc"
    assert content == three[0].path.read_bytes()
    for format_name, (suffix, _) in exports.FORMATS.items():
        name, content = page.export(format_name)
        assert name.endswith(suffix)
        assert len(content) > 100
    json.loads(page.export("Notebook")[1])
