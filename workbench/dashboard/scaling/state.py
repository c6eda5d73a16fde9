"""The state of the Scaling page in one session. What is measured belongs to the server, as runs do."""

import re
import secrets
import tempfile
import threading
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from workbench.compare import placed
from workbench.dashboard.compare.state import VARIANTS, chosen_names, host, several, ticked
from workbench.dashboard.forms.page_state import Notice, PageConfig, PageState
from workbench.datasets.store import data_folder
from workbench.experiments.protocol import setting
from workbench.scaling import Budget, Case, Point, from_dataset, grid, load, measure, save, write_csv

DECADES = tuple(n * 10**p for p in (1, 2, 3, 4, 5) for n in (1, 2, 5))
KEPT = 20
"""How many measured studies the server remembers."""


class ScalingConfig(PageConfig):
    """What the address of the Scaling page holds."""

    axis: Literal["T", "B"] = setting("T", "What grows: the grid points T or the systems B.")
    first: int = ticked(20, "The smallest size.", *DECADES, ge=2, le=1_000_000)
    last: int = ticked(5000, "The largest size.", *DECADES, 1_000_000, ge=2, le=10_000_000)
    per_decade: int = setting(3, "Sizes per factor of ten.", ge=1, le=6)
    quantity: Literal["time", "memory"] = setting("time", "What is drawn.")
    part: Literal["both", "forward", "backward"] = setting("both", "Which pass the time is of.")
    solvers: str = several(
        ", ".join(label for label in ("native qr", "banded qr", "dense qr") if label in VARIANTS),
        "Who is measured.",
        tuple(VARIANTS),
        group="solver",
    )
    rows: Literal["forward", "central"] = setting(
        "forward", "Taylor rows from one side, or central ones.", group="solver"
    )
    precision: Literal["float64", "float32"] = setting("float64", "Precision of what goes in.", group="solver")
    size: int = setting(
        1, "The other size: systems while T grows, grid points while B does.", group="data", ge=1, le=10**6
    )
    unknowns: int = setting(1, "Variables D and equations E of one system.", group="data", ge=1, le=16)
    derivatives: int = setting(3, "Derivatives K at every grid point.", group="data", ge=2, le=7)
    seconds: float = setting(2.0, "Budget of one point; above it is a mark.", group="training", unit="s", gt=0, le=600)
    memory: int = setting(0, "Budget of one point, 0: half of what is free.", group="training", unit="MB", ge=0)
    repeats: int = setting(3, "Passes per point; the median counts.", group="training", ge=1, le=50)
    overlay: str = setting("", "Saved studies laid over this one, with commas between them.", group="data")
    study: str = setting("", "The study that is shown.", group="data")

    @field_validator("solvers")
    @classmethod
    def _known(cls, value: str) -> str:
        for name in chosen_names(value):
            if name not in VARIANTS:
                raise ValueError(f"{name} is not here; there is: {', '.join(VARIANTS)}")
        return value

    @field_validator("last")
    @classmethod
    def _grows(cls, value: int, info: Any) -> int:
        if value < info.data.get("first", value):
            raise ValueError(f"at least the first size, {info.data['first']}, is needed, not {value}")
        return value

    def cases(self) -> list[Case]:
        """One case per solver; the size that grows is replaced."""
        sizes = {"T": 2, "B": self.size} if self.axis == "T" else {"T": max(2, self.size), "B": 1}
        more = {"E": self.unknowns, "D": self.unknowns, "K": self.derivatives, "central": self.rows == "central"}
        names = [label for label in VARIANTS if label in chosen_names(self.solvers)]
        variants = [VARIANTS[name] for name in names]
        made = [Case(**sizes, **more, dtype=self.precision, backend=v.backend, method=v.method) for v in variants]
        return [placed(case, v) for case, v in zip(made, variants, strict=True)]

    def budget(self) -> Budget:
        """What one point may take."""
        return Budget(seconds=self.seconds, memory=self.memory * 10**6 or None)


