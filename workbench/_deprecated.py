"""Aliases of public names moved since version 0.1; they raise a DeprecationWarning, and end with version 0.3."""

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULES = {
    "datasets.etdrk4": "datasets.pde.etdrk4",
    "datasets.field_files": "datasets.pde.hdf5",
    "datasets.field_following": "datasets.pde.rollout",
    "datasets.linear": "datasets.ode.linear",
    "datasets.logistic": "datasets.ode.logistic",
    "datasets.lorenz": "datasets.ode.lorenz",
    "datasets.simulate": "datasets.ode.reference",
    "datasets.sine": "datasets.ode.sine",
    "datasets.sst_record": "datasets.sst.dataset",
    "datasets.sst_synthetic": "datasets.sst.synthetic",
    "datasets.systems": "datasets.ode.systems",
    "datasets.tables": "datasets.tabular",
    "datasets.tables.assembly": "datasets.tabular.build",
    "datasets.tables.cells": "datasets.tabular.parse",
    "datasets.tables.example": "datasets.tabular.example",
    "datasets.tables.hdf5": "datasets.tabular.hdf5",
    "datasets.tables.keeping": "datasets.tabular.cache",
    "datasets.tables.netcdf": "datasets.tabular.netcdf",
    "datasets.tables.parquet": "datasets.tabular.parquet",
    "datasets.tables.reading": "datasets.tabular.read",
    "datasets.tables.roles": "datasets.tabular.columns",
    "datasets.tables.sheet": "datasets.tabular.sheet",
    "datasets.tables.text": "datasets.tabular.csv",
    "datasets.tables.times": "datasets.tabular.sampling",
    "datasets.tables.values": "datasets.tabular.convert",
    "datasets.waves": "datasets.pde.equations",
    "experiments.discovered": "experiments.discovery_base",
    "experiments.judgement": "experiments.diagnose",
    "experiments.sst_maps": "experiments.sst.maps",
    "experiments.sst_report": "experiments.sst.reports",
    "inline": "dashboard.app.notebook",
    "judging": "diagnostics",
    "judging.chaos": "diagnostics.lyapunov",
    "judging.doubts": "diagnostics.identifiability",
    "judging.fit": "diagnostics.errors",
    "judging.front": "diagnostics.pareto",
    "judging.judgement": "diagnostics.report",
    "judging.model": "diagnostics.model",
    "judging.runge": "diagnostics.runge_kutta",
    "judging.simulation": "diagnostics.simulation",
    "metrics": "diagnostics.metrics",
    "models.adam": "discovery.neural.adam",
    "models.adam_solved": "discovery.neural.adam_varpro",
    "models.baselines": "models.sst.baselines",
    "models.blocks": "discovery.engine.blocks",
    "models.continuation": "models.ode.window_network",
    "models.coupling": "models.sst.correction",
    "models.degrees": "discovery.search",
    "models.direct": "models.sst.forecaster",
    "models.discovery": "discovery.engine.projection",
    "models.estimates": "discovery.engine.estimates",
    "models.exporting": "symbolic.export",
    "models.expressions": "symbolic.parser",
    "models.field_projection": "discovery.pde.weak_form",
    "models.field_terms": "discovery.pde.terms",
    "models.flow": "symbolic.vector_field",
    "models.forecast": "models.kdv.forecast",
    "models.forecast_networks": "models.kdv.networks",
    "models.growth": "models.ode.logistic",
    "models.identifier": "models.sst.identifier",
    "models.library": "symbolic.library",
    "models.mixture": "models.sst.kriging",
    "models.networks": "discovery.neural.networks",
    "models.noise": "discovery.noise",
    "models.ode_library": "models.sst.ode_library",
    "models.oscillation": "models.ode.oscillator",
    "models.preparation": "discovery.engine.preparation",
    "models.program": "symbolic.evaluator",
    "models.recipe": "symbolic.library",
    "models.responses": "discovery.engine.responses",
    "models.result": "discovery.engine.result",
    "models.selection": "discovery.engine.selection",
    "models.smoothing": "discovery.smoothing",
    "models.solving": "discovery.solving",
    "models.symmetries": "models.kdv.augmentation",
    "models.tangent": "discovery.engine.tangent",
    "models.terms": "symbolic.expr",
    "models.trajectories": "discovery.data",
    "models.twins": "symbolic.duplicates",
    "models.uncertainty": "discovery.uncertainty",
    "models.validation": "models.ode.validation",
    "models.writing": "symbolic.printers",
    "records": "training.history",
    "runs": "training.run_file",
    "scaling.host": "jobs.sandbox",
    "scaling.worker": "jobs.worker",
    "solver.backends.cuda_call": "solver.backends.cuda.call",
    "solver.backends.cuda_plan": "solver.backends.cuda.plan",
    "solver.launcher": "solver.backends.cuda.nvrtc",
    "solver.library": "solver.torch_ops",
    "solver.operators": "solver.autograd",
    "solver.sizes": "solver.shapes",
    "studies.cell": "studies.task",
    "studies.command": "studies.cli",
    "studies.engine": "studies.runner",
    "studies.parallel": "training.distributed",
    "studies.plan": "studies.study",
    "studies.searching": "studies.optuna_search",
    "studies.table": "studies.result_table",
    "views": "plots",
    "views.cells": "plots.studies.heatmap",
    "views.certainty": "plots.equations.confidence",
    "views.coefficients": "plots.equations.coefficients",
    "views.equation": "plots.equations.equation",
    "views.growth": "plots.studies.scaling",
    "views.intervals": "plots.equations.intervals",
    "views.judgement": "plots.equations.diagnostics",
    "views.loss": "plots.loss",
    "views.maps": "plots.fields.maps",
    "views.overlay": "plots.studies.run_overlay",
    "views.palette": "plots.palette",
    "views.parameters": "plots.equations.parameters",
    "views.pareto": "plots.equations.pareto",
    "views.picture": "plots.picture",
    "views.record": "plots.summary",
    "views.residuals": "plots.equations.residuals",
    "views.scrolled": "plots.scrolled",
    "views.simulated": "plots.equations.simulation",
    "views.skill": "plots.fields.skill",
    "views.solutions": "plots.studies.solutions",
    "views.thumbnail": "plots.thumbnail",
    "views.trajectory": "plots.trajectory",
    "views.waves": "plots.fields.images",
}
"""Old module -> new module, both below `workbench`."""


class MovedModules(MetaPathFinder, Loader):
    """Import the modules of `MODULES` by their old names, with a warning.

    It must be the first finder: a moved package shares the path of the new one, so that another finder would import a
    file of the same name twice.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Spec of a moved module; None for other names."""
        return ModuleSpec(name, self) if name.removeprefix("workbench.") in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Register the module of the new name under the old one."""
        name = module.__name__
        new = f"workbench.{MODULES[name.removeprefix('workbench.')]}"
        warn(name, new)
        sys.modules[name] = import_module(new)


def install() -> None:
    """Enable imports by the old names."""
    if not any(isinstance(finder, MovedModules) for finder in sys.meta_path):
        sys.meta_path.insert(0, MovedModules())


def moved_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Create the `__getattr__` of `module` for `names`: old name -> "module:name" below `workbench`."""

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, _, attribute = names[name].partition(":")
        warn(f"{module}.{name}", f"workbench.{home}.{attribute}")
        return getattr(import_module(f"workbench.{home}"), attribute)

    return __getattr__


def warn(old: str, new: str) -> None:
    """Warn at the line of the user's code that imports `old`."""
    warnings.warn(f"{old} has moved to {new}; the old name ends with version 0.3", DeprecationWarning, stacklevel=3)
