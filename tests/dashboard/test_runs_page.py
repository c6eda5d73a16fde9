"""The state of the Runs page, driven without a browser: what it lists, compares, goes on with, exports and deletes."""

import asyncio
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import panel as pn
import pytest
from nbclient import NotebookClient

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
    """Three runs of different noise: finished, finished, paused after two steps."""
    made = [new_job(noise=noise) for noise in (0.0, 0.5, 1.0)]
    for job in made[:2]:
        job.start()
        assert job.wait(PATIENCE)
    for _ in range(2):
        made[2].step_once()
        assert made[2].wait(PATIENCE)
    return made


def test_an_empty_folder_is_an_empty_table(state):
    page = state()
    assert (page.visible(), page.selected(), page.interrupted()) == ([], [], [])
    assert not any(page.enabled().values())


def test_runs_of_this_server_and_of_others_are_listed_with_their_numbers(state, three, fakes):
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


def test_a_running_run_is_live_in_the_table(state, new_job):
    job = new_job(mode="slow", steps=500)
    page = state()
    before = page.revision
    job.step_once()
    assert job.wait(PATIENCE)
    page.look()
    assert page.revision > before
    assert page.rows[job.id].steps == 1
    again = page.revision
    page.look()
    assert page.revision == again, "nothing has changed"


def test_broken_files_are_listed_as_such_and_harm_nothing(state, three, fakes):
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
def test_the_filter_looks_at_names_modes_and_settings(state, three, text, count):
    page = state()
    page.enter("search", text)
    assert len(page.visible()) == count


def test_the_table_is_ordered_by_any_column_and_the_address_holds_it(state, three):
    page = state("?sort=best")
    assert page.notices == []
    best = [row.best for row in page.visible()]
    assert best == sorted(best)
    page.enter("sort", "-best")
    assert [row.best for row in page.visible()] == best[::-1]
    assert "sort=-best" in page.query()
    wrong = state("?sort=colour&shape=round")
    assert [notice.severity for notice in wrong.notices] == ["warning", "warning"]
    assert "shape=round" in wrong.notices[0].text
    assert "colour" in wrong.notices[1].text


def test_ticked_runs_are_in_the_address_and_missing_ones_are_named(state, three):
    page = state()
    page.select([three[1].id, three[0].id])
    again = state(page.query())
    assert [row.id for row in again.selected()] == [three[1].id, three[0].id]
    missing = state(f"?select={three[0].id},../../etc/passwd,gone")
    assert [row.id for row in missing.selected()] == [three[0].id]
    assert "../../etc/passwd, gone" in missing.notices[0].text


def test_curves_lie_over_each_other_by_step_or_second(state, three):
    page = state()
    page.select([three[0].id, three[2].id])
    found = page.curves()
    assert [len(x) for _, x, _ in found] == [8, 2]
    assert found[0][2].tolist() == run_file.read_run(three[0].path).records.loss.values.tolist()
    assert set(page.metrics()) == {"loss", "rmse", "step"}
    page.enter("over", "seconds")
    page.enter("curve", "rmse")
    assert np.all(np.diff(page.curves()[0][1]) > 0)


def test_the_difference_holds_what_differs_and_nothing_else(state, three):
    page = state()
    page.select([job.id for job in three])
    names, lines = page.difference()
    assert names == [job.id for job in three]
    assert lines == [("noise", ["0", "0.5", "1"])]
    page.select([three[0].id])
    assert {name for name, _ in page.difference()[1]} == {"experiment", *three[0].config.model_dump()}


def test_a_run_goes_on_and_a_finished_one_does_not(state, three):
    page = state()
    page.select([three[0].id])
    assert not page.enabled()["resume"]
    page.select([job.id for job in three])
    assert page.resume() == [three[2].id]
    assert three[2].wait(PATIENCE)
    assert three[2].state == "finished"


def test_deleting_takes_file_and_job_and_an_active_run_stays(state, three, new_job, registry):
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
    """The widgets of the page, with nothing around them."""
    monkeypatch.setattr("workbench.dashboard.runs.page.RunsState", state)
    return lambda: RunsPage("", SimpleNamespace(soon=lambda: None, go=lambda *_: None))


def test_ticking_further_runs_leaves_their_tags(runs_page, three, fakes):
    page, (first, second) = runs_page(), [job.id for job in three[:2]]

    def tick(*names):
        page.table.selected = list(names)
        page.refresh()

    tick(first)
    page._tags.value = "good, old"
    tick(second)
    page._tags.value = "good"
    tick(first, second)
    assert page._tags.value == "good"  # what both have
    tick(first)
    assert page._tags.value == "good, old"
    assert run_file.read_tags(fakes / "runs") == {first: ["good", "old"], second: ["good"]}
    tick(first, second)
    page._tags.value = "better"
    page.refresh()
    assert run_file.read_tags(fakes / "runs") == {first: ["old", "better"], second: ["better"]}
    page._tags.value = ""
    page.refresh()
    assert run_file.read_tags(fakes / "runs") == {first: ["old"]}