class ScalingMeasurement:
    """A study that is measured in a thread, point by point. `version` grows with every point."""

    def __init__(self, config: ScalingConfig) -> None:
        self.id = f"study-{secrets.token_hex(4)}"
        self.config = config
        self.points = []
        self.running = True
        self.error = ""
        self.version = 0
        self.total = 0
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to measure."""
        threading.Thread(target=self._work, name=self.id, daemon=True).start()

    def cancel(self) -> None:
        """End the running point and measure no other."""
        self._stop.set()

    def _work(self) -> None:
        config = self.config
        try:
            sizes, cases = grid(config.first, config.last, config.per_decade), config.cases()
            self.total = len(sizes) * len(cases)
            options = {"budget": config.budget(), "repeats": config.repeats, "stop": self._stop, "host": host()}
            for point in measure(cases, config.axis, sizes, **options):
                self.points = [*self.points, point]
                self.version += 1
        except Exception as error:
            self.error = str(error) or type(error).__name__
        self.running = False
        self.version += 1


STUDIES: dict[str, ScalingMeasurement] = {}
"""What this server has measured, oldest first."""


class ScalingState(PageState):
    """What one session measures and lays over it."""

    Config = ScalingConfig
    title = "the Scaling page"
    folds = {"solver": "Solvers", "data": "Problem", "training": "Budget"}
    hidden = ("overlay", "study")

    def __init__(self, search: str = "") -> None:
        super().__init__()
        self.saved = saved_names()
        self._loaded = {}
        self.read(search)
        missing = [name for name in self.overlays(shown=False) if name not in self.saved]
        if missing:
            self.tell(Notice("warning", f"The address asks for studies that are not there: {', '.join(missing)}."))
        if (name := self.shown()["study"]) and name not in STUDIES:
            self.tell(Notice("warning", f"The address asks for study={name}, which this server does not hold."))
            self.enter("study", "")

    @property
    def study(self) -> ScalingMeasurement | None:
        """The study in view."""
        return STUDIES.get(str(self.shown()["study"]))

    def start(self) -> None:
        """Measure the present settings."""
        if self.config is None or (self.study is not None and self.study.running):
            return
        study = ScalingMeasurement(self.config)
        STUDIES[study.id] = study
        for name in list(STUDIES)[: max(0, len(STUDIES) - KEPT)]:
            if not STUDIES[name].running:
                del STUDIES[name]
        self.enter("study", study.id)
        study.start()

    def cancel(self) -> None:
        """End the study in view; its points stay."""
        if self.study is not None:
            self.study.cancel()

    def overlays(self, *, shown: bool = True) -> list[str]:
        """The saved studies that are laid over; `shown`: only those that are there."""
        return [name for name in chosen_names(self.shown()["overlay"]) if not shown or name in self.saved]

    def curves(self) -> list[tuple[str, list[Point]]]:
        """The points of the study in view (named ""), and of every one that is laid over it."""
        found = [("", self.study.points)] if self.study is not None and self.study.points else []
        for name in self.overlays():
            if name not in self._loaded:
                try:
                    self._loaded[name] = from_dataset(load(studies_folder() / f"{name}.nc"))
                except (ValueError, FileNotFoundError) as error:
                    self._loaded[name] = []
                    self.tell(Notice("error", f"The study {name} cannot be read: {error}", repr(error)))
            found.append((name, self._loaded[name]))
        return found

    def keep(self, name: str) -> None:
        """Save the study in view under a name of letters, digits, - and _; an old one is not replaced."""
        if self.study is None or not self.study.points:
            return
        if not re.fullmatch(r"[\w-]{1,60}", name):
            self.tell(Notice("warning", f"A name of letters, digits, - and _ is needed, not “{name}”."))
            return
        if name in saved_names():
            self.tell(Notice("warning", f"There is a study “{name}” already; choose another name."))
            return
        save(self.study.points, studies_folder() / f"{name}.nc", axis=self.study.config.axis)
        self.saved = saved_names()
        self.tell(Notice("info", f"Saved as {name}."))

    def csv(self) -> bytes:
        """The points of the study in view as CSV."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.csv"
            write_csv(self.study.points, path)
            return path.read_bytes()


def studies_folder() -> Path:
    """Where studies are saved: `studies` in the data folder; not created here."""
    return data_folder() / "studies"


def saved_names() -> list[str]:
    """The names of the saved studies."""
    return sorted(path.stem for path in studies_folder().glob("*.nc"))
