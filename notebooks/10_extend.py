# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Extending the workbench
#
# A new dataset, experiment or solver backend is one file and one line in a table; the page, the command line, run files
# and tests then use it. This notebook defines all three in cells of about twenty lines each.

# %%
from types import SimpleNamespace

import numpy as np
import torch
import xarray as xr

from workbench.datasets import schema, windows
from workbench.datasets.ode import reference
from workbench.discovery.data import Trajectory
from workbench.discovery.engine.preparation import Settings
from workbench.discovery.engine.projection import Projection
from workbench.experiments import protocol
from workbench.experiments.equation import Equation
from workbench.experiments.report import Report
from workbench.solver import LinearODE, solve
from workbench.solver.backends import TABLE
from workbench.solver.rows import constants, rows
from workbench.symbolic.library import LibrarySpec
from workbench.training import Training

# %% [markdown]
# ## A dataset
#
# A dataset is a function that returns an `xarray.Dataset` with `truth` and `data` over (time, variable), and units.
# `schema.check` raises an error that states what is missing. The example is the system of Thomas,
# $\dot x = \sin y - b x$, and cyclic permutations of it for $y$ and $z$.

# %%
B = 0.2


def thomas(noise, seed):
    """The dataset. Its file would be workbench/datasets/thomas.py, with a card in data/cards."""
    time = 0.1 * np.arange(2000)
    truth = reference.reference(lambda t, u: np.sin(np.roll(u, -1)) - B * u, [1.0, 0.0, 0.5], time)
    data = truth + noise * np.random.default_rng(seed).standard_normal(truth.shape)
    units = {"units": "1", "long_name": "state"}
    values = {name: (("time", "variable"), value, units) for name, value in (("truth", truth), ("data", data))}
    coords = {"time": ("time", time, {"units": "1", "long_name": "time"}), "variable": ["x", "y", "z"]}
    return schema.check(xr.Dataset(values, coords=coords, attrs={"title": "Thomas' cyclically symmetric attractor"}))


# %% [markdown]
# ## An experiment
#
# An experiment has four parts: `Config` (the page, the command line and URLs are built from it), `data`, `model` and
# `report`. The model trains step by step; `Projection` is the discovery of the Train page, and `LibrarySpec` specifies
# the candidates: here a constant, the variables, and their sines and cosines.


# %%
class Config(protocol.Config):
    noise: float = protocol.setting(0.02, "Standard deviation of the noise.", ge=0, le=1)


def data(config):
    return thomas(config.noise, config.seed)


def model(config, data):
    library = LibrarySpec(degree=1, frequencies=(1.0,)).library(("x", "y", "z"))
    return Projection([Trajectory(windows.times(data), windows.tensor(data))], library, Settings(seed=config.seed))


def report(model, data):
    equations = []
    for v, column in zip("xyz", model.coefficients().T.tolist(), strict=True):
        terms = zip(column, model.library.latex, model.library.names, strict=True)
        equations.append(Equation(rf"\dot {v}", f"{v}'", tuple(term for term in terms if term[0])))
    return Report(tuple(equations))


experiment = SimpleNamespace(
    name="thomas", title="Thomas", summary="A system with sines.", Config=Config, data=data, model=model, report=report
)

# %%
training = Training(experiment, Config())
list(training)
for equation in training.report().equations:
    print(equation.text())
    assert len(equation.terms) == 2

# %% [markdown]
# ## A backend
#
# A backend is a module with a few functions; here an object replaces the module. This one minimises $|A u - b|^2$ by
# conjugate gradients. It is matrix-free: it applies the rows (`workbench.solver.rows`) and their transpose from
# autograd. The unknowns are scaled by powers of the step, which it needs to converge.


# %%
def normal_solve(problem, method, factor, g):
    """(A^T A)^-1 g by conjugate gradients, independent for every system."""
    h, K = problem.tensors["steps"].mean(-1), problem.K
    scale = (h[..., None, None, None] ** -torch.arange(K, device=h.device)).broadcast_to(g.shape)
    residual = scale * g
    x, p = torch.zeros_like(residual), residual
    square = residual.square().sum((-3, -2, -1), keepdim=True)
    for _ in range(20 * problem.T):
        apply, transposed = torch.func.vjp(lambda y: rows(problem, scale * y), p)
        q = transposed(apply)[0]
        step = square / (p * q).sum((-3, -2, -1), keepdim=True).clamp_min(1e-300)
        x, residual, last = x + step * p, residual - step * q, square
        square = residual.square().sum((-3, -2, -1), keepdim=True)
        p = residual + square / last.clamp_min(1e-300) * p
    return scale * x


def conjugate_gradients(problem, method, keep):
    zero = torch.zeros(*problem.batch, problem.T, problem.D, problem.K, dtype=problem.dtype)
    right = torch.func.vjp(lambda u: rows(problem, u), zero)[1](constants(problem).expand(rows(problem, zero).shape))[0]
    return normal_solve(problem, method, [], right), torch.zeros(problem.batch, dtype=torch.int64), []


TABLE["gradients"] = SimpleNamespace(
    METHODS=("cholesky",),
    unavailable_reason=lambda device: "",
    unsupported_reason=lambda problem, method: "" if problem.T <= 1000 else "too slow for more than 1,000 grid points",
    solve=conjugate_gradients,
    normal_solve=normal_solve,
    factor_shapes=lambda problem, method, keep: [],
)

# %%
c = torch.tensor([1.0, 0.1, 1.0], dtype=torch.float64).reshape(1, 1, 1, 3).requires_grad_()
forcing, initial = torch.zeros(1, 1, dtype=torch.float64), torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
problem = LinearODE(c, forcing, initial, torch.full((59,), 0.1, dtype=torch.float64))
new, banded = (solve(problem, backend=name, method="cholesky").u for name in ("gradients", "banded"))
gradients = [torch.autograd.grad(u[-1, 0, 0], c)[0].flatten() for u in (new, banded)]
print(f"largest difference {(new - banded).abs().max():.1e}, gradient {(gradients[0] - gradients[1]).abs().max():.1e}")
assert (new - banded).abs().max() < 1e-6

# %% [markdown]
# The derivative needs only `normal_solve`. Tests over all backends would include this one. The docstrings of
# `workbench.experiments.protocol` and `workbench.solver.backends.base` specify the parts, CONTRIBUTING.md the files.
