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
# # One linear ODE
#
# A weakly damped oscillator obeys
#
# $$u'' + c\,u' + u = 0, \qquad u(0) = 1,\; u'(0) = 0, \qquad c = 0.1.$$
#
# The solver takes the coefficients of such an equation on a time grid and returns $u$ and its derivatives at every grid
# point. It solves whole batches, and PyTorch can differentiate the solution with respect to every input. This notebook
# computes one solution and one gradient, and compares both with exact values.

# %%
import holoviews as hv
import numpy as np
import torch

from workbench.solver import LinearODE, solve

hv.extension("bokeh", inline=True)  # inline: plots work offline
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # distinguishable for colour-blind readers and in grey

# %% [markdown]
# ## The inputs
#
# `coefficients` holds the factors of $u, u', u''$, in this order. Its shape is (T or 1, equations, variables,
# derivatives); a first dimension of 1 means constant coefficients. `initial` holds $u(0)$ and $u'(0)$, `steps` the
# distances between neighbouring grid points.

# %%
T, step = 4001, 0.01
time = step * np.arange(T)


def oscillator(damping, derivatives=3):
    """u'' + damping u' + u = 0; derivatives > 3 includes higher orders, for more accurate steps."""
    coefficients = torch.zeros(derivatives, dtype=torch.float64)
    coefficients[0], coefficients[1], coefficients[2] = 1.0, damping, 1.0
    forcing = torch.zeros(1, 1, dtype=torch.float64)
    initial = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    steps = torch.full((T - 1,), step, dtype=torch.float64)
    return LinearODE(coefficients.reshape(1, 1, 1, -1), forcing, initial, steps)


# %% [markdown]
# ## One solve
#
# The solution `u` has the shape (T, variables, derivatives): `u[:, 0, 0]` is $u$, `u[:, 0, 1]` is $u'$. `backend` is
# the name of the selected algorithm.

# %%
solution = solve(oscillator(0.1))
print(solution.backend, solution.method, tuple(solution.u.shape))

# %% [markdown]
# ## Comparison with the closed form
#
# With $\gamma = c/2$ and $\omega = \sqrt{1 - \gamma^2}$ the exact solution is
#
# $$u(t) = e^{-\gamma t}\left(\cos \omega t + \frac{\gamma}{\omega} \sin \omega t\right).$$
#
# The dashed line lies on the curve: no error is visible.

# %%
gamma = 0.05
omega = np.sqrt(1 - gamma**2)
exact = np.exp(-gamma * time) * (np.cos(omega * time) + gamma / omega * np.sin(omega * time))

t = hv.Dimension("time t", unit="dimensionless")
curves = hv.Curve((time, exact), t, "u", label="closed form").opts(color=BLUE, line_width=4, alpha=0.5)
curves *= hv.Curve((time, solution.u[:, 0, 0]), t, "u", label="solver").opts(color=ORANGE, line_dash="dashed")
curves.opts(width=700, height=280, title="Solver and closed form agree")

# %% [markdown]
# ## Error against the number of derivatives
#
# The solver connects neighbouring grid points by Taylor series. More derivatives give longer series and a smaller error
# on the same grid: each further derivative gains at least one digit.


# %%
def error(derivatives):
    u = solve(oscillator(0.1, derivatives)).u[:, 0, 0].numpy()
    return np.abs(u - exact)[1:] + 1e-17  # the first point is an input; zero has no logarithm


errors = {3: error(3), 4: error(4), 5: error(5)}
curves = [
    hv.Curve((time[1:], errors[k]), t, "|error of u|", label=f"{k} derivatives").opts(color=color, line_dash=dash)
    for k, color, dash in zip(errors, (BLUE, ORANGE, GREEN), ("solid", "dashed", "dotted"), strict=True)
]
title = "More derivatives give a smaller error on the same grid"
hv.Overlay(curves).opts(width=800, height=320, logy=True, legend_position="right", title=title)

# %%
for k, values in errors.items():
    print(f"{k} derivatives: largest error {values.max():.1e}")
assert errors[3].max() > errors[4].max() > errors[5].max()

# %% [markdown]
# ## One gradient
#
# Suppose that the exact curve was measured and the damping is unknown. `loss` is the mean squared error of the solution
# for a guess of the damping, and `backward` computes its derivative through the solver. A central finite difference
# must give the same value.

# %%
measured = torch.from_numpy(exact)


def loss(damping):
    return (solve(oscillator(damping, 4)).u[:, 0, 0] - measured).square().mean()


guess = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
loss(guess).backward()

with torch.no_grad():
    finite_difference = float(loss(guess + 1e-4) - loss(guess - 1e-4)) / 2e-4
print(f"backward: {guess.grad:.8f}    finite difference: {finite_difference:.8f}")
assert abs(guess.grad - finite_difference) < 1e-6

# %% [markdown]
# Both agree, and the sign is positive: less damping fits better, as the true value is 0.1. The training mode `adam` of
# the page (`make app`) discovers the Lorenz equations by descent along such gradients.
