"""A differentiable solver for batches of linear ordinary differential equations on a time grid.

    from workbench.solver import LinearODE, solve
    u = solve(LinearODE(coefficients, forcing, initial, steps)).u

It requires only torch. The rows are defined in `rows`, the algorithms are in `backends`.
"""

from workbench.solver.backends import available
from workbench.solver.drop_in import ode_forward, ode_forward_basic, ode_forward_reference
from workbench.solver.factorize import Factorization, factorize
from workbench.solver.problem import LinearODE, Weights
from workbench.solver.solution import RankDeficient, Solution, Status
from workbench.solver.solve import solve

__all__ = [
    "Factorization",
    "LinearODE",
    "RankDeficient",
    "Solution",
    "Status",
    "Weights",
    "available",
    "factorize",
    "ode_forward",
    "ode_forward_basic",
    "ode_forward_reference",
    "solve",
]