def test_what_a_filter_hides_is_not_acted_upon(state, three):
    page = state()
    page.select([job.id for job in three])
    page.enter("search", "noise=0.5")
    assert [row.id for row in page.selected()] == [three[1].id]
    page.delete()
    page.enter("search", "")
    assert [row.id for row in page.selected()] == [three[0].id, three[2].id]


def test_a_deletion_can_be_thought_better_of(runs_page, three):
    page = runs_page()
    page.table.selected = [three[0].id]
    page.refresh()
    page._ask_delete()
    page.refresh()
    assert page.confirm.visible
    assert page.keep.visible
    page._keep()
    page.refresh()
    assert not page.confirm.visible
    page._delete()
    assert len(page.state.rows) == 3


def test_what_is_entered_outlives_a_drawing_in_the_same_moment(runs_page, three, in_loop):
    async def enter_and_draw():
        page = runs_page()
        page.refresh()
        page.table.selected = [three[0].id]
        page.status.value = "paused"
        for _ in range(3):  # the first before anything that was only scheduled
            page.refresh()
            await asyncio.sleep(0.05)
        return page

    page = in_loop(enter_and_draw())
    assert [row.id for row in page.state.selected()] == page.table.selected == [three[0].id]
    assert page.state.shown()["status"] == page.status.value == "paused"


def test_tags_are_kept_beside_the_runs(state, three, fakes):
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


# exports, of a real experiment, since what is exported must run on its own


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the damped sine, and where it lies."""
    experiment = experiments.get("sine")
    path = tmp_path_factory.mktemp("real") / "sine-1.nc"
    for _ in Training(experiment, experiment.Config(seed=4), path=path):
        pass
    return path


def test_an_exported_script_gives_the_same_losses_to_the_last_digit(real, tmp_path):
    file = tmp_path / "again.py"
    file.write_bytes(exports.script(real))
    done = subprocess.run([sys.executable, file], capture_output=True, text=True, timeout=PATIENCE, check=True)
    history = [line.split() for line in done.stdout.splitlines() if line[:1].isdigit()]
    kept = run_file.read_run(real).records
    assert [(int(step), float(loss)) for step, loss in history] == list(
        zip(kept.step.values.tolist(), kept.loss.values.tolist(), strict=True)
    )


def test_an_exported_notebook_gives_the_same_losses_to_the_last_digit(real, tmp_path):
    notebook = nbformat.reads(exports.notebook(real).decode(), as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=PATIENCE, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [out["text"] for cell in notebook.cells for out in cell.get("outputs", []) if out["output_type"] == "stream"]
    losses = [float(line.split()[1]) for line in "".join(said).splitlines() if line[:1].isdigit()]
    assert losses == run_file.read_run(real).records.loss.values.tolist()


def test_the_script_of_a_stopped_run_stops_there(new_job, monkeypatch):
    job = new_job()
    for _ in range(3):
        job.step_once()
        assert job.wait(PATIENCE)
    text = exports.script(job.path).decode()
    assert "record.step == 3" in text
    compile(text, "again.py", "exec")


class Addresses(HTMLParser):
    """What the tags of a page fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_report_needs_nothing_from_elsewhere(real):
    pn.extension("plotly")  # as the dashboard has
    text = exports.page(real).decode()
    reader = Addresses()
    reader.feed(text)
    assert reader.found == []
    assert "@import" not in text.partition("<script")[0]
    assert text.startswith("<!DOCTYPE html>")
    for part in ("Learning curve", "Trajectory", "Settings", "Made with", "seed"):
        assert part in text
    assert len(text) < 3e6, "a page of this size opens at once"


def test_the_report_escapes_what_a_run_file_holds(new_job):
    job = new_job()
    job.step_once()
    assert job.wait(PATIENCE)
    run_file.mark(job.path, "failed", "<script>alert(1)</script>")
    assert "<script>alert(1)" not in exports.page(job.path).decode()


def test_an_export_names_the_run_and_netcdf_is_the_file(state, three):
    page = state()
    page.select([three[0].id])
    assert page.enabled()["export"]
    name, content = page.export("NetCDF")
    assert name == f"{three[0].id}.nc"
    assert content == three[0].path.read_bytes()
    for kind, (suffix, _) in exports.KINDS.items():
        name, content = page.export(kind)
        assert name.endswith(suffix)
        assert len(content) > 100
    json.loads(page.export("Notebook")[1])


def test_a_file_that_is_no_run_cannot_be_exported(tmp_path):
    broken = tmp_path / "broken.nc"
    broken.write_bytes(b"nothing")
    for kind, (_, make) in exports.KINDS.items():
        with pytest.raises(ValueError, match=r"broken\.nc"):
            make(broken)
        assert kind
