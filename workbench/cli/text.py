"""Print the report of a run."""

from typing import Any


def print_report(report: Any) -> None:
    """Print the discovered and the true equations, metrics, confidence intervals and warnings."""
    from workbench.experiments.report import METRIC_LABELS
    from workbench.plots import summary

    true = dict(zip((e.left_text for e in report.true_equations), report.true_equations, strict=True))
    for equation in report.equations:
        print(f"  {equation.text()}")
        if equation.left_text in true:
            print(f"  true: {true[equation.left_text].text()}")
    if report.equations and report.trajectory is not None and (units := summary.units(report.trajectory)):
        print(f"  units: {units}")
    for name, value in report.metrics.items():
        print(f"  {METRIC_LABELS.get(name, name)}: {value:.4g}")
    _print_confidence(report.coefficients)
    for sentence in report.diagnostics.sentences if report.diagnostics else ():
        print(f"  {sentence}")
    for warning in report.warnings:
        print(f"  warning: {warning}")


def _print_confidence(coefficients: Any) -> None:
    """Print a line per term: estimate, 95 % interval and inclusion probability."""
    if coefficients is None or "inclusion" not in coefficients:
        return
    from workbench.plots.equations.confidence import rows

    print("  confidence: coefficient, 95 % interval, inclusion probability")
    for variable, term, estimate, interval, inclusion, verdict in rows(coefficients):
        text = f"{estimate}, {interval}, {inclusion}" if interval else f"{verdict}, {inclusion}"
        print(f"    equation of {variable}, {term}: {text}")
