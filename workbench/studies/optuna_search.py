"""Search over settings with Optuna; runs are the cells of studies, and complete cells are not repeated.

FOLDER/search.db      the trials (SQLite), unless another storage is given
FOLDER/cells/ID.nc    a run file per trial and seed
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from distributed import Client
from optuna.trial import TrialState

from workbench import experiments
from workbench.studies.runner import WorkerTasks, tasks_of
from workbench.studies.study import Study
from workbench.studies.task import Task, TaskOutcome, cell_path
from workbench.training import run_file

MESSAGE = "message"
"""Name of the Optuna attribute with the error message of a trial."""


@dataclass(frozen=True)
class Span:
    """Range of a numeric setting, bounds included. log: sample its logarithm uniformly."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected low < high, and low > 0 if log; found {self.low} and {self.high}")

    def suggest(self, trial: optuna.Trial, name: str) -> float | int:
        """Suggest a value; an integer if both bounds are."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """Set of values of a setting."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """Suggest a value."""
        return trial.suggest_categorical(name, list(self.values))


@dataclass(frozen=True)
class Search:
    """Search for settings of `experiment` that minimise the mean of `metric` over the seeds (`maximise`: maximise).

    folder: folder of the search. space: setting -> Span or Choice. storage: URL of the Optuna storage; None: SQLite in
    the folder. Raises ValueError for an empty space, or a name in it that is no setting, `seed` or in `settings`.
    """

    folder: Path
    experiment: str
    space: Mapping[str, Span | Choice]
    metric: str
    maximise: bool = False
    seeds: Iterable[int] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    storage: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).absolute())
        object.__setattr__(self, "seeds", tuple(self.seeds))
        fields = experiments.get(self.experiment).Config.model_fields
        wrong = [name for name in self.space if name not in fields or name in self.settings or name == "seed"]
        if wrong or not self.space:
            raise ValueError(
                f"{wrong or 'nothing'}: not among the free settings of {self.experiment}: {', '.join(fields)}"
            )

    def study(self, values: Mapping[str, Any]) -> Study:
        """Study of one trial, with a cell per seed."""
        return Study(self.folder, self.experiment, {}, self.seeds, {**self.settings, **values})

    def optuna_study(self) -> optuna.Study:
        """Open or create the Optuna study; trials of a killed search are queued again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=self.storage or f"sqlite:///{self.folder / 'search.db'}",
            study_name=self.folder.name,
            direction="maximize" if self.maximise else "minimize",
            load_if_exists=True,
        )
        study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))  # a resumed search must not repeat samples
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params, skip_if_exists=False)
        return study


@dataclass(frozen=True)
class Trial:
    """Completed trial; if it failed, `value` is None and `message` the reason."""

    number: int
    values: Mapping[str, Any]
    value: float | None
    message: str = ""


def search(given: Search, client: Client, trials: int, *, threads: int = 1) -> Iterator[Trial]:
    """Yield trials as they end, until `trials` are complete, including those of earlier calls.

    As many trials run concurrently as there are workers, each chosen from the results of all that have ended. A trial
    with invalid settings or a failed run counts as failed, and the search continues.
    """
    ledger = _Ledger(given, given.optuna_study(), threads)
    with WorkerTasks(client, given.folder) as tasks:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        width = max(1, workers // len(given.seeds))
        while True:
            while len(ledger.waiting) < width and ledger.begun < trials:
                failed, new_tasks = ledger.ask()
                if failed is not None:
                    yield failed
                for task in new_tasks:
                    tasks.add(task)
            if not ledger.waiting:
                return
            outcome = next(iter(tasks))
            yield from ledger.complete(outcome)


class _Ledger:
    """Running trials and their cells."""

    def __init__(self, definition: Search, study: optuna.Study, threads: int) -> None:
        self._definition = definition
        self._study = study
        self._threads = threads
        self._messages = {}
        self.waiting = {}
        trials = study.get_trials(deepcopy=False)
        self.begun = sum(trial.state == TrialState.COMPLETE or MESSAGE in trial.user_attrs for trial in trials)

    def ask(self) -> tuple[Trial | None, list[Task]]:
        """Begin a trial; returns the tasks of its cells that are not running, or the failed trial if it is invalid."""
        trial = self._study.ask()
        self.begun += 1
        values = {name: kind.suggest(trial, name) for name, kind in self._definition.space.items()}
        try:
            cells = self._definition.study(values).cells
        except ValueError as error:
            return self._tell(trial, values, None, str(error)), []
        running = {name for _, _, names in self.waiting.values() for name in names}
        self.waiting[trial.number] = (trial, values, [cell.id for cell in cells])
        new = [cell for cell in cells if cell.id not in running]
        return None, tasks_of(self._definition.experiment, new, self._definition.folder, self._threads)

    def complete(self, outcome: TaskOutcome) -> Iterator[Trial]:
        """Yield the trials of which this was the last cell."""
        self._messages[outcome.id] = outcome.message
        for number, (trial, values, names) in list(self.waiting.items()):
            if all(name in self._messages for name in names):
                del self.waiting[number]
                yield self._tell(trial, values, *self._mean_metric(names))

    def _mean_metric(self, names: list[str]) -> tuple[float | None, str]:
        """Mean of the metric over cells, or None and the reason."""
        if message := next(filter(None, (self._messages[name] for name in names)), ""):
            return None, message
        metrics = [run_file.summarise(cell_path(self._definition.folder, name)).metrics for name in names]
        metric = self._definition.metric
        if any(metric not in values for values in metrics):
            return None, f"a run reports no {metric!r}; it reports {', '.join(metrics[0])}"
        value = fmean(values[metric] for values in metrics)
        return (value, "") if isfinite(value) else (None, f"{metric} is {value}")

    def _tell(self, trial: optuna.Trial, values: dict[str, Any], value: float | None, message: str) -> Trial:
        if message:
            trial.set_user_attr(MESSAGE, message)
        self._study.tell(trial, value, state=TrialState.COMPLETE if value is not None else TrialState.FAIL)
        return Trial(trial.number, values, value, message)
