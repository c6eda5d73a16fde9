"""State of the Train page, without a browser."""

import pytest

from tests.waiting import PATIENCE, wait_until
from workbench.dashboard.train.state import TrainState
from workbench.jobs.registry import Registry


@pytest.fixture
def session(registry):
    return lambda search="": TrainState(search, registry)


def wait_for_preview(state: TrainState) -> None:
    wait_until(lambda: state.preview.version > 0, "the preview")


# settings


def test_a_new_session_shows_the_first_experiment_and_its_data(session):
    state = session()
    assert state.experiment.name == "rossler"
    assert state.config == state.experiment.Config()
    assert state.notices == []
    wait_for_preview(state)
    assert set(state.report().trajectory.data_vars) == {"truth", "data"}
    assert state.report().equations == ()


def test_a_mode_changes_only_fields_that_were_not_entered(session):
    state = session()
    state.enter("window", "40")
    state.enter("mode", "slow")
    assert (state.values()["window"], state.values()["steps"]) == ("40", 400)
    state.enter("mode", "quick")
    assert (state.values()["window"], state.values()["steps"]) == ("40", 8)


def test_entering_the_default_counts_as_not_entered(session):
    state = session()
    state.enter("window", "40")
    state.enter("window", "50")
    state.enter("mode", "slow")
    assert state.config.window == 20


def test_only_the_fields_of_the_mode_are_shown(session):
    state = session()
    assert "delay" not in {field.name for field in state.fields()}
    state.enter("mode", "slow")
    assert "delay" in {field.name for field in state.fields()}


def test_an_invalid_value_is_kept_and_disables_start(session):
    state = session()
    state.enter("window", "700")
    assert state.config is None
    assert "longer than the record" in state.errors["window"]
    assert state.values()["window"] == "700"
    assert not state.enabled()["start"]
    assert not state.enabled()["step"]
    state.start()
    state.step()
    assert state.job is None
    assert state.query() is None
    state.enter("window", "60")
    assert state.config.window == 60
    assert state.enabled()["start"]


def test_another_experiment_keeps_shared_settings(session):
    state = session()
    state.enter("seed", "5")
    state.enter("noise", "0.5")
    state.select_experiment("decay")
    assert state.config == state.experiment.Config(seed=5)


def test_every_change_increases_the_revision(session):
    state = session()
    revisions = [state.revision]
    for change in (
        lambda: state.enter("noise", "1"),
        lambda: state.select_experiment("decay"),
        state.start,
        state.dismiss,
    ):
        change()
        revisions.append(state.revision)
    assert revisions == sorted(set(revisions))


def test_data_that_cannot_be_loaded_are_an_error(session, monkeypatch):
    state = session()
    wait_for_preview(state)

    def fail(config):
        raise OSError("the disk is gone")

    monkeypatch.setattr(state.experiment, "data", fail)
    state.enter("seed", "77")
    wait_until(lambda: "the disk is gone" in state.preview.error, "the error")


# runs


def test_enabled_buttons_depend_on_the_job_state(session):
    state = session("?mode=slow")
    assert [name for name, on in state.enabled().items() if on] == ["start", "step"]
    state.start()
    assert [name for name, on in state.enabled().items() if on] == ["pause", "stop"]
    state.toggle()
    assert state.job.wait(PATIENCE)
    assert [name for name, on in state.enabled().items() if on] == ["resume", "step", "stop", "reset"]
    state.stop()
    assert state.job.wait(PATIENCE)
    assert [name for name, on in state.enabled().items() if on] == ["start", "resume", "step", "reset"]
    state.reset()
    assert state.job is None
    assert [name for name, on in state.enabled().items() if on] == ["start", "step"]


def test_resume_during_a_single_step_continues_the_run(session):
    state = session("?mode=slow&steps=3&delay=0.3")
    state.step()
    assert state.job.stepping
    assert [name for name, on in state.enabled().items() if on] == ["resume", "stop"]
    state.toggle()
    assert state.job.wait(PATIENCE)
    assert state.job.state == "finished"


def test_step_without_a_run_executes_one_step_and_pauses(session):
    state = session("?mode=slow")
    state.step()
    assert state.job.wait(PATIENCE)
    assert (state.job.state, state.job.snapshot().step) == ("paused", 1)
    first = state.job
    state.step()
    assert state.job is first
    assert first.wait(PATIENCE)
    assert first.snapshot().step == 2


