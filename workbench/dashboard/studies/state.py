"""The state of the Studies page in one session. A study that runs belongs to the server, as runs do."""

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import xarray as xr
from pydantic import create_model, field_validator, model_validator

from workbench import experiments
from workbench.dashboard.forms.page_state import Notice, PageConfig, PageState
from workbench.experiments.protocol import setting
from workbench.studies import cli
from workbench.studies.cluster import connected
from workbench.studies.result_table import results, save
from workbench.studies.runner import follow
from workbench.studies.study import Study, list_studies, new_folder, studies_folder


class StudiesConfig(PageConfig):
    """What the address of the Studies page holds."""

    experiment: str = setting("lorenz", "What every run of the study is a run of.")
    axes: str = setting("noise=0,0.1,0.5", "Settings and their values, as noise=0,0.1; several with ; between them.")
    seeds: int = setting(5, "How often every combination is run: with the seeds 0, 1, ...", ge=1, le=1000)
    settings: str = setting(
        "points=2000", "Settings that all runs share, as points=2000; several with ; between them.", group="data"
    )
    scheduler: str = setting(
        "", "Address of a Dask cluster, as tcp://host:8786; empty: workers of this machine.", group="solver"
    )
    workers: int = setting(2, "Processes on this machine.", group="solver", ge=1, le=256)
    threads: int = setting(1, "Threads of every run.", group="solver", ge=1, le=256)
    show: str = setting("", "What the map shows; empty: the first metric.")
    study: str = setting("", "The study that is shown.")

    @field_validator("axes")
    @classmethod
    def _are_axes(cls, value: str) -> str:
        cli.axes(parts(value))
        return value

    @model_validator(mode="after")
    def _is_a_study(self) -> "StudiesConfig":
        if not self.study:
            self.plan(studies_folder() / "new")
        return self

    def plan(self, folder: Any) -> Study:
        """The study that these settings describe. Raises ValueError where they do not describe one."""
        shared = {name: values[0] for name, values in cli.axes(parts(self.settings)).items()}
        return Study(folder, self.experiment, cli.axes(parts(self.axes)), range(self.seeds), shared)


@cache
def config_for(names: tuple[str, ...]) -> type[StudiesConfig]:
    """The settings of the page where these experiments are there."""
    field = setting(names[0], "What every run of the study is a run of.")
    return create_model("StudiesConfig", __base__=StudiesConfig, experiment=(Literal[names], field))


def parts(text: str) -> list[str]:
    """What stands between semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


@dataclass
class StudyRun:
    """A study on this server. `version` grows with every outcome. `link`: of Dask's own dashboard, while it runs."""

    study: Study
    running: bool = False
    error: str = ""
    link: str = ""
    version: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._results = (-1, None)
        self._rows = {}

    @property
    def word(self) -> str:
        """What it does while it runs."""
        return "stopping" if self._stop.is_set() else ("running" if self.link else "starting the workers")

    def results(self) -> xr.Dataset:
        """What is complete, over the axes."""
        if self._results[0] != self.version:
            self._results = (self.version, results(self.study, self._rows))
        return self._results[1]

    def start(self, config: StudiesConfig) -> None:
        """Run what is not complete, in a thread."""
        self._stop.clear()
        self.running, self.error = True, ""
        threading.Thread(target=self._work, args=(config,), name=self.study.name, daemon=True).start()

    def cancel(self) -> None:
        """Begin no further cell; running ones stop and are saved."""
        self._stop.set()
        self.version += 1

    def _work(self, config: StudiesConfig) -> None:
        try:
            with connected(config.scheduler or None, workers=config.workers, threads=config.threads) as client:
                self.link = client.dashboard_link
                self.version += 1
                for _ in follow(self.study, client, threads=config.threads, stop=self._stop):
                    self.version += 1
                save(self.study)
        except Exception as error:
            self.error = str(error) or type(error).__name__
        self.running, self.link = False, ""
        self.version += 1


WORKS: dict[str, StudyRun] = {}
"""The studies that somebody has looked at on this server, by name."""


class StudiesState(PageState):
    """What one session has chosen and which study it watches."""

    title = "the Studies page"
    folds = {"data": "Settings of all runs", "solver": "Workers"}
    hidden = ("show", "study")

    def __init__(self, search: str = "") -> None:
        super().__init__()
        self.Config = config_for(tuple(experiments.names()))
        self.read(search)

    @property
    def work(self) -> StudyRun | None:
        """The study in view."""
        return WORKS.get(str(self.shown()["study"]))

    def read(self, search: str) -> None:
        super().read(search)
        name = str(self.shown()["study"])
        if name and name not in WORKS:
            self._open(name)

    def _open(self, name: str) -> None:
        """Take up a study that lies on the disk."""
        try:
            if name not in self.there():
                raise FileNotFoundError(f"there is no study {name} in {studies_folder()}")
            WORKS[name] = StudyRun(Study.load(studies_folder() / name))
        except (OSError, ValueError) as error:
            self.tell(Notice("warning", f"The study cannot be shown: {error}"))
            self.enter("study", "")

    def there(self) -> list[str]:
        """The names of all studies, newest first."""
        return [path.name for path in list_studies(studies_folder())]

    def open(self, name: str) -> None:
        """Show another study, or none."""
        self.enter("study", name)
        if name and name not in WORKS:
            self._open(name)

    def start(self) -> None:
        """Run a new study of the present settings."""
        if self.config is None or (self.work is not None and self.work.running):
            return
        try:
            work = StudyRun(self.config.plan(new_folder(self.config.experiment)))
            work.study.save()
        except (OSError, ValueError) as error:
            self.tell(Notice("warning", f"These settings make no study: {error}"))
            return
        WORKS[work.study.name] = work
        self.enter("study", work.study.name)
        work.start(self.config)

    def resume(self) -> None:
        """Go on with the study in view, where cells are missing."""
        if self.config is not None and self.work is not None and not self.work.running:
            self.work.start(self.config)
            self.param.update(revision=self.revision + 1)

    def cancel(self) -> None:
        """Stop the study in view; what is complete stays."""
        if self.work is not None:
            self.work.cancel()
