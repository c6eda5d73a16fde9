"""State of the Studies page in one session. Studies belong to the server, like runs."""

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
    """Settings of the Studies page, stored in its URL."""

    experiment: str = setting("lorenz", "Experiment of all runs.")
    axes: str = setting(
        "noise=0,0.1,0.5", "Settings to vary and their values, e.g. noise=0,0.1; separate several by ;."
    )
    seeds: int = setting(5, "Number of runs per combination, with seeds 0, 1, ...", ge=1, le=1000)
    settings: str = setting(
        "points=2000", "Settings of all runs, e.g. points=2000; separate several by ;.", group="data"
    )
    scheduler: str = setting(
        "", "Address of a Dask cluster, e.g. tcp://host:8786; empty: workers on this machine.", group="solver"
    )
    workers: int = setting(2, "Worker processes on this machine.", group="solver", ge=1, le=256)
    threads: int = setting(1, "Threads per run.", group="solver", ge=1, le=256)
    show: str = setting("", "Metric of the map; empty: the first one.")
    study: str = setting("", "Study to show.")

    @field_validator("axes")
    @classmethod
    def _axes_are_valid(cls, value: str) -> str:
        cli.axes(split_semicolons(value))
        return value

    @model_validator(mode="after")
    def _study_is_valid(self) -> "StudiesConfig":
        if not self.study:
            self.to_study(studies_folder() / "new")
        return self

    def to_study(self, folder: Any) -> Study:
        """Study with these settings. Raises ValueError if they are inconsistent."""
        shared = {name: values[0] for name, values in cli.axes(split_semicolons(self.settings)).items()}
        return Study(folder, self.experiment, cli.axes(split_semicolons(self.axes)), range(self.seeds), shared)


@cache
def config_for(names: tuple[str, ...]) -> type[StudiesConfig]:
    """Config class of the page for the given experiments."""
    field = setting(names[0], "Experiment of all runs.")
    return create_model("StudiesConfig", __base__=StudiesConfig, experiment=(Literal[names], field))


def split_semicolons(text: str) -> list[str]:
    """Non-empty parts of a text separated by semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


@dataclass
class StudyRun:
    """Study on this server. version: increases with every completed cell. link: Dask dashboard while running."""

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
    def status_text(self) -> str:
        """Status of a running study."""
        return "stopping" if self._stop.is_set() else ("running" if self.link else "starting the workers")

    def results(self) -> xr.Dataset:
        """Results of the completed cells, over the axes."""
        if self._results[0] != self.version:
            self._results = (self.version, results(self.study, self._rows))
        return self._results[1]

    def start(self, config: StudiesConfig) -> None:
        """Run the incomplete cells in a thread."""
        self._stop.clear()
        self.running, self.error = True, ""
        threading.Thread(target=self._run, args=(config,), name=self.study.name, daemon=True).start()

    def cancel(self) -> None:
        """Start no further cell; running cells are stopped and saved."""
        self._stop.set()
        self.version += 1

    def _run(self, config: StudiesConfig) -> None:
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


STUDY_RUNS: dict[str, StudyRun] = {}
"""Studies opened on this server, by name."""


class StudiesState(PageState):
    """Settings and displayed study of one session."""

    title = "the Studies page"
    groups = {"data": "Settings of all runs", "solver": "Workers"}
    hidden = ("show", "study")

    def __init__(self, search: str = "") -> None:
        super().__init__()
        self.Config = config_for(tuple(experiments.names()))
        self.read(search)

    @property
    def study_run(self) -> StudyRun | None:
        """Displayed study."""
        return STUDY_RUNS.get(str(self.values()["study"]))

    def read(self, search: str) -> None:
        super().read(search)
        name = str(self.values()["study"])
        if name and name not in STUDY_RUNS:
            self._open(name)

    def _open(self, name: str) -> None:
        """Open a saved study."""
        try:
            if name not in self.names():
                raise FileNotFoundError(f"no study {name} in {studies_folder()}")
            STUDY_RUNS[name] = StudyRun(Study.load(studies_folder() / name))
        except (OSError, ValueError) as error:
            self.notify(Notice("warning", f"The study cannot be opened: {error}"))
            self.enter("study", "")

    def names(self) -> list[str]:
        """Names of all saved studies, newest first."""
        return [path.name for path in list_studies(studies_folder())]

    def open(self, name: str) -> None:
        """Show a study; "" for none."""
        self.enter("study", name)
        if name and name not in STUDY_RUNS:
            self._open(name)

    def start(self) -> None:
        """Start a new study with the current settings."""
        if self.config is None or (self.study_run is not None and self.study_run.running):
            return
        try:
            study_run = StudyRun(self.config.to_study(new_folder(self.config.experiment)))
            study_run.study.save()
        except (OSError, ValueError) as error:
            self.notify(Notice("warning", f"The study cannot be created: {error}"))
            return
        STUDY_RUNS[study_run.study.name] = study_run
        self.enter("study", study_run.study.name)
        study_run.start(self.config)

    def resume(self) -> None:
        """Run the missing cells of the displayed study."""
        if self.config is not None and self.study_run is not None and not self.study_run.running:
            self.study_run.start(self.config)
            self.param.update(revision=self.revision + 1)

    def cancel(self) -> None:
        """Stop the displayed study; completed cells are kept."""
        if self.study_run is not None:
            self.study_run.cancel()
