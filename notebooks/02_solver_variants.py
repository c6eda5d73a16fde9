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
# # Solver variants, compared live
#
# One problem, many ways to solve it. All variants below minimise the same sum of squares, so all must give the same
# answer; what differs is the price, and how many digits survive when the steps get small. Move a slider and look at
# two things: the height of the error curves, and the milliseconds in the table.

# %%
import holoviews as hv
import ipywidgets as widgets
import numpy as np
import panel as pn
from IPython.display import display

from workbench.compare import Example, Variant, compare
from workbench.scaling import Budget

hv.extension("bokeh", inline=True)  # inline: the plots need no network
pn.extension(inline=True)
STYLES = {
    Variant("native", "qr"): ("#0072B2", "solid"),
    Variant("native", "cholesky"): ("#D55E00", "dashed"),
    Variant("banded", "qr"): ("#009E73", "dotted"),
    Variant("dense", "qr"): ("#555555", "dotdash"),
}
LONGEST = {"native": 5000, "banded": 500, "dense": 100}  # grid points that each can follow a slider with

# %% [markdown]
# ## The problem
#
# A damped oscillator, $u'' + 0.1\,u' + u = 0$, whose closed form is known, on $T$ grid points of step $h$, with $K$
# derivatives kept at each. `native` is the compiled kernel and `banded` the same algorithm in plain PyTorch, both
# linear in $T$; `dense` builds the whole matrix and is the reference, cubic in $T$. `qr` works on the rows themselves,
# `cholesky` on the normal equations $A^\top A$, the published way: less work, but the condition number is squared.


# %%
def results(T=100, h=0.01, K=4, dtype="float64"):
    """What every variant gives that is quick enough for so many grid points."""
    example = Example("oscillator", T=T, h=h, K=K, dtype=dtype)
    wanted = [variant for variant in STYLES if LONGEST[variant.backend] >= T]
    return example, list(compare(example, wanted, reference=wanted[0], budget=Budget(seconds=8)))


example, found = results()
for result in found:
    print(f"{result.variant.label:16s} error {result.largest_error:.1e}  {1e3 * result.seconds:6.2f} ms")

# %% [markdown]
# ## The sliders
#
# Things to try:
#
# - **T** up to 5,000: `dense` drops out first, then `banded`; `native` hardly notices.
# - **step h** down to $10^{-4}$ at T = 5,000: the error of `cholesky` climbs by many orders of magnitude, that of
#   `qr` does not. Small steps are where normal equations break.
# - **derivatives K**: each one more buys digits on the same grid, until rounding is all that is left.
# - **precision**: `float32` problems are solved in `float64` inside; what is lost is the rounding of what goes in and
#   comes out, seven digits, and no more, at any step.

# %%
TIME, ERROR = hv.Dimension("time t", unit="dimensionless"), "|error of u|"
pipe = hv.streams.Pipe(data=results())


def errors(data):
    """Distance of every variant to the closed form; those that were not solved are empty."""
    example, found = data
    shown = {result.variant: result for result in found}
    curves = []
    for variant, (color, dash) in STYLES.items():
        points = []
        if variant in shown:
            points = np.column_stack([example.time(), np.maximum(shown[variant].error, 1e-17)])[1:]
        curve = hv.Curve(points, TIME, ERROR, label=variant.label)
        curves.append(curve.opts(color=color, line_dash=dash, line_width=2))
    return hv.Overlay(curves)


figure = hv.DynamicMap(errors, streams=[pipe]).opts(
    width=800, height=320, logy=True, ylim=(1e-17, 10), framewise=True, legend_position="right",
    title="How far every variant is from the closed form",
)  # fmt: skip

# %%
controls = {
    "T": widgets.SelectionSlider(options=[50, 100, 200, 500, 1000, 2000, 5000], value=100, description="T"),
    "h": widgets.SelectionSlider(options=[1e-4, 1e-3, 0.01, 0.1], value=0.01, description="step h"),
    "K": widgets.IntSlider(4, 3, 6, description="derivatives"),
    "dtype": widgets.ToggleButtons(options=["float64", "float32"], description="precision"),
}
table = widgets.HTML()


def redraw(_=None):
    pipe.send(results(**{name: control.value for name, control in controls.items()}))
    rows = [
        f"<tr><td>{result.variant.label}</td><td>{result.largest_error:.1e}</td>"
        f"<td>{1e3 * result.forward:.2f}</td><td>{1e3 * result.backward:.2f}</td></tr>"
        for result in pipe.data[1]
    ]
    head = "<tr><th>variant</th><th>largest error</th><th>forward / ms</th><th>backward / ms</th></tr>"
    table.value = f"<table cellpadding='6'>{head}{''.join(rows)}</table>"


for control in controls.values():
    control.observe(redraw, "value")
redraw()
display(widgets.VBox([widgets.HBox(list(controls.values())), table]))
pn.pane.HoloViews(figure)

# %% [markdown]
# ## Where the normal equations break
#
# The same, as a table that needs no sliders: 5,000 grid points, ever smaller steps. `qr` keeps its digits.

# %%
rows = []
for h in (0.1, 0.01, 1e-3, 1e-4):
    found = {result.variant: result for result in results(T=5000, h=h, K=3)[1]}
    rows.append([found[variant].largest_error for variant in list(STYLES)[:2]])
    print(f"h = {h:<7g} qr {rows[-1][0]:.1e}   cholesky {rows[-1][1]:.1e}")
assert rows[-1][1] > 100 * rows[-1][0]
