"""The state of the Data page in one session: every data set, what is known of it, what is being made. No widgets."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xarray as xr

from workbench import experiments
from workbench.dashboard.forms import settings
from workbench.dashboard.forms.page_state import PageConfig, PageState
from workbench.dashboard.train.preview import Preview
from workbench.datasets.tabular import Source
from workbench.experiments.protocol import setting
from workbench.jobs.dataset_job import DatasetJob, DatasetJobs, dataset_jobs, kept_record, record_path

logger = logging.getLogger(__name__)

CARDS = Path(__file__).parents[3] / "data" / "cards"
"""The pages about the data sets; they are in a checkout, not in an installed package."""


class DataConfig(PageConfig):
    """What the address of the Data page holds."""

    search: str = setting("", "Only data sets whose name, title or summary holds this text.")


class DataState(PageState):
    """The data sets of one session, each with one of its records."""

    Config = DataConfig
    title = "the Data page"

    def __init__(self, search: str = "", makes: DatasetJobs = dataset_jobs) -> None:
        super().__init__()
        self.makes = makes
        self._previews = {}
        self._kept = {}
        self._differs = {}
        self._titles = {}
        self._refused = {}
        self.read(search)

    def names(self) -> list[str]:
        """The data sets that pass the filter."""
        wanted = str(self.shown()["search"]).lower().split()
        found = []
        for name in experiments.names():
            experiment = experiments.get(name)
            words = f"{name} {experiment.title} {experiment.summary}".lower()
            if all(part in words for part in wanted):
                found.append(name)
        return found

    def setup(self, name: str) -> Config:
        """The configuration whose record is shown: the default one, until another record is chosen or uploaded."""
        return experiments.get(name).Config(**self._differs.get(name, {}))

    def titles(self, name: str) -> list[str]:
        """The records to choose from; none where there is but one."""
        return list(getattr(experiments.get(name), "RECORDS", {}))

    def title_of(self, name: str) -> str:
        """The record that is chosen."""
        return self._titles.get(name) or self.titles(name)[0]

    def choose(self, name: str, title: str) -> None:
        """Show another record."""
        self._titles[name] = title
        self._show(name, experiments.get(name).RECORDS[title])
        self.refuse(name, "")

    def _show(self, name: str, differs: Mapping[str, Any]) -> None:
        self._differs[name] = dict(differs)
        self._previews.pop(name, None)
        self._kept.pop(name, None)
        self.look()

    def upload(self, name: str, sources: Sequence[Source]) -> None:
        """Read a person's files for an experiment that takes some; `error` says why they cannot be used."""
        try:
            kept = experiments.get(name).keep(sources)
        except ValueError as error:
            self.refuse(name, str(error))
            return
        except Exception as error:
            logger.exception("an upload could not be read")
            self.refuse(name, f"The upload could not be read: {error!r}")
            return
        self._show(name, {"record": kept})
        self.refuse(name, "")

    def refuse(self, name: str, text: str) -> None:
        """Say why files cannot be used ("": they can)."""
        self._refused[name] = text
        self.revision += 1

    def look(self) -> None:
        """Ask for the records that are made in a moment; of the others, those that were made before."""
        for name in self.names():
            if name in self._previews:
                continue
            self._previews[name] = preview = Preview()
            if self.costly(name):
                self._kept[name] = kept_record(name, self.setup(name))
            else:
                preview.ask(name, self.setup(name))

    def record(self, name: str) -> xr.Dataset | None:
        """The record of a data set, None while it is not there."""
        making = self.making(name)
        if making is not None and making.state == "done" and self._kept.get(name) is None:
            self._kept[name] = kept_record(name, self.setup(name))
        if self._kept.get(name) is not None:
            return self._kept[name]
        return self._previews[name].data if name in self._previews else None

    def error(self, name: str) -> str:
        """Why the record could not be made or read, "" if nothing went wrong."""
        if self._refused.get(name):
            return self._refused[name]
        making = self.making(name)
        if making is not None and making.state == "failed":
            return f"The record could not be made: {making.words}"
        return self._previews[name].error if name in self._previews else ""

    def making(self, name: str) -> DatasetJob | None:
        """What is being made of a data set, or was."""
        return self.makes.get(name, self.setup(name))

    def version(self) -> Any:
        """Changes with what there is to show."""
        dataset_jobs = [self.making(name) for name in self.names()]
        previews = [self._previews[name].version if name in self._previews else -1 for name in self.names()]
        return self.revision, tuple(previews), tuple(m and (id(m), m.version) for m in dataset_jobs)

    def make(self, name: str) -> None:
        """Make or download the record, in a process of its own."""
        self._kept.pop(name, None)
        self.makes.start(name, self.setup(name))

    def cancel(self, name: str) -> None:
        """End that."""
        making = self.making(name)
        if making is not None:
            making.cancel()

    def file(self, name: str) -> Path | None:
        """The file of the record, None while there is none."""
        path = record_path(name, self.setup(name))
        return path if path.exists() else None

    def netcdf(self, name: str) -> bytes:
        """The record as NetCDF. Raises ValueError while there is none."""
        path = self.file(name)
        if path is not None:
            return path.read_bytes()
        record = self.record(name)
        if record is None:
            raise ValueError(f"there is no record of {name} yet")
        return bytes(record.to_netcdf(engine="h5netcdf"))

    def address(self, name: str) -> str:
        """The search part of the address at which a data set is trained on."""
        return settings.query(self.setup(name), {"experiment": name})

    def card(self, name: str) -> str:
        """The page about a data set, in Markdown; "" where there is none."""
        path = CARDS / f"{name}.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def costly(self, name: str) -> bool:
        """Whether the record is only made when somebody asks for it."""
        experiment = experiments.get(name)
        at_once = getattr(experiment, "at_once", lambda config: not hasattr(experiment, "prepare"))
        return not at_once(self.setup(name))
