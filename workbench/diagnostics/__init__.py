"""How far a discovered model can be trusted: simulated, compared, measured for chaos, and doubted in words.

Everything takes and gives numbers and frozen records; nothing here knows torch or an experiment.
"""

from workbench._deprecated import moved_names
from workbench.diagnostics.errors import Horizon, Residuals, SimulationErrors, horizon, residuals, simulation_errors
from workbench.diagnostics.identifiability import Collinearity, Doubt, collinearity, doubts
from workbench.diagnostics.lyapunov import Lyapunov, lyapunov
from workbench.diagnostics.model import Discovered, Terms
from workbench.diagnostics.pareto import Front, pareto
from workbench.diagnostics.report import Diagnostics
from workbench.diagnostics.simulation import Simulation, simulate

__all__ = [
    "Collinearity",
    "Diagnostics",
    "Discovered",
    "Doubt",
    "Front",
    "Horizon",
    "Lyapunov",
    "Residuals",
    "Simulation",
    "SimulationErrors",
    "Terms",
    "collinearity",
    "doubts",
    "horizon",
    "lyapunov",
    "pareto",
    "residuals",
    "simulate",
    "simulation_errors",
]

__getattr__ = moved_names(
    __name__,
    {
        "Judgement": "diagnostics.report:Diagnostics",
        "Misfit": "diagnostics.errors:SimulationErrors",
        "misfit": "diagnostics.errors:simulation_errors",
    },
)
