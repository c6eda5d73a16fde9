"""State of the Data page in one session: data sets, their records and generation jobs. No widgets."""

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
from workbench.jobs.dataset_job import DatasetJob, DatasetJobs, dataset_jobs, load_record, record_path

logger = logging.getLogger(__name__)

CARDS = Path(__file__).parents[3] / "data" / "cards"
"""Data-set cards; available in a checkout, not in an installed package."""


class DataConfig(PageConfig):
    """Settings of the Data page, stored in its URL."""

    search: str = setting("", "Show only data sets whose name, title or summary contains this text.")


class DataState(PageState):
    """Data sets of one session, each with one record."""

    Config = DataConfig
    title = "the Data page"

    def __init__(self, search: str = "", jobs: DatasetJobs = dataset_jobs) -> None:
        super().__init__()
        self.jobs = jobs
        self._previews = {}
        self._saved_records = {}
        self._overrides = {}
        self._titles = {}
        self._upload_errors = {}
        self.read(search)

    def names(self) -> list[str]:
        """Names of the data sets that match the filter."""
        terms = str(self.values()["search"]).lower().split()
        names = []
        for name in experiments.names():
            experiment = experiments.get(name)
            text = f"{name} {experiment.title} {experiment.summary}".lower()
            if all(term in text for term in terms):
                names.append(name)
        return names

    def dataset_config(self, name: str) -> Any:
        """Configuration of the shown record: the default, until another record is selected or uploaded."""
        return experiments.get(name).Config(**self._overrides.get(name, {}))

    def titles(self, name: str) -> list[str]:
        """Titles of the available records; empty if there is only one."""
        return list(getattr(experiments.get(name), "RECORDS", {}))

    def title_of(self, name: str) -> str:
        """Title of the selected record."""
        return self._titles.get(name) or self.titles(name)[0]

    def select_record(self, name: str, title: str) -> None:
        """Show another record."""
        self._titles[name] = title
        self._override(name, experiments.get(name).RECORDS[title])
        self.set_upload_error(name, "")

    def _override(self, name: str, settings: Mapping[str, Any]) -> None:
        self._overrides[name] = dict(settings)
        self._previews.pop(name, None)
        self._saved_records.pop(name, None)
        self.load_records()

    def upload(self, name: str, sources: Sequence[Source]) -> None:
        """Read uploaded files for an experiment that accepts them; `error` reports files that cannot be used."""
        try:
            record = experiments.get(name).keep(sources)
        except ValueError as error:
            self.set_upload_error(name, str(error))
            return
        except Exception as error:
            logger.exception("an upload could not be read")
            self.set_upload_error(name, f"The upload could not be read: {error!r}")
            return
        self._override(name, {"record": record})
        self.set_upload_error(name, "")

    def set_upload_error(self, name: str, text: str) -> None:
        """Set the error message of an upload; "" clears it."""
        self._upload_errors[name] = text
        self.revision += 1

    def load_records(self) -> None:
        """Generate inexpensive records in the background; load expensive ones if they were generated before."""
        for name in self.names():
            if name in self._previews:
                continue
            self._previews[name] = preview = Preview()
            if self.is_expensive(name):
                self._saved_records[name] = load_record(name, self.dataset_config(name))
            else:
                preview.request(name, self.dataset_config(name))

    def record(self, name: str) -> xr.Dataset | None:
        """Record of a data set, None while it is not available."""
        job = self.job(name)
        if job is not None and job.state == "done" and self._saved_records.get(name) is None:
            self._saved_records[name] = load_record(name, self.dataset_config(name))
        if self._saved_records.get(name) is not None:
            return self._saved_records[name]
        return self._previews[name].data if name in self._previews else None

    def error(self, name: str) -> str:
        """Error message of the upload or of the generation of the record, "" without an error."""
        if self._upload_errors.get(name):
            return self._upload_errors[name]
        job = self.job(name)
        if job is not None and job.state == "failed":
            return f"The record could not be generated: {job.message}"
        return self._previews[name].error if name in self._previews else ""

    def job(self, name: str) -> DatasetJob | None:
        """Latest job that generates the record, or None."""
        return self.jobs.get(name, self.dataset_config(name))

    def version(self) -> Any:
        """Value that changes with the displayed content."""
        jobs = [self.job(name) for name in self.names()]
        previews = [self._previews[name].version if name in self._previews else -1 for name in self.names()]
        return self.revision, tuple(previews), tuple(job and (id(job), job.version) for job in jobs)

    def generate(self, name: str) -> None:
        """Generate or download the record in a separate process."""
        self._saved_records.pop(name, None)
        self.jobs.start(name, self.dataset_config(name))

    def cancel(self, name: str) -> None:
        """Cancel the generation of the record."""
        job = self.job(name)
        if job is not None:
            job.cancel()

    def file(self, name: str) -> Path | None:
        """File of the record, None if it is not saved."""
        path = record_path(name, self.dataset_config(name))
        return path if path.exists() else None

    def netcdf(self, name: str) -> bytes:
        """Record as NetCDF. Raises ValueError if it is not available."""
        path = self.file(name)
        if path is not None:
            return path.read_bytes()
        record = self.record(name)
        if record is None:
            raise ValueError(f"no record of {name} is available yet")
        return bytes(record.to_netcdf(engine="h5netcdf"))

    def train_query(self, name: str) -> str:
        """Search part of the URL that trains on a data set."""
        return settings.query(self.dataset_config(name), {"experiment": name})

    def card(self, name: str) -> str:
        """Markdown text of the data-set card; "" if there is none."""
        path = CARDS / f"{name}.md"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def is_expensive(self, name: str) -> bool:
        """Whether the record is generated only on request."""
        experiment = experiments.get(name)
        is_immediate = getattr(experiment, "is_immediate", lambda config: not hasattr(experiment, "prepare"))
        return not is_immediate(self.dataset_config(name))
