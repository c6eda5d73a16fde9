"""Diagnostics of discovered models: simulation, errors, Lyapunov exponent, Pareto front, identifiability warnings.

Functions of arrays and frozen dataclasses, independent of torch and of the experiments.
"""

from workbench._deprecated import moved_names
from workbench.diagnostics.errors import Horizon, Residuals, SimulationErrors, horizon, residuals, simulation_errors
from workbench.diagnostics.identifiability import (
    Collinearity,
    IdentifiabilityWarning,
    collinearity,
    identifiability_warnings,
)
from workbench.diagnostics.lyapunov import Lyapunov, lyapunov
from workbench.diagnostics.model import Discovered, Terms
from workbench.diagnostics.pareto import Front, pareto
from workbench.diagnostics.report import Diagnostics
from workbench.diagnostics.simulation import Simulation, simulate, simulate_bounded

__all__ = [
    "Collinearity",
    "Diagnostics",
    "Discovered",
    "Front",
    "Horizon",
    "IdentifiabilityWarning",
    "Lyapunov",
    "Residuals",
    "Simulation",
    "SimulationErrors",
    "Terms",
    "collinearity",
    "horizon",
    "identifiability_warnings",
    "lyapunov",
    "pareto",
    "residuals",
    "simulate",
    "simulate_bounded",
    "simulation_errors",
]

__getattr__ = moved_names(
    __name__,
    {
        "Doubt": "diagnostics.identifiability:IdentifiabilityWarning",
        "Judgement": "diagnostics.report:Diagnostics",
        "Misfit": "diagnostics.errors:SimulationErrors",
        "doubts": "diagnostics.identifiability:identifiability_warnings",
        "misfit": "diagnostics.errors:simulation_errors",
    },
)
