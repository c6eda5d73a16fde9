"""State of the Compare page in one session: problem, solvers, results, race. No widgets."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from pydantic import field_validator

from workbench.compare import Example, Variant, VariantResult, compare, every_variant
from workbench.dashboard.compare.race import Race, race_options
from workbench.dashboard.forms.page_state import Notice, PageConfig, PageState
from workbench.experiments.protocol import setting
from workbench.jobs.registry import Registry, registry
from workbench.scaling import Budget, Host

PARAMETERS = {
    "decay": ("rate",),
    "oscillator": ("damping", "stiffness"),
    "driven": ("rate", "frequency"),
}
VARIANTS = {variant.label: variant for variant in every_variant()}
"""Solver variants by label; the order determines their colour on every page."""
DEFAULT_SOLVERS = ("native qr", "banded qr", "banded cholesky", "dense qr")
RACE_BACKENDS = ("native", "banded", "dense")


def slider_setting(default: Any, description: str, *ticks: Any, **options: Any) -> Any:
    """Field with a slider over the given values."""
    field = setting(default, description, **options)
    field.json_schema_extra["ticks"] = ticks
    return field


def multiple_choice(default: str, description: str, choices: tuple[str, ...], **options: Any) -> Any:
    """Field with a comma-separated list of choices."""
    field = setting(default, description, **options)
    field.json_schema_extra["many"] = choices
    return field


class CompareConfig(PageConfig):
    """Settings of the Compare page, stored in its URL."""

    problem: Literal[tuple(PARAMETERS)] = setting("oscillator", "Equation with a known closed-form solution.")
    points: int = slider_setting(
        100,
        "Grid points T.",
        *(n * 10**p for p in (1, 2, 3, 4) for n in (1, 2, 5)),
        100_000,
        ge=4,
        le=1_000_000,
    )
    step: float = slider_setting(
        0.05, "Step h between grid points.", *(n * 10.0**-p for p in (4, 3, 2) for n in (1, 2, 5)), 0.1, 0.2, gt=0
    )
    derivatives: int = setting(3, "Derivatives K per grid point; must exceed the order.", ge=2, le=7)
    noise: float = slider_setting(
        0.0,
        "Noise level (standard deviation) of the measurements; 0: initial values are given instead.",
        *(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
        ge=0,
    )
    rows: Literal["forward", "central"] = setting("forward", "Taylor rows: forward only, or forward and central.")
    precision: Literal["float64", "float32"] = setting("float64", "Floating-point precision of inputs and outputs.")
    solvers: str = multiple_choice(
        ", ".join(label for label in DEFAULT_SOLVERS if label in VARIANTS),
        "Solvers to compare.",
        tuple(VARIANTS),
        group="solver",
    )
    budget: float = setting(2.0, "Time limit per solver.", group="solver", unit="s", gt=0, le=60)
    memory: bool = setting(True, "Measure peak memory afterwards, in separate processes.", group="solver")
    rate: float = setting(0.5, "Decay rate.", group="data", gt=0)
    frequency: float = setting(2.0, "Angular frequency of the forcing.", group="data", gt=0)
    damping: float = setting(0.1, "Damping coefficient of the oscillator.", group="data", ge=0)
    stiffness: float = setting(1.0, "Stiffness of the oscillator.", group="data", gt=0)
    seed: int = setting(0, "Random seed of the noise.", group="data", ge=0, le=2**31 - 1)
    race: Literal[race_options()] = setting("lorenz adam", "Training of the race: data set and mode.", group="training")
    left: Literal[RACE_BACKENDS] = setting("native", "First solver of the race.", group="training")
    right: Literal[RACE_BACKENDS] = setting("dense", "Second solver of the race.", group="training")

    @field_validator("solvers")
    @classmethod
    def _solvers_exist(cls, value: str) -> str:
        return require_variants(value)

    def example(self) -> Example:
        """Problem to solve. Raises ValueError for inconsistent settings."""
        values = {name: getattr(self, name) for name in PARAMETERS[self.problem]}
        return Example(
            form=self.problem,
            T=self.points,
            h=self.step,
            K=self.derivatives,
            noise=self.noise,
            central=self.rows == "central",
            dtype=self.precision,
            seed=self.seed,
            parameters=values,
        )

    def variants(self) -> list[Variant]:
        """Selected solvers, in the order of VARIANTS."""
        return [variant for label, variant in VARIANTS.items() if label in split_names(self.solvers)]


def split_names(text: str) -> list[str]:
    """Names in a comma-separated list."""
    return [name.strip() for name in text.split(",") if name.strip()]


def require_variants(labels: str) -> str:
    """Return a comma-separated list of solvers. Raises ValueError for an unknown one."""
    for name in split_names(labels):
        if name not in VARIANTS:
            raise ValueError(f"unknown solver {name}; available: {', '.join(VARIANTS)}")
    return labels


@cache
def host() -> Host:
    """Worker process of this server for long solves."""
    return Host()


class Comparison:
    """Comparison of solvers in a thread; a new request replaces the current one.

    version: increases with every result. on_result: called in the thread after every result.
    """

    def __init__(self) -> None:
        self.results = {}
        self.memory = {}
        self.example = None
        self.busy = ""
        self.error = ""
        self.version = 0
        self.on_result = lambda: None
        self._request = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = None

    def request(self, config: CompareConfig) -> None:
        """Compare the solvers of a configuration; a running comparison is stopped."""
        with self._lock:
            self._request = config
            self._stop.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="compare", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        """Stop the running comparison; its results are kept."""
        with self._lock:
            self._request = None
            self._stop.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                config, self._request = self._request, None
                if config is None:
                    self._thread, self.busy = None, ""
                    self.version += 1
                    return
                self._stop = stop = threading.Event()
            try:
                self._compare(config, stop)
            except Exception as error:
                self.error = str(error) or type(error).__name__
                self.version += 1

    def _compare(self, config: CompareConfig, stop: threading.Event) -> None:
        example, budget = config.example(), Budget(seconds=config.budget)
        self.example, self.results, self.memory, self.error, self.busy = example, {}, {}, "", "solving"
        self.version += 1
        for result in compare(example, config.variants(), budget=budget, host=host(), stop=stop):
            if stop.is_set():
                return
            self.results = {**self.results, result.variant.label: result}
            self.version += 1
            self.on_result()
        solved = [result.variant for result in self.results.values() if result.u is not None]
        if not config.memory or stop.is_set() or not solved:
            return
        self.busy = "measuring memory"
        self.version += 1
        for result in compare(example, solved, budget=budget, memory=True, host=host(), stop=stop):
            self.memory = {**self.memory, result.variant.label: result.memory}
            self.version += 1


class CompareState(PageState):
    """Problem and race of one session."""

    Config = CompareConfig
    title = "the Compare page"
    groups = {"solver": "Solvers", "training": "Race", "data": "Parameters"}

    def __init__(
        self, search: str = "", jobs: Registry = registry, comparison: Callable[[], Comparison] = Comparison
    ) -> None:
        super().__init__()
        self.jobs = jobs
        self.comparison = comparison()
        self.race = None
        self._request = None
        self.read(search)

    def fields(self) -> list[Any]:
        """Settings of the current mode, with only the parameters of the selected problem."""
        parameters = PARAMETERS.get(str(self.values()["problem"]), ())
        hidden = {name for names in PARAMETERS.values() for name in names} - set(parameters)
        return [field for field in super().fields() if field.name not in hidden]

    def _validate(self, entered: Any) -> None:
        super()._validate(entered)
        if self.config is None:
            return
        try:
            self.config.example()
        except ValueError as error:
            self.param.update(config=None, errors={_field_of(str(error)): str(error)})
            return
        request = {name: value for name, value in self.config if name not in ("race", "left", "right")}
        if request != self._request:
            self._request = request
            self.comparison.request(self.config)

    def result(self, label: str) -> VariantResult | None:
        """Result of a solver, None if it is not available."""
        return self.comparison.results.get(label)

    # race

    def start_race(self) -> None:
        """Start the same training with two solvers, in lockstep."""
        if self.config is None:
            return
        self.stop_race()
        try:
            self.race = Race(self.jobs, self.config.race, (self.config.left, self.config.right))
            self.race.start()
        except ValueError as error:
            self.notify(Notice("error", f"The race cannot start: {error}"))
        self.revision += 1

    def pause_race(self) -> None:
        """Pause or resume both trainings."""
        if self.race is not None:
            self.race.toggle()
            self.revision += 1

    def stop_race(self) -> None:
        """Stop both trainings; both are kept as runs."""
        if self.race is not None:
            self.race.stop()
            self.revision += 1


def _field_of(text: str) -> str:
    """Field to which an error message of `Example` refers."""
    names = {"K": "derivatives", "T": "points", "damping": "damping", "noise": "noise", "h": "step"}
    return names.get(text.partition(":")[0], "points" if text.startswith("expected T") else "problem")
