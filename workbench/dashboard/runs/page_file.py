"""Self-contained HTML report of a run: equations, metrics, figures, settings, versions."""

from html import escape
from types import SimpleNamespace
from typing import Any

import numpy as np
from bokeh.embed import components
from bokeh.models import ColumnDataSource
from bokeh.resources import Resources

from workbench import experiments
from workbench.dashboard.app.theme import STYLE
from workbench.dashboard.forms.settings import format_value
from workbench.experiments.report import METRIC_LABELS, Report
from workbench.plots import loss, trajectory
from workbench.plots.equations import coefficients, equation
from workbench.plots.scrolled import scrolled
from workbench.training import Training
from workbench.training.run_file import Run

BOKEH = Resources(mode="inline", components=["bokeh"])
"""Only `js_raw` is needed; `js_files` are URLs of scripts that Panel loads for other pages."""
PAGE_STYLE = """
:root { color-scheme: light; --panel-on-background-color: #1c2530; --panel-on-secondary-color: #5a6572;
  --panel-primary-color: #005a8c; --panel-surface-color: #fff; }
body { font-family: system-ui, sans-serif; color: #1c2530; background: #f4f6f8; margin: 0; line-height: 1.5; }
main { max-width: 1060px; margin: 24px auto; padding: 0 16px; }
section { background: #fff; border: 1px solid #e1e5ea; border-radius: 8px; padding: 16px 22px; margin-bottom: 14px; }
h1 { font-size: 1.5rem; margin: 0 0 4px; }
"""


def report_page(run: Run) -> str:
    """HTML report of a run; equations and metrics are recomputed from its best state, if it has one."""
    experiment = experiments.get(run.experiment)
    report = Report(trajectory=run.trajectory, coefficients=run.coefficients, metrics=run.metrics)
    if run.state:
        report = Training(experiment, experiment.Config(**run.config), resume_from=run).best_report()
    script, figures = _embedded(_figures(run, report))
    title = f"{experiment.title}: {run.path.stem}"
    status = f"{run.status} after {run.steps:,} of {run.total:,} steps, started {run.created}. {run.message}"
    body = [
        f"<h1>{escape(title)}</h1><p class='caption'>{escape(experiment.summary)} {escape(status)}</p>",
        _section("Equations", _equations(report)),
        *(_section(name, figure) for name, figure in figures),
        _section("Coefficients", _coefficients(report)),
        _section("Settings", _table("setting", "value", {k: format_value(v) for k, v in run.config.items()})),
        _section("Versions", _table("package", "version", run.versions)),
    ]
    style = f"<style>{STYLE.replace(':host', ':root')}{PAGE_STYLE}</style>"
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
    scripts = "".join(f"<script>{code}</script>" for code in BOKEH.js_raw) + script if script else ""
    main = f"<main>{''.join(body)}</main>"
    return f"<!DOCTYPE html><html lang='en'><head>{head}{style}</head><body>{main}{scripts}</body></html>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _equations(report: Report) -> str:
    parts = []
    equations = (("Discovered", "found", report.equations), ("True", "truth", report.true_equations))
    for title, kind, values in equations:
        if values:
            lines = equation.html(values, true=report.true_equations if kind == "found" else ())
            parts.append(f"<h3 class='key {kind}'>{title}</h3>{lines}")
    warnings = "".join(f"<p>Warning: {escape(warning)}</p>" for warning in report.warnings)
    return "".join(parts) + equation.metrics(report.metrics, METRIC_LABELS) + warnings


def _coefficients(report: Report) -> str:
    if report.coefficients is None:
        return ""
    table = coefficients.table(report.coefficients)
    return f"<p>{coefficients.support_summary(report.coefficients)}</p>{scrolled(table, 'coefficients')}"


def _table(left: str, right: str, rows: Any) -> str:
    cells = "".join(f"<tr><th scope='row'>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in rows.items())
    head = f"<thead><tr><th scope='col'>{left}</th><th scope='col'>{right}</th></tr></thead>"
    return f"<table>{head}<tbody>{cells}</tbody></table>"


def _figures(run: Run, report: Report) -> dict[str, Any]:
    figures = {}
    if "loss" in run.records:
        source = ColumnDataSource(loss.columns(_records(run), "loss", None))
        figures["Learning curve"] = [loss.curve(source, "loss", log=bool((run.records.loss > 0).any()))]
    data = report.trajectory
    if data is not None and set(data.dims) == {"time", "variable"}:
        part = trajectory.truncate(data, trajectory.span(data)[2])
        figures["Trajectory"] = trajectory.series(ColumnDataSource(trajectory.series_columns(part)), data)
    return figures


def _records(run: Run) -> list[Any]:
    """Records of the learning curve, thinned to at most 2000 steps."""
    table = run.records
    thin = table.isel(step=slice(None, None, -(-table.sizes["step"] // 2000)))
    rows = zip(thin.step.values, thin.loss.values, strict=True)
    return [
        SimpleNamespace(step=int(s), total=run.total, metrics={"loss": float(v)}) for s, v in rows if np.isfinite(v)
    ]


def _embedded(figures: dict[str, list[Any]]) -> tuple[str, list[tuple[str, str]]]:
    """Script of all figures, and titles with the HTML of their placeholders."""
    plots = [plot for group in figures.values() for plot in group]
    if not plots:
        return "", []
    script, divs = components(plots)
    remaining = iter(divs)
    return script, [(title, "".join(next(remaining) for _ in group)) for title, group in figures.items()]
