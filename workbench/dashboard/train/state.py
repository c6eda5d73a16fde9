"""The state of the Train page in one browser session: settings, the job it watches, notices. No widgets."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import param

from workbench import experiments
from workbench.dashboard.forms import settings
from workbench.dashboard.forms.page_state import Notice, PageState
from workbench.dashboard.train.preview import Preview
from workbench.dashboard.train.replay import Replay, stored
from workbench.datasets.schema import one, trajectories
from workbench.datasets.tabular import Source
from workbench.experiments.protocol import Config
from workbench.experiments.report import Report
from workbench.jobs.buffer import Cursor
from workbench.jobs.job import ACTIVE, GOES_ON
from workbench.jobs.registry import Registry, registry

logger = logging.getLogger(__name__)


class TrainState(PageState):
    """What one session has chosen and what it watches."""

    experiment = param.Parameter(doc="The experiment module.")
    job = param.Parameter(doc="The job that is watched, or None.")
    replay = param.Parameter(doc="The stored run that plays until the first Start, or None.")

    def __init__(self, search: str = "", jobs: Registry = registry) -> None:
        super().__init__(experiment=experiments.get(experiments.names()[0]))
        self.jobs = jobs
        self.preview = Preview()
        self.cursor = Cursor()
        self.read(search)
        if not settings.parse_query(search)[0]:
            self.replay = self._stored()

    def _stored(self) -> Replay | None:
        run = stored()
        return Replay(run) if run is not None and run.experiment == self.experiment.name else None

    # what is chosen

    @property
    def Config(self) -> type[Config]:
        """The Config of the chosen experiment."""
        return self.experiment.Config

    @property
    def title(self) -> str:
        """Whose settings these are."""
        return self.experiment.title

    def choose(self, name: str) -> None:
        """Take another experiment, with its own defaults; values of fields that both have stay."""
        self.experiment = experiments.get(name)
        fields = self.experiment.Config.model_fields
        self._settle({key: value for key, value in self.given.items() if key in fields and key != "mode"})

    def upload(self, sources: Sequence[Source]) -> None:
        """Read a person's files and choose what is in them; a notice says why if they cannot be used."""
        experiment = self.experiment
        try:
            name = experiment.keep(sources)
        except ValueError as error:
            self.refuse(str(error))
            return
        except Exception as error:
            logger.exception("an upload could not be read")
            self.refuse(f"The upload could not be read: {error!r}")
            return
        if self.experiment is not experiment:
            return
        self.reset()
        self.param.update(notices=[notice for notice in self.notices if notice.severity != "error"])
        self._settle({key: value for key, value in self.given.items() if key != "columns"} | {"record": name})

    def refuse(self, text: str) -> None:
        """Say why files cannot be used; what was chosen before stays."""
        kept = [notice for notice in self.notices if notice.severity != "error"]
        self.param.update(notices=[*kept, Notice("error", text)], revision=self.revision + 1)

    def _settle(self, given: Mapping[str, Any]) -> None:
        super()._settle(given)
        self.replay = None
        if self.config is not None:
            self.preview.ask(self.experiment.name, self.config)

    # what runs

    @property
    def run(self) -> Any:
        """The run that is shown: the job, else the stored run that plays, else None."""
        return self.job if self.job is not None else self.replay

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
        stepping = self.job is not None and self.job.stepping
        can_start = self.config is not None and state not in (*ACTIVE, "paused")
        return {
            "start": can_start,
            "pause": state in ACTIVE and not waiting and not stepping,
            "resume": state in GOES_ON or stepping,
            "step": state == "paused" or can_start,
            "stop": state in (*ACTIVE, "paused"),
            "reset": self.job is not None and state not in ACTIVE,
        }

    def start(self) -> None:
        """A new run with the present settings."""
        if self.enabled()["start"]:
            self._new().start()

    def toggle(self) -> None:
        """Pause what runs, go on with what is paused or stopped, or would be after its single step."""
        if self.job is not None:
            self.job.pause() if self.job.state in ACTIVE and not self.job.stepping else self.job.resume()

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

    def _watch(self, job: Any, notices: Sequence[Notice] = ()) -> None:
        self.param.update(job=job, replay=None, notices=list(notices), revision=self.revision + 1)
        self.cursor = Cursor()
        if job is None and self.config is not None:
            self.preview.ask(self.experiment.name, self.config)

    def records(self) -> tuple[list[Any], bool]:
        """The records of the run that this session has not drawn yet, and whether to clear what is drawn first."""
        fresh, self.cursor, restart = self.run.read(self.cursor)
        return fresh, restart

    def rewind(self) -> None:
        """Let `records` begin again with the first."""
        self.cursor = Cursor()

    def report(self) -> Report | None:
        """What there is to show: what the run has learned, else the data it would learn from."""
        if self.run is not None:
            return self.run.report
        data = self.preview.data
        if data is None:
            return None
        return Report(image=one(data, 0)) if "frame" in data.dims else Report(trajectory=trajectories(data)[0])

    # the URL

    def query(self) -> str | None:
        """The search part of the URL: experiment, every setting, run; None while a setting is wrong."""
        if self.config is None:
            return None
        run = {"run": self.job.id} if self.job else {}
        return settings.query(self.config, {"experiment": self.experiment.name}, run)

    def read(self, search: str) -> None:
        """Take over what the search part of a URL asks for: experiment, settings, run."""
        pairs, notices = self._pairs(search)
        notices += self._read_experiment(pairs.pop("experiment", None))
        job = None
        if run := pairs.pop("run", None):
            job, faults = self._read_run(run)
            notices += faults
            if job is not None:
                self.experiment = job.experiment
        if job is not None and not pairs.keys() & self.Config.model_fields.keys():
            pairs |= {key: settings.written(value) for key, value in job.config.model_dump().items()}
        notices += self._read_settings(pairs)
        self._watch(job, notices)

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
