"""A search over settings with Optuna, over the same cells as a study: what was computed once is never repeated.

FOLDER/search.db      the trials (SQLite), unless another storage is named
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
from workbench.studies.runner import WorkerTasks, jobs
from workbench.studies.study import Study
from workbench.studies.task import Task, TaskOutcome, cell_path
from workbench.training import run_file

MESSAGE = "message"
"""Under this name Optuna keeps why a trial failed."""


@dataclass(frozen=True)
class Span:
    """A setting between two numbers, both included. log: tried evenly in its logarithm."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected low < high, above 0 for a logarithm; found {self.low} and {self.high}")

    def suggest(self, trial: optuna.Trial, name: str) -> float | int:
        """A value to try: a whole number where both ends are."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choice:
    """A setting that takes one of several values."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        """A value to try."""
        return trial.suggest_categorical(name, list(self.values))


@dataclass(frozen=True)
class Search:
    """Settings of `experiment` whose runs make `metric`, the mean over the seeds, small (large: `maximise`).

    folder: where it lies. space: setting -> Span or Choice. storage: Optuna's, None: SQLite in the folder.
    Raises ValueError for what is no setting.
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
        """The cells of one trial: one per seed."""
        return Study(self.folder, self.experiment, {}, self.seeds, {**self.settings, **values})

    def opened(self) -> optuna.Study:
        """Optuna's study, made where there is none; what a killed search had begun is queued again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = optuna.create_study(
            storage=self.storage or f"sqlite:///{self.folder / 'search.db'}",
            study_name=self.folder.name,
            direction="maximize" if self.maximise else "minimize",
            load_if_exists=True,
        )
        made.sampler = optuna.samplers.TPESampler(seed=len(made.trials))  # going on is not to draw the same again
        for trial in made.get_trials(states=(TrialState.RUNNING,)):
            made.tell(trial.number, state=TrialState.FAIL)
            made.enqueue_trial(trial.params, skip_if_exists=False)
        return made


@dataclass(frozen=True)
class Trial:
    """One trial at its end; `value` is None where it failed, for the reason in `message`."""

    number: int
    values: Mapping[str, Any]
    value: float | None
    message: str = ""


def search(given: Search, client: Client, trials: int, *, threads: int = 1) -> Iterator[Trial]:
    """Trials as they end, until `trials` of them are complete, those of earlier calls included.

    As many run at once as there are workers, each chosen in view of all that have ended before. A trial that the
    experiment refuses, or whose run fails, has failed, and the search goes on.
    """
    ledger = _Ledger(given, given.opened(), threads)
    with WorkerTasks(client, given.folder) as running:
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        width = max(1, workers // len(given.seeds))
        while True:
            while len(ledger.waiting) < width and ledger.begun < trials:
                begun, todo = ledger.ask()
                if begun is not None:
                    yield begun
                for job in todo:
                    running.add(job)
            if not ledger.waiting:
                return
            outcome = next(iter(running))
            yield from ledger.settle(outcome)


class _Ledger:
    """Which trials wait for which cells."""

    def __init__(self, given: Search, opened: optuna.Study, threads: int) -> None:
        self._given = given
        self._opened = opened
        self._threads = threads
        self._messages = {}
        self.waiting = {}
        trials = opened.get_trials(deepcopy=False)
        self.begun = sum(trial.state == TrialState.COMPLETE or MESSAGE in trial.user_attrs for trial in trials)

    def ask(self) -> tuple[Trial | None, list[Task]]:
        """Begin a trial: its cells that nobody computes yet, or the trial at its end where it is refused."""
        trial = self._opened.ask()
        self.begun += 1
        values = {name: kind.suggest(trial, name) for name, kind in self._given.space.items()}
        try:
            cells = self._given.study(values).cells
        except ValueError as error:
            return self._tell(trial, values, None, str(error)), []
        running = {name for _, _, names in self.waiting.values() for name in names}
        self.waiting[trial.number] = (trial, values, [cell.id for cell in cells])
        new = [cell for cell in cells if cell.id not in running]
        return None, jobs(self._given.experiment, new, self._given.folder, self._threads)

    def settle(self, outcome: TaskOutcome) -> Iterator[Trial]:
        """The trials for which this was the last cell."""
        self._messages[outcome.id] = outcome.message
        for number, (trial, values, names) in list(self.waiting.items()):
            if all(name in self._messages for name in names):
                del self.waiting[number]
                yield self._tell(trial, values, *self._judged(names))

    def _judged(self, names: list[str]) -> tuple[float | None, str]:
        """The mean of the metric over cells, or why there is none."""
        if message := next(filter(None, (self._messages[name] for name in names)), ""):
            return None, message
        found = [run_file.summarise(cell_path(self._given.folder, name)).metrics for name in names]
        metric = self._given.metric
        if any(metric not in metrics for metrics in found):
            return None, f"a run reports no {metric!r}; it reports {', '.join(found[0])}"
        value = fmean(metrics[metric] for metrics in found)
        return (value, "") if isfinite(value) else (None, f"{metric} is {value}")

    def _tell(self, trial: optuna.Trial, values: dict[str, Any], value: float | None, message: str) -> Trial:
        if message:
            trial.set_user_attr(MESSAGE, message)
        self._opened.tell(trial, value, state=TrialState.COMPLETE if value is not None else TrialState.FAIL)
        return Trial(trial.number, values, value, message)