def test_start_after_the_end_creates_a_new_run(session):
    state = session()
    state.start()
    first = state.job
    assert first.wait(PATIENCE)
    state.start()
    assert state.job is not first
    assert state.job.id != first.id


def test_start_has_no_effect_during_a_run(session):
    state = session("?mode=slow")
    state.start()
    first = state.job
    state.start()
    assert state.job is first


def test_records_are_returned_once_and_again_after_rewind(session):
    state = session()
    state.start()
    assert state.job.wait(PATIENCE)
    records, restart = state.records()
    assert restart
    assert [r.step for r in records] == list(range(1, 9))
    assert state.records() == ([], False)
    state.rewind()
    assert len(state.records()[0]) == 8


def test_changed_settings_are_detected(session):
    state = session()
    state.start()
    assert state.job.wait(PATIENCE)
    assert not state.is_changed
    state.enter("noise", "0.5")
    assert state.is_changed
    state.enter("noise", "0")
    assert not state.is_changed


def test_reset_clears_the_page_and_keeps_the_file(session):
    state = session()
    state.start()
    assert state.job.wait(PATIENCE)
    path = state.job.path
    state.reset()
    assert state.job is None
    assert path.exists()
    assert "run=" not in state.query()


# URL


def test_the_url_restores_settings_and_run(session, registry):
    state = session("?mode=slow&noise=0.25")
    state.start()
    state.job.pause()
    again = TrainState(state.query(), registry)
    assert again.job is state.job
    assert again.config == state.config
    assert again.notices == []
    assert again.query() == state.query()


def test_a_url_with_only_a_run_restores_its_settings(session, registry):
    state = session("?mode=slow&noise=0.25&window=30")
    state.start()
    again = TrainState(f"?run={state.job.id}", registry)
    assert again.job is state.job
    assert again.config == state.config


def test_a_run_in_the_url_selects_its_experiment(session, registry):
    state = session("?experiment=decay")
    state.start()
    again = TrainState(f"?run={state.job.id}", registry)
    assert again.experiment.name == "decay"


def test_two_sessions_read_the_records_of_one_job_independently(session, registry):
    one = session()
    one.start()
    assert one.job.wait(PATIENCE)
    two = TrainState(one.query(), registry)
    assert len(one.records()[0]) == 8
    assert len(two.records()[0]) == 8


@pytest.mark.parametrize(
    "search,message",
    [
        ("?colour=red", "colour=red"),
        ("?window=700", "window=700"),
        ("?noise=lots", "noise=lots"),
        ("?noise=1&noise=2", "“noise” more than once"),
        ("?experiment=moon", "experiment=moon"),
        ("?run=gone-1", "run=gone-1"),
        ("?run=../../etc/passwd", "run=../../etc/passwd"),
        ("?mode=turbo", "mode=turbo"),
    ],
)
def test_an_invalid_part_of_the_url_is_a_notice(session, search, message):
    state = session(search)
    assert len(state.notices) == 1
    assert message in state.notices[0].text
    assert state.job is None
    state.dismiss()
    assert state.notices == []


def test_an_invalid_value_of_the_url_is_kept(session):
    state = session("?window=700")
    assert state.values()["window"] == "700"
    assert "window" in state.errors
    assert state.config is None


def test_settings_of_the_url_count_as_entered_unless_default(session):
    state = session("?mode=slow&window=20&steps=9")
    state.enter("mode", "quick")
    assert (state.config.window, state.config.steps) == (50, 9)


def test_a_run_of_a_previous_server_is_opened_from_its_file(session):
    state = session("?mode=slow")
    for _ in range(3):
        state.step()
        assert state.job.wait(PATIENCE)
    state.stop()
    assert state.job.wait(PATIENCE)
    again = TrainState(state.query(), Registry())
    assert again.notices == []
    assert again.job is not state.job
    assert again.job.wait(PATIENCE)
    assert (again.job.state, again.job.snapshot().step) == ("stopped", 3)
    assert again.enabled()["resume"]
    again.toggle()
    again.job.pause()
    assert again.job.wait(PATIENCE)


def test_an_unreadable_run_file_is_a_notice(session, fakes):
    from workbench.training import run_file

    run_file.runs_folder().mkdir(parents=True, exist_ok=True)
    (run_file.runs_folder() / "torn-1.nc").write_bytes(b"torn")
    state = session("?run=torn-1")
    assert state.job is None
    assert state.notices[0].severity == "error"
    assert "torn-1" in state.notices[0].text
