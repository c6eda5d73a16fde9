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
# # Comparison of solver variants
#
# All variants below minimise the same sum of squares, so their solutions agree; they differ in time and in accuracy at
# small steps. Move a slider, and compare the error curves and the times in the table.

# %%
import holoviews as hv
import ipywidgets as widgets
import numpy as np
import panel as pn
from IPython.display import display

from workbench.compare import Example, Variant, compare
from workbench.scaling import Budget

hv.extension("bokeh", inline=True)  # inline: plots work offline
pn.extension(inline=True)
STYLES = {
    Variant("native", "qr"): ("#0072B2", "solid"),
    Variant("native", "cholesky"): ("#D55E00", "dashed"),
    Variant("banded", "qr"): ("#009E73", "dotted"),
    Variant("dense", "qr"): ("#555555", "dotdash"),
}
LONGEST = {"native": 5000, "banded": 500, "dense": 100}  # largest number of grid points for interactive use

# %% [markdown]
# ## The problem
#
# A damped oscillator, $u'' + 0.1\,u' + u = 0$, with a known closed form, on $T$ grid points of step $h$ with $K$
# derivatives each. `native` is the compiled kernel and `banded` the same algorithm in plain PyTorch, both linear in
# $T$; `dense` builds the whole matrix and is the reference, cubic in $T$. `qr` factorizes the rows, `cholesky` the
# normal equations $A^\top A$, as published: less work, but the condition number is squared.


# %%
def results(T=100, h=0.01, K=4, dtype="float64"):
    """Results of all variants that are fast enough for T grid points."""
    example = Example("oscillator", T=T, h=h, K=K, dtype=dtype)
    selected = [variant for variant in STYLES if LONGEST[variant.backend] >= T]
    return example, list(compare(example, selected, reference=selected[0], budget=Budget(seconds=8)))


example, solved = results()
for result in solved:
    print(f"{result.variant.label:16s} error {result.largest_error:.1e}  {1e3 * result.seconds:6.2f} ms")

# %% [markdown]
# ## The sliders
#
# - **T** up to 5,000: first `dense`, then `banded` become too slow; the time of `native` hardly changes.
# - **step h** down to $10^{-4}$ at T = 5,000: the error of `cholesky` grows by many orders of magnitude, that of `qr`
#   does not.
# - **derivatives K**: each further one gains digits on the same grid, down to rounding errors.
# - **precision**: `float32` problems are solved in `float64`; only inputs and outputs are rounded to seven digits, at
#   any step.

# %%
TIME, ERROR = hv.Dimension("time t", unit="dimensionless"), "|error of u|"
pipe = hv.streams.Pipe(data=results())


def errors(data):
    """Error of every variant against the closed form; empty for variants that were not solved."""
    example, solved = data
    by_variant = {result.variant: result for result in solved}
    curves = []
    for variant, (color, dash) in STYLES.items():
        points = []
        if variant in by_variant:
            points = np.column_stack([example.time(), np.maximum(by_variant[variant].error, 1e-17)])[1:]
        curve = hv.Curve(points, TIME, ERROR, label=variant.label)
        curves.append(curve.opts(color=color, line_dash=dash, line_width=2))
    return hv.Overlay(curves)


figure = hv.DynamicMap(errors, streams=[pipe]).opts(
    width=800, height=320, logy=True, ylim=(1e-17, 10), framewise=True, legend_position="right",
    title="Error of each variant against the closed form",
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
# ## Loss of accuracy of the normal equations
#
# The same comparison as a table: 5,000 grid points, decreasing steps. `qr` stays accurate.

# %%
rows = []
for h in (0.1, 0.01, 1e-3, 1e-4):
    solved = {result.variant: result for result in results(T=5000, h=h, K=3)[1]}
    rows.append([solved[variant].largest_error for variant in list(STYLES)[:2]])
    print(f"h = {h:<7g} qr {rows[-1][0]:.1e}   cholesky {rows[-1][1]:.1e}")
assert rows[-1][1] > 100 * rows[-1][0]
