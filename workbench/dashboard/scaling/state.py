"""State of the Scaling page in one session. Measurements belong to the server, like runs."""

import re
import secrets
import tempfile
import threading
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from workbench.compare import on_device
from workbench.dashboard.compare.state import (
    VARIANTS,
    host,
    multiple_choice,
    require_variants,
    slider_setting,
    split_names,
)
from workbench.dashboard.forms.page_state import Notice, PageConfig, PageState
from workbench.datasets.store import data_folder
from workbench.experiments.protocol import setting
from workbench.scaling import Budget, Case, Point, from_dataset, grid, load, measure, save, write_csv

DECADES = tuple(n * 10**p for p in (1, 2, 3, 4, 5) for n in (1, 2, 5))
MAX_STUDIES = 20
"""Number of measured studies that the server keeps in memory."""


class ScalingConfig(PageConfig):
    """Settings of the Scaling page, stored in its URL."""

    axis: Literal["T", "B"] = setting("T", "Problem size to vary: grid points T or systems B.")
    first: int = slider_setting(20, "Smallest size.", *DECADES, ge=2, le=1_000_000)
    last: int = slider_setting(5000, "Largest size.", *DECADES, 1_000_000, ge=2, le=10_000_000)
    per_decade: int = setting(3, "Sizes per factor of ten.", ge=1, le=6)
    quantity: Literal["time", "memory"] = setting("time", "Quantity to plot.")
    part: Literal["both", "forward", "backward"] = setting("both", "Pass to time.")
    solvers: str = multiple_choice(
        ", ".join(label for label in ("native qr", "banded qr", "dense qr") if label in VARIANTS),
        "Solvers to measure.",
        tuple(VARIANTS),
        group="solver",
    )
    rows: Literal["forward", "central"] = setting(
        "forward", "Taylor rows: forward only, or forward and central.", group="solver"
    )
    precision: Literal["float64", "float32"] = setting("float64", "Floating-point precision of inputs.", group="solver")
    size: int = setting(
        1, "The fixed size: systems B if T is varied, grid points T if B is varied.", group="data", ge=1, le=10**6
    )
    unknowns: int = setting(1, "Number of variables D and equations E per system.", group="data", ge=1, le=16)
    derivatives: int = setting(3, "Derivatives K per grid point.", group="data", ge=2, le=7)
    seconds: float = setting(
        2.0, "Time budget per point; a point that exceeds it is marked.", group="training", unit="s", gt=0, le=600
    )
    memory: int = setting(0, "Memory budget per point; 0: half of the free memory.", group="training", unit="MB", ge=0)
    repeats: int = setting(3, "Passes per point; the median is used.", group="training", ge=1, le=50)
    overlay: str = setting("", "Saved studies to overlay, separated by commas.", group="data")
    study: str = setting("", "Study to show.", group="data")

    @field_validator("solvers")
    @classmethod
    def _solvers_exist(cls, value: str) -> str:
        return require_variants(value)

    @field_validator("last")
    @classmethod
    def _at_least_first(cls, value: int, info: Any) -> int:
        if value < info.data.get("first", value):
            raise ValueError(f"expected at least the first size, {info.data['first']}, not {value}")
        return value

    def cases(self) -> list[Case]:
        """One case per solver; the varied size is replaced later."""
        sizes = {"T": 2, "B": self.size} if self.axis == "T" else {"T": max(2, self.size), "B": 1}
        options = {"E": self.unknowns, "D": self.unknowns, "K": self.derivatives, "central": self.rows == "central"}
        names = [label for label in VARIANTS if label in split_names(self.solvers)]
        variants = [VARIANTS[name] for name in names]
        cases = [Case(**sizes, **options, dtype=self.precision, backend=v.backend, method=v.method) for v in variants]
        return [on_device(case, v) for case, v in zip(cases, variants, strict=True)]

    def budget(self) -> Budget:
        """Time and memory budget per point."""
        return Budget(seconds=self.seconds, memory=self.memory * 10**6 or None)


class ScalingMeasurement:
    """Study measured point by point in a thread. version: increases with every point."""

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
        """Start measuring."""
        threading.Thread(target=self._run, name=self.id, daemon=True).start()

    def cancel(self) -> None:
        """Stop the current point and skip the rest."""
        self._stop.set()

    def _run(self) -> None:
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
"""Studies measured on this server, oldest first."""


class ScalingState(PageState):
    """Study and overlays of one session."""

    Config = ScalingConfig
    title = "the Scaling page"
    groups = {"solver": "Solvers", "data": "Problem", "training": "Budget"}
    hidden = ("overlay", "study")

    def __init__(self, search: str = "") -> None:
        super().__init__()
        self.saved = saved_names()
        self._loaded = {}
        self.read(search)
        missing = [name for name in self.overlays(available_only=False) if name not in self.saved]
        if missing:
            self.notify(Notice("warning", f"The URL requests studies that do not exist: {', '.join(missing)}."))
        if (name := self.values()["study"]) and name not in STUDIES:
            self.notify(Notice("warning", f"The URL requests study={name}, which is not on this server."))
            self.enter("study", "")

    @property
    def study(self) -> ScalingMeasurement | None:
        """Displayed study."""
        return STUDIES.get(str(self.values()["study"]))

    def start(self) -> None:
        """Measure a study with the current settings."""
        if self.config is None or (self.study is not None and self.study.running):
            return
        study = ScalingMeasurement(self.config)
        STUDIES[study.id] = study
        for name in list(STUDIES)[: max(0, len(STUDIES) - MAX_STUDIES)]:
            if not STUDIES[name].running:
                del STUDIES[name]
        self.enter("study", study.id)
        study.start()

    def cancel(self) -> None:
        """Cancel the displayed study; its points are kept."""
        if self.study is not None:
            self.study.cancel()

    def overlays(self, *, available_only: bool = True) -> list[str]:
        """Names of the overlaid studies."""
        return [name for name in split_names(self.values()["overlay"]) if not available_only or name in self.saved]

    def curves(self) -> list[tuple[str, list[Point]]]:
        """Points of the displayed study (named "") and of every overlaid one."""
        curves = [("", self.study.points)] if self.study is not None and self.study.points else []
        for name in self.overlays():
            if name not in self._loaded:
                try:
                    self._loaded[name] = from_dataset(load(studies_folder() / f"{name}.nc"))
                except (ValueError, FileNotFoundError) as error:
                    self._loaded[name] = []
                    self.notify(Notice("error", f"The study {name} cannot be read: {error}", repr(error)))
            curves.append((name, self._loaded[name]))
        return curves

    def save(self, name: str) -> None:
        """Save the displayed study. The name has letters, digits, - and _; existing studies are not overwritten."""
        if self.study is None or not self.study.points:
            return
        if not re.fullmatch(r"[\w-]{1,60}", name):
            self.notify(Notice("warning", f"Expected a name of letters, digits, - and _, not “{name}”."))
            return
        if name in saved_names():
            self.notify(Notice("warning", f"A study “{name}” already exists; choose another name."))
            return
        save(self.study.points, studies_folder() / f"{name}.nc", axis=self.study.config.axis)
        self.saved = saved_names()
        self.notify(Notice("info", f"Saved as {name}."))

    def csv(self) -> bytes:
        """Points of the displayed study as CSV."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "study.csv"
            write_csv(self.study.points, path)
            return path.read_bytes()


def studies_folder() -> Path:
    """Folder of saved studies: `studies` in the data folder; not created here."""
    return data_folder() / "studies"


def saved_names() -> list[str]:
    """Names of the saved studies."""
    return sorted(path.stem for path in studies_folder().glob("*.nc"))
