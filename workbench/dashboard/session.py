"""The state of the Train page in one browser session: settings, the job it watches, notices. No widgets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import param

from workbench import experiments
from workbench.dashboard import settings
from workbench.dashboard.history import Cursor
from workbench.dashboard.jobs import Registry, registry
from workbench.dashboard.preview import Preview
from workbench.datasets.schema import one
from workbench.experiments.protocol import Report


@dataclass(frozen=True)
class Notice:
    """A message above the page; `severity` is "info", "warning" or "error", `details` folds away."""

    severity: str
    text: str
    details: str = ""


class TrainState(param.Parameterized):
    """What one session has chosen and what it watches.

    `given` holds what a person (or the URL) has entered, as entered; every other field has its default. `config` is
    None while something entered is wrong, and `errors` says per field what. `revision` grows with every change that the
    page must show.
    """

    experiment = param.Parameter(doc="The experiment module.")
    given = param.Dict(default={}, doc="Entered values by field.")
    config = param.Parameter(doc="The valid Config, or None.")
    errors = param.Dict(default={}, doc="Message by field.")
    job = param.Parameter(doc="The job that is watched, or None.")
    notices = param.List(default=[], doc="Notices, oldest first.")
    revision = param.Integer(default=0)

    def __init__(self, search: str = "", jobs: Registry = registry) -> None:
        super().__init__(experiment=experiments.get(experiments.names()[0]))
        self.jobs = jobs
        self.preview = Preview()
        self.cursor = Cursor()
        self._read(search)

    # what is chosen

    def choose(self, name: str) -> None:
        """Take another experiment, with its own defaults; values of fields that both have stay."""
        self.experiment = experiments.get(name)
        fields = self.experiment.Config.model_fields
        self._settle({key: value for key, value in self.given.items() if key in fields and key != "mode"})

    def enter(self, field: str, value: Any) -> None:
        """Set one field. Its default, entered or chosen, counts as untouched, so that another mode may change it."""
        given = {**self.given, field: value}
        if field != "mode" and settings.written(value) == settings.written(self.shown(without=field)[field]):
            del given[field]
        self._settle(given)

    def shown(self, *, without: str = "") -> dict[str, Any]:
        """The value of every field as the page shows it: as entered, else its default in this mode."""
        given = {key: value for key, value in self.given.items() if key != without}
        return {**settings.defaults(self.experiment.Config, given), **given}

    def all_fields(self) -> tuple[settings.Setting, ...]:
        """Every setting of the experiment."""
        return settings.settings(self.experiment.Config)

    def fields(self) -> list[settings.Setting]:
        """The settings that matter in the chosen mode."""
        mode = self.shown().get("mode")
        return [field for field in self.all_fields() if not field.modes or mode in field.modes]

    def _settle(self, given: Mapping[str, Any]) -> None:
        config, errors = settings.check(self.experiment.Config, given)
        self.param.update(given=dict(given), config=config, errors=errors, revision=self.revision + 1)
        if config is not None:
            self.preview.ask(self.experiment.name, config)

    # what runs

    @property
    def changed(self) -> bool:
        """Whether the settings differ from those of the watched run."""
        return (
            self.job is not None
            and self.config is not None
            and (self.job.experiment.name != self.experiment.name or self.job.config != self.config)
        )

    def enabled(self) -> dict[str, bool]:
        """Which buttons make sense now."""
        state = self.job.state if self.job else ""
        waiting = self.job is not None and bool(self.job.snapshot().settling)
        can_start = self.config is not None and state not in ("running", "paused")
        return {
            "start": can_start,
            "pause": state == "running" and not waiting,
            "resume": state in ("paused", "stopped"),
            "step": state == "paused" or can_start,
            "stop": state in ("running", "paused"),
            "reset": self.job is not None and state != "running",
        }

    def start(self) -> None:
        """A new run with the present settings."""
        if self.enabled()["start"]:
            self._new().start()

    def toggle(self) -> None:
        """Pause what runs, go on with what is paused or stopped."""
        if self.job is not None:
            self.job.pause() if self.job.state == "running" else self.job.resume()

    def step(self) -> None:
        """Exactly one step: of the paused run, else of a new one, which is paused after it."""
        if self.enabled()["step"]:
            job = self.job if self.job is not None and self.job.state == "paused" else self._new()
            job.step_once()

    def stop(self) -> None:
        """End the run and keep its best state."""
        if self.job is not None:
            self.job.stop()

    def reset(self) -> None:
        """Clear the page; a paused run is stopped, its file stays."""
        if self.enabled()["reset"]:
            self.job.stop()
            self._watch(None)

    def _new(self) -> Any:
        job = self.jobs.create(self.experiment, self.config)
        self._watch(job)
        return job

    def _watch(self, job: Any) -> None:
        self.param.update(job=job, notices=[], revision=self.revision + 1)
        self.cursor = Cursor()
        if job is None and self.config is not None:
            self.preview.ask(self.experiment.name, self.config)

    def records(self) -> tuple[list[Any], bool]:
        """The records of the job that this session has not drawn yet, and whether to clear what is drawn first."""
        fresh, self.cursor, restart = self.job.read(self.cursor)
        return fresh, restart

    def rewind(self) -> None:
        """Let `records` begin again with the first."""
        self.cursor = Cursor()

    def report(self) -> Report | None:
        """What there is to show: what the run has learned, else the data it would learn from."""
        if self.job is not None:
            return self.job.report
        data = self.preview.data
        if data is None:
            return None
        return Report(image=one(data, 0)) if "frame" in data.dims else Report(trajectory=data)

    # the URL

    def query(self) -> str | None:
        """The search part of the URL: experiment, every setting, run; None while a setting is wrong."""
        if self.config is None:
            return None
        return settings.query(self.experiment.name, self.config, self.job.id if self.job else None)

    def dismiss(self) -> None:
        """Take the notices away."""
        self.param.update(notices=[], revision=self.revision + 1)

    def _read(self, search: str) -> None:
        pairs, doubled = settings.parse_query(search)
        notices = [
            Notice("warning", f"The address holds “{key}” more than once; the last one counts.") for key in doubled
        ]
        notices += self._read_experiment(pairs.pop("experiment", None))
        job = None
        if run := pairs.pop("run", None):
            job, faults = self._read_run(run)
            notices += faults
            if job is not None:
                self.experiment = job.experiment
        notices += self._read_settings(pairs, job)
        self.param.update(job=job, notices=notices)

    def _read_experiment(self, name: str | None) -> list[Notice]:
        if name is not None and name not in experiments.names():
            there = ", ".join(experiments.names())
            return [
                Notice(
                    "warning", f"The address asks for experiment={name}, which is not known here. There is: {there}."
                )
            ]
        self.experiment = experiments.get(name or experiments.names()[0])
        return []

    def _read_run(self, name: str) -> tuple[Any, list[Notice]]:
        try:
            job = self.jobs.find(name)
        except Exception as error:
            return None, [Notice("error", f"The file of run {name} cannot be read: {error}", repr(error))]
        if job is None:
            return None, [
                Notice(
                    "warning", f"The address asks for run={name}, which is neither on this server nor among its files."
                )
            ]
        return job, []

    def _read_settings(self, pairs: Mapping[str, str], job: Any) -> list[Notice]:
        fields = self.experiment.Config.model_fields
        known = {key: value for key, value in pairs.items() if key in fields}
        notices = [
            Notice(
                "warning",
                f"The address holds {key}={value}, but {self.experiment.title} has no setting “{key}”; it is left out.",
            )
            for key, value in pairs.items()
            if key not in fields
        ]
        if not known and job is not None:
            known = {key: settings.written(value) for key, value in job.config.model_dump().items()}
        base = settings.defaults(self.experiment.Config, known)
        touched = {key: value for key, value in known.items() if key == "mode" or value != settings.written(base[key])}
        self._settle(touched)
        notices += [
            Notice("warning", f"The address holds {key}={known[key]}, which cannot be used: {text}")
            for key, text in self.errors.items()
            if key in known
        ]
        return notices
