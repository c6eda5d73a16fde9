"""State of the Train page in one session: settings, displayed job, notices. No widgets."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import param

from workbench import experiments
from workbench.dashboard.forms import settings
from workbench.dashboard.forms.page_state import Notice, PageState
from workbench.dashboard.train.preview import Preview
from workbench.dashboard.train.replay import Replay, load_stored_run
from workbench.datasets.schema import one, trajectories
from workbench.datasets.tabular import Source
from workbench.experiments.protocol import Config
from workbench.experiments.report import Report
from workbench.jobs.buffer import Cursor
from workbench.jobs.registry import Registry, registry
from workbench.jobs.state import ACTIVE, RESUMABLE

logger = logging.getLogger(__name__)


class TrainState(PageState):
    """Experiment, settings and displayed job of one session."""

    experiment = param.Parameter(doc="Experiment module.")
    job = param.Parameter(doc="Displayed job, or None.")
    replay = param.Parameter(doc="Stored run replayed until the first Start, or None.")

    def __init__(self, search: str = "", jobs: Registry = registry) -> None:
        super().__init__(experiment=experiments.get(experiments.names()[0]))
        self.jobs = jobs
        self.preview = Preview()
        self.cursor = Cursor()
        self.read(search)
        if not settings.parse_query(search)[0]:
            self.replay = self._load_replay()

    def _load_replay(self) -> Replay | None:
        run = load_stored_run()
        return Replay(run) if run is not None and run.experiment == self.experiment.name else None

    # settings

    @property
    def Config(self) -> type[Config]:
        """Config of the selected experiment."""
        return self.experiment.Config

    @property
    def title(self) -> str:
        """Title of the selected experiment."""
        return self.experiment.title

    def select_experiment(self, name: str) -> None:
        """Select an experiment with its defaults; entered values of shared fields are kept, except the mode."""
        self.experiment = experiments.get(name)
        fields = self.experiment.Config.model_fields
        self._validate({key: value for key, value in self.entered.items() if key in fields and key != "mode"})

    def upload(self, sources: Sequence[Source]) -> None:
        """Read uploaded files and select their data; a notice reports files that cannot be used."""
        experiment = self.experiment
        try:
            name = experiment.keep(sources)
        except ValueError as error:
            self.show_upload_error(str(error))
            return
        except Exception as error:
            logger.exception("an upload could not be read")
            self.show_upload_error(f"The upload could not be read: {error!r}")
            return
        if self.experiment is not experiment:
            return
        self.reset()
        self.param.update(notices=[notice for notice in self.notices if notice.severity != "error"])
        self._validate({key: value for key, value in self.entered.items() if key != "columns"} | {"record": name})

    def show_upload_error(self, text: str) -> None:
        """Report files that cannot be used; the selected data stay."""
        others = [notice for notice in self.notices if notice.severity != "error"]
        self.param.update(notices=[*others, Notice("error", text)], revision=self.revision + 1)

    def _validate(self, entered: Mapping[str, Any]) -> None:
        super()._validate(entered)
        self.replay = None
        if self.config is not None:
            self.preview.request(self.experiment.name, self.config)

    # runs

    @property
    def run(self) -> Any:
        """Displayed run: the job, else the replay, else None."""
        return self.job if self.job is not None else self.replay

    @property
    def is_changed(self) -> bool:
        """Whether the settings differ from those of the displayed job."""
        return (
            self.job is not None
            and self.config is not None
            and (self.job.experiment.name != self.experiment.name or self.job.config != self.config)
        )

    def enabled(self) -> dict[str, bool]:
        """Whether each button is enabled."""
        state = self.job.state if self.job else ""
        waiting = self.job is not None and bool(self.job.snapshot().settling)
        stepping = self.job is not None and self.job.stepping
        can_start = self.config is not None and state not in (*ACTIVE, "paused")
        return {
            "start": can_start,
            "pause": state in ACTIVE and not waiting and not stepping,
            "resume": state in RESUMABLE or stepping,
            "step": state == "paused" or can_start,
            "stop": state in (*ACTIVE, "paused"),
            "reset": self.job is not None and state not in ACTIVE,
        }

    def start(self) -> None:
        """Start a new run with the current settings."""
        if self.enabled()["start"]:
            self._create_job().start()

    def toggle(self) -> None:
        """Pause a running job; resume a paused, stopped or single-stepping one."""
        if self.job is not None:
            self.job.pause() if self.job.state in ACTIVE and not self.job.stepping else self.job.resume()

    def step(self) -> None:
        """Execute one step of the paused run, else of a new run, which is paused afterwards."""
        if self.enabled()["step"]:
            job = self.job if self.job is not None and self.job.state == "paused" else self._create_job()
            job.step_once()

    def stop(self) -> None:
        """Stop the run; its best state is kept."""
        if self.job is not None:
            self.job.stop()

    def reset(self) -> None:
        """Clear the page; a paused run is stopped, its file is kept."""
        if self.enabled()["reset"]:
            self.job.stop()
            self._show_job(None)

    def _create_job(self) -> Any:
        job = self.jobs.create(self.experiment, self.config)
        self._show_job(job)
        return job

    def _show_job(self, job: Any, notices: Sequence[Notice] = ()) -> None:
        self.param.update(job=job, replay=None, notices=list(notices), revision=self.revision + 1)
        self.cursor = Cursor()
        if job is None and self.config is not None:
            self.preview.request(self.experiment.name, self.config)

    def records(self) -> tuple[list[Any], bool]:
        """New records of the displayed run, and whether to clear the curves first."""
        records, self.cursor, restart = self.run.read(self.cursor)
        return records, restart

    def rewind(self) -> None:
        """Make `records` start from the first."""
        self.cursor = Cursor()

    def report(self) -> Report | None:
        """Report of the displayed run, else of the data to train on; None while they are loading."""
        if self.run is not None:
            return self.run.report
        data = self.preview.data
        if data is None:
            return None
        return Report(image=one(data, 0)) if "frame" in data.dims else Report(trajectory=trajectories(data)[0])

    # URL

    def query(self) -> str | None:
        """Search part of the URL: experiment, every setting, run; None while a setting is invalid."""
        if self.config is None:
            return None
        run = {"run": self.job.id} if self.job else {}
        return settings.query(self.config, {"experiment": self.experiment.name}, run)

    def read(self, search: str) -> None:
        """Apply the search part of a URL: experiment, settings, run."""
        pairs, notices = self._pairs(search)
        notices += self._read_experiment(pairs.pop("experiment", None))
        job = None
        if run := pairs.pop("run", None):
            job, errors = self._read_run(run)
            notices += errors
            if job is not None:
                self.experiment = job.experiment
        if job is not None and not pairs.keys() & self.Config.model_fields.keys():
            pairs |= {key: settings.format_value(value) for key, value in job.config.model_dump().items()}
        notices += self._read_settings(pairs)
        self._show_job(job, notices)

    def _read_experiment(self, name: str | None) -> list[Notice]:
        if name is not None and name not in experiments.names():
            available = ", ".join(experiments.names())
            text = f"The URL requests experiment={name}, which does not exist. Available: {available}."
            return [Notice("warning", text)]
        self.experiment = experiments.get(name or experiments.names()[0])
        return []

    def _read_run(self, name: str) -> tuple[Any, list[Notice]]:
        try:
            job = self.jobs.find(name)
        except Exception as error:
            return None, [Notice("error", f"The file of run {name} cannot be read: {error}", repr(error))]
        if job is None:
            text = f"The URL requests run={name}, which is neither on this server nor among its files."
            return None, [Notice("warning", text)]
        return job, []
