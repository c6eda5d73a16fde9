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
# # From smnn.py to this solver
#
# Code written for the published `smnn.py` changes one import:
#
# ```python
# from smnn import ode_forward              # before
# from workbench.solver import ode_forward  # after
# ```
#
# Names, shapes and order of the arguments are the same. This notebook trains a small mechanistic network through that
# call, as published code would, and then shows what lies behind it.

# %%
import holoviews as hv
import torch

from workbench.solver import LinearODE, available, ode_forward, ode_forward_reference, solve

hv.extension("bokeh", inline=True)  # inline: the plots need no network
torch.manual_seed(0)

# %% [markdown]
# ## A layer as published code has it
#
# The network maps a short noisy record to the coefficients of an oscillator $c_0 u + c_1 u' + c_2 u'' = r$; the solver
# turns them into a curve; the loss compares the curve with the record. `ode_forward` is differentiable, so nothing
# else is needed. Shapes: coefficients (batch, T or 1, equations, variables, derivatives), right-hand side (batch, T or
# 1, equations), initial values (batch, points, variables, derivatives), steps (batch, T - 1 or 1).

# %%
T, B, step = 100, 32, 0.1
time = step * torch.arange(T)
frequency = 0.5 + 1.5 * torch.rand(B, 1)
clean = torch.cos(frequency * time)
records = clean + 0.1 * torch.randn(B, T)


class Mechanistic(torch.nn.Module):
    """A record (B, T) to the solution (B, T) of the oscillator that the network finds in it."""

    def __init__(self):
        super().__init__()
        self.network = torch.nn.Sequential(torch.nn.Linear(T, 64), torch.nn.Tanh(), torch.nn.Linear(64, 4))

    def forward(self, x):
        stiffness, damping, start, velocity = self.network(x).unbind(-1)
        stiffness, one = torch.nn.functional.softplus(stiffness), torch.ones_like(damping)
        coefficients = torch.stack([stiffness, damping, one], -1)[:, None, None, None]
        forcing, steps = torch.zeros(len(x), 1, 1), torch.full((len(x), 1), step)
        initial = torch.stack([start, velocity], -1)[:, None, None]
        return ode_forward(coefficients, forcing, initial, steps, n_steps=T)[..., 0, 0]


# %%
model = Mechanistic()
optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
losses = []
for _ in range(300):
    loss = (model(records) - records).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
assert losses[-1] < 0.3 * losses[0]

# %%
t = hv.Dimension("time t", unit="dimensionless")
found = model(records)[0].detach()
points = hv.Scatter((time, records[0]), t, "u", label="record").opts(color="#888888", size=4)
truth = hv.Curve((time, clean[0]), t, "u", label="clean").opts(color="#0072B2", line_width=4, alpha=0.5)
learned = hv.Curve((time, found), t, "u", label="solution of the ODE found").opts(color="#D55E00", line_dash="dashed")
(points * truth * learned).opts(width=800, height=280, legend_position="right", title="The solution is a clean curve")

# %% [markdown]
# ## The same answer as the definition
#
# `ode_forward_reference` builds the whole matrix of the problem and solves it: slow, and the definition. The published
# function of that name exists for the same purpose. It knows one mode only, that with central rows.

# %%
c = torch.randn(4, 20, 2, 2, 3, dtype=torch.float64)
arguments = c, torch.randn(4, 20, 2).double(), torch.randn(4, 1, 2, 2).double(), torch.full((4, 19), 0.1).double()
central = ode_forward(*arguments, enable_central_smoothness=True)
difference = (central - ode_forward_reference(*arguments)).abs().max().item()
print(f"largest difference to the reference: {difference:.1e}")
assert difference < 1e-9

# %% [markdown]
# ## What lies behind it
#
# The function builds a `LinearODE` and calls `solve`. New code does so itself: names in place of fifteen positions, a
# choice of algorithm, and a status in place of a NaN. Keyword-only `backend`, `method` and `check` are open to old
# code too. Three habits of the published code are not copied: results do not depend on another call that happened in
# between (there are no global buffers), `float32` is computed in `float64` (it has few correct digits otherwise), and
# a system that nothing determines raises an error that names the unknown.

# %%
print({name: reason or "ready" for name, reason in available().items()})
solution = solve(LinearODE(*arguments), method="cholesky", check=False)
print(solution.backend, solution.method, solution.status.tolist())
