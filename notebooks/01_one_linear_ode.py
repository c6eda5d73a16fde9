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
# A swing that loses a little of its motion in every turn obeys
#
# $$u'' + c\,u' + u = 0, \qquad u(0) = 1,\; u'(0) = 0, \qquad c = 0.1.$$
#
# The solver of this project takes such an equation with its numbers on a grid of times and returns $u$ and its
# derivatives at every grid point. It does so for a whole batch at once, and PyTorch can differentiate the answer in
# everything that went in. This notebook does one solve and one gradient, and holds both against what is known
# exactly.

# %%
import holoviews as hv
import numpy as np
import torch

from workbench.solver import LinearODE, solve

hv.extension("bokeh", inline=True)  # inline: the plots need no network
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # told apart in colour blindness and in grey

# %% [markdown]
# ## The equation in numbers
#
# `coefficients` holds what multiplies $u, u', u''$, in this order. Its shape is (T or 1, equations, variables,
# derivatives): 1 in the first place says that the numbers are the same at all times. `initial` holds $u(0)$ and
# $u'(0)$, `steps` the distances between neighbouring grid points.

# %%
T, step = 4001, 0.01
time = step * np.arange(T)


def oscillator(damping, derivatives=3):
    """u'' + damping u' + u = 0; with derivatives > 3, more of them are kept and the steps are more accurate."""
    coefficients = torch.zeros(derivatives, dtype=torch.float64)
    coefficients[0], coefficients[1], coefficients[2] = 1.0, damping, 1.0
    forcing = torch.zeros(1, 1, dtype=torch.float64)
    initial = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    steps = torch.full((T - 1,), step, dtype=torch.float64)
    return LinearODE(coefficients.reshape(1, 1, 1, -1), forcing, initial, steps)


# %% [markdown]
# ## One solve
#
# The answer `u` has the shape (T, variables, derivatives): `u[:, 0, 0]` is $u$ itself, `u[:, 0, 1]` its velocity.
# `backend` says which of the solver's algorithms was taken.

# %%
solution = solve(oscillator(0.1))
print(solution.backend, solution.method, tuple(solution.u.shape))

# %% [markdown]
# ## Against the closed form
#
# With $\gamma = c/2$ and $\omega = \sqrt{1 - \gamma^2}$ the exact answer is
#
# $$u(t) = e^{-\gamma t}\left(\cos \omega t + \frac{\gamma}{\omega} \sin \omega t\right).$$
#
# Look at the dashes: they lie on the curve, so by eye there is no error to see.

# %%
gamma = 0.05
omega = np.sqrt(1 - gamma**2)
exact = np.exp(-gamma * time) * (np.cos(omega * time) + gamma / omega * np.sin(omega * time))

t = hv.Dimension("time t", unit="dimensionless")
curves = hv.Curve((time, exact), t, "u", label="closed form").opts(color=BLUE, line_width=4, alpha=0.5)
curves *= hv.Curve((time, solution.u[:, 0, 0]), t, "u", label="solver").opts(color=ORANGE, line_dash="dashed")
curves.opts(width=700, height=280, title="The solver follows the closed form")

# %% [markdown]
# ## The error, and a knob for it
#
# The solver ties neighbouring grid points together by Taylor series. The more derivatives it keeps, the longer the
# series and the smaller the error, on the same grid. Look at the distance between the curves: each derivative more
# buys at least a digit.


# %%
def error(derivatives):
    u = solve(oscillator(0.1, derivatives)).u[:, 0, 0].numpy()
    return np.abs(u - exact)[1:] + 1e-17  # the first point is given; zero has no logarithm


errors = {3: error(3), 4: error(4), 5: error(5)}
curves = [
    hv.Curve((time[1:], errors[k]), t, "|error of u|", label=f"{k} derivatives").opts(color=color, line_dash=dash)
    for k, color, dash in zip(errors, (BLUE, ORANGE, GREEN), ("solid", "dashed", "dotted"), strict=True)
]
title = "Every derivative kept makes the same grid more accurate"
hv.Overlay(curves).opts(width=800, height=320, logy=True, legend_position="right", title=title)

# %%
for k, values in errors.items():
    print(f"{k} derivatives: largest error {values.max():.1e}")
assert errors[3].max() > errors[4].max() > errors[5].max()

# %% [markdown]
# ## One gradient
#
# Suppose that the exact curve was measured and that the damping is not known. For a guess of it, `loss` says how far
# the solution is from the measurement, and `backward` says how the loss changes with the guess. The derivative passes
# through the solver itself. Moving the guess a little to both sides and solving twice more must give the same number.

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
# Both agree, and the sign is positive: less damping would fit better, which is right, for the true value is 0.1.
# Following such numbers downhill is how the training mode `adam` finds the Lorenz equations on the page that
# `make app` serves.
