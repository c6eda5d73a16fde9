"""The state of the Compare page in one session: a problem, its solvers, what each gave. No widgets."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from pydantic import field_validator

from workbench.compare import Example, Variant, VariantResult, compare, every_variant
from workbench.dashboard.compare.race import Race, courses
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
"""By label; in this order they have the same colour on every page."""
FIRST = ("native qr", "banded qr", "banded cholesky", "dense qr")
RACERS = ("native", "banded", "dense")


def ticked(default: Any, text: str, *ticks: Any, **more: Any) -> Any:
    """A field that is moved with a slider over these values."""
    field = setting(default, text, **more)
    field.json_schema_extra["ticks"] = ticks
    return field


def several(default: str, text: str, options: tuple[str, ...], **more: Any) -> Any:
    """A field that holds some of these options, with commas between them."""
    field = setting(default, text, **more)
    field.json_schema_extra["many"] = options
    return field


class CompareConfig(PageConfig):
    """What the address of the Compare page holds."""

    problem: Literal[tuple(PARAMETERS)] = setting("oscillator", "An equation whose closed form is known.")
    points: int = ticked(
        100, "Grid points T.", *(n * 10**p for p in (1, 2, 3, 4) for n in (1, 2, 5)), 100_000, ge=4, le=1_000_000
    )
    step: float = ticked(
        0.05, "Step h between two grid points.", *(n * 10.0**-p for p in (4, 3, 2) for n in (1, 2, 5)), 0.1, 0.2, gt=0
    )
    derivatives: int = setting(3, "Derivatives K kept at every grid point; more than the order.", ge=2, le=7)
    noise: float = ticked(
        0.0,
        "0: the start is given. Above: only readings with noise of this standard deviation are.",
        *(0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
        ge=0,
    )
    rows: Literal["forward", "central"] = setting("forward", "Taylor rows from one side, or central ones, too.")
    precision: Literal["float64", "float32"] = setting("float64", "Precision of the numbers that go in and come out.")
    solvers: str = several(
        ", ".join(label for label in FIRST if label in VARIANTS), "Who solves it.", tuple(VARIANTS), group="solver"
    )
    budget: float = setting(2.0, "Seconds after which a solver is ended.", group="solver", unit="s", gt=0, le=60)
    memory: bool = setting(True, "Measure the memory, too, afterwards, in fresh processes.", group="solver")
    rate: float = setting(0.5, "Rate of the decay.", group="data", gt=0)
    frequency: float = setting(2.0, "Angular frequency of the driving force.", group="data", gt=0)
    damping: float = setting(0.1, "Damping of the oscillator.", group="data", ge=0)
    stiffness: float = setting(1.0, "Stiffness of the oscillator.", group="data", gt=0)
    seed: int = setting(0, "Seed of the noise.", group="data", ge=0, le=2**31 - 1)
    race: Literal[courses()] = setting("lorenz adam", "What the race trains: data set and mode.", group="training")
    left: Literal[RACERS] = setting("native", "The first solver of the race.", group="training")
    right: Literal[RACERS] = setting("dense", "The second solver of the race.", group="training")

    @field_validator("solvers")
    @classmethod
    def _known(cls, value: str) -> str:
        for name in chosen_names(value):
            if name not in VARIANTS:
                raise ValueError(f"{name} is not here; there is: {', '.join(VARIANTS)}")
        return value

    def example(self) -> Example:
        """The problem. Raises ValueError naming what does not fit."""
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
        """The chosen solvers, in the order of the table."""
        return [variant for label, variant in VARIANTS.items() if label in chosen_names(self.solvers)]


def chosen_names(text: str) -> list[str]:
    """The names of a text with commas between them."""
    return [name.strip() for name in text.split(",") if name.strip()]


@cache
def host() -> Host:
    """The one worker process of this server that solves what is not quick."""
    return Host()


class Bench:
    """Compares in a thread; what is asked last is what counts. `version` grows with every result, and `told` is called
    then, in that thread.
    """

    def __init__(self) -> None:
        self.results = {}
        self.memory = {}
        self.example = None
        self.busy = ""
        self.error = ""
        self.version = 0
        self.told = lambda: None
        self._asked = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = None

    def ask(self, config: CompareConfig) -> None:
        """Compare this; what runs is ended."""
        with self._lock:
            self._asked = config
            self._stop.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="compare", daemon=True)
                self._thread.start()

    def cancel(self) -> None:
        """End what runs; what is known stays."""
        with self._lock:
            self._asked = None
            self._stop.set()

    def _work(self) -> None:
        while True:
            with self._lock:
                config, self._asked = self._asked, None
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
            self.told()
        again = [result.variant for result in self.results.values() if result.u is not None]
        if not config.memory or stop.is_set() or not again:
            return
        self.busy = "measuring memory"
        self.version += 1
        for result in compare(example, again, budget=budget, memory=True, host=host(), stop=stop):
            self.memory = {**self.memory, result.variant.label: result.memory}
            self.version += 1


class CompareState(PageState):
    """The problem and the race of one session."""

    Config = CompareConfig
    title = "the Compare page"
    folds = {"solver": "Solvers", "training": "Race", "data": "Parameters"}

    def __init__(self, search: str = "", jobs: Registry = registry, bench: Callable[[], Bench] = Bench) -> None:
        super().__init__()
        self.jobs = jobs
        self.bench = bench()
        self.race = None
        self._asked = None
        self.read(search)

    def fields(self) -> list[Any]:
        """The settings that matter: of the parameters, those of the chosen problem."""
        own = PARAMETERS.get(str(self.shown()["problem"]), ())
        others = {name for names in PARAMETERS.values() for name in names} - set(own)
        return [field for field in super().fields() if field.name not in others]

    def _settle(self, given: Any) -> None:
        super()._settle(given)
        if self.config is None:
            return
        try:
            self.config.example()
        except ValueError as error:
            self.param.update(config=None, errors={_field_of(str(error)): str(error)})
            return
        asked = {name: value for name, value in self.config if name not in ("race", "left", "right")}
        if asked != self._asked:
            self._asked = asked
            self.bench.ask(self.config)

    def result(self, label: str) -> VariantResult | None:
        """What a solver gave, None while it is not known."""
        return self.bench.results.get(label)

    # the race

    def start_race(self) -> None:
        """Two trainings, same seed and data, another solver each, in step."""
        if self.config is None:
            return
        self.stop_race()
        try:
            self.race = Race(self.jobs, self.config.race, (self.config.left, self.config.right))
            self.race.start()
        except ValueError as error:
            self.tell(Notice("error", f"The race cannot start: {error}"))
        self.revision += 1

    def pause_race(self) -> None:
        """Pause both, or let both go on."""
        if self.race is not None:
            self.race.toggle()
            self.revision += 1

    def stop_race(self) -> None:
        """Stop both; both are kept as runs."""
        if self.race is not None:
            self.race.stop()
            self.revision += 1


def _field_of(text: str) -> str:
    """The field that a complaint of `Example` is about."""
    names = {"K": "derivatives", "T": "points", "damping": "damping", "noise": "noise", "h": "step"}
    return names.get(text.partition(":")[0], "points" if text.startswith("expected T") else "problem")
