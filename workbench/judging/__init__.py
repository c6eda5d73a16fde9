"""How far a discovered model can be trusted: simulated, compared, measured for chaos, and doubted in words.

Everything takes and gives numbers and frozen records; nothing here knows torch or an experiment.
"""

from workbench.judging.chaos import Lyapunov, lyapunov
from workbench.judging.doubts import Collinearity, Doubt, collinearity, doubts
from workbench.judging.fit import Horizon, Misfit, Residuals, horizon, misfit, residuals
from workbench.judging.front import Front, pareto
from workbench.judging.judgement import Judgement
from workbench.judging.model import Discovered, Terms
from workbench.judging.simulation import Simulation, simulate

__all__ = [
    "Collinearity",
    "Discovered",
    "Doubt",
    "Front",
    "Horizon",
    "Judgement",
    "Lyapunov",
    "Misfit",
    "Residuals",
    "Simulation",
    "Terms",
    "collinearity",
    "doubts",
    "horizon",
    "lyapunov",
    "misfit",
    "pareto",
    "residuals",
    "simulate",
]
