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
# Code written for the published `smnn.py` needs one changed import:
#
# ```python
# from smnn import ode_forward              # before
# from workbench.solver import ode_forward  # after
# ```
#
# Names, shapes and order of the arguments are unchanged. This notebook trains a small mechanistic network with this
# call, as published code does, and then describes the interface below it.

# %%
import holoviews as hv
import torch

from workbench.solver import LinearODE, available, ode_forward, ode_forward_reference, solve

hv.extension("bokeh", inline=True)  # inline: plots work offline
torch.manual_seed(0)

# %% [markdown]
# ## A layer in the published style
#
# The network maps a short noisy time series to the coefficients of an oscillator $c_0 u + c_1 u' + c_2 u'' = r$; the
# solver computes its solution; the loss is the mean squared difference from the time series. `ode_forward` is
# differentiable. Shapes: coefficients (batch, T or 1, equations, variables, derivatives), right-hand side (batch, T or
# 1, equations), initial values (batch, points, variables, derivatives), steps (batch, T - 1 or 1).

# %%
T, B, step = 100, 32, 0.1
time = step * torch.arange(T)
frequency = 0.5 + 1.5 * torch.rand(B, 1)
clean = torch.cos(frequency * time)
series = clean + 0.1 * torch.randn(B, T)


class Mechanistic(torch.nn.Module):
    """Map a time series (B, T) to the solution (B, T) of the oscillator that the network infers."""

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
    loss = (model(series) - series).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
assert losses[-1] < 0.3 * losses[0]

# %%
t = hv.Dimension("time t", unit="dimensionless")
fitted = model(series)[0].detach()
points = hv.Scatter((time, series[0]), t, "u", label="data").opts(color="#888888", size=4)
truth = hv.Curve((time, clean[0]), t, "u", label="clean").opts(color="#0072B2", line_width=4, alpha=0.5)
learned = hv.Curve((time, fitted), t, "u", label="solution of the ODE").opts(color="#D55E00", line_dash="dashed")
(points * truth * learned).opts(width=800, height=280, legend_position="right", title="The solution is free of noise")

# %% [markdown]
# ## Agreement with the reference
#
# `ode_forward_reference` solves the problem with the whole matrix: slow, and the definition of the solution, like the
# published function of that name. It supports only the mode with central rows.

# %%
c = torch.randn(4, 20, 2, 2, 3, dtype=torch.float64)
arguments = c, torch.randn(4, 20, 2).double(), torch.randn(4, 1, 2, 2).double(), torch.full((4, 19), 0.1).double()
central = ode_forward(*arguments, enable_central_smoothness=True)
difference = (central - ode_forward_reference(*arguments)).abs().max().item()
print(f"largest difference to the reference: {difference:.1e}")
assert difference < 1e-9

# %% [markdown]
# ## The interface of new code
#
# `ode_forward` builds a `LinearODE` and calls `solve`. New code does so directly, with names instead of thirteen
# positional arguments, a choice of algorithm, and a status instead of NaN. `ode_forward` also accepts the keywords
# `backend`, `method` and `check`. Three properties of the published code differ here: results do not depend on
# intermediate calls (there are no global buffers), `float32` is computed in `float64` (few digits would be correct
# otherwise), and a rank-deficient system raises an error that names the undetermined unknown.

# %%
print({name: reason or "ready" for name, reason in available().items()})
solution = solve(LinearODE(*arguments), method="cholesky", check=False)
print(solution.backend, solution.method, solution.status.tolist())
