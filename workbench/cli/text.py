"""What a run has found, in lines of text."""

from typing import Any

METRICS = {  # how the metrics of a report are introduced, and their units
    "rmse": ("root mean square error of the true terms", ""),
    "max_error": ("largest error of a true term", ""),
    "precision": ("share of the discovered terms that are true", ""),
    "recall": ("share of the true terms that are discovered", ""),
    "noise": ("standard deviation of the noise, told from the data", ""),
    "degree": ("highest degree of the polynomials", ""),
    "noise_share": ("noise, as a share of how its variable varies", ""),
    "left_over": ("what the equations leave over, in units of the noise", ""),
    "horizon": ("simulation stays with the truth for", " Lyapunov times"),
    "frequency": ("frequency", " per unit of time"),
    "damping": ("damping", " per unit of time"),
    "clean_rmse": ("root mean square error of the curve", ""),
    "noise_rms": ("root mean square of the noise", ""),
    "mse_given": ("mean squared error, first 10 points of the target given (standardised)", ""),
    "mse_after": ("mean squared error after the given points", ""),
    "mse_honest": ("mean squared error with nothing of the target given", ""),
    "mse_climatology": ("mean squared error of climatology", ""),
    "separation": ("cells whose latitude band is told right", ""),
    "chance": ("by guessing", ""),
    "coverage": ("share of values inside the 95 % band", ""),
    "modes": ("Fourier modes used", ""),
    **{f"nmse_{n}": (f"normalised mean square error over {n} frames", "") for n in (20, 40, 100)},
    **{f"published_nmse_{n}": (f"the same over {n} frames, over the forecast's square", "") for n in (20, 40, 100)},
    **{f"persistence_{n}": (f"of the last frame held for {n}", "") for n in (20, 40, 100)},
    "relative_error": ("largest relative error of a true term", ""),
    "followed": ("simulation stays with the truth for", " units of time"),
    "r_median": ("median relative error of r", ""),
    "K_median": ("median relative error of K", ""),
    "r_95": ("95th percentile of the relative error of r", ""),
    "K_95": ("95th percentile of the relative error of K", ""),
    **{f"rolled_{n}": (f"largest error of the roll-out up to orbit {n}, over the distance", "") for n in (1, 5, 10)},
    **{f"error_{K}": (f"largest error with {K} derivatives, over the largest value", "") for K in (2, 3, 4, 5)},
}


def print_report(report: Any) -> None:
    """The discovered equations beside the true ones, then the metrics."""
    from workbench.plots import summary

    true = dict(zip((e.left_text for e in report.true_equations), report.true_equations, strict=True))
    for equation in report.equations:
        print(f"  {equation.text()}")
        if equation.left_text in true:
            print(f"  true: {true[equation.left_text].text()}")
    if report.equations and report.trajectory is not None and (units := summary.units(report.trajectory)):
        print(f"  units: {units}")
    for name, value in report.metrics.items():
        words, unit = METRICS.get(name, (name, ""))
        print(f"  {words}: {value:.4g}{unit}")
    _print_certainty(report.coefficients)
    for sentence in report.judgement.sentences if report.judgement else ():
        print(f"  {sentence}")
    for doubt in report.doubts:
        print(f"  doubt: {doubt}")


def _print_certainty(coefficients: Any) -> None:
    """A line per term that is, or may be, in an equation: the estimate, its 95 % interval, how often it is kept."""
    if coefficients is None or "inclusion" not in coefficients:
        return
    from workbench.plots.equations.confidence import rows

    print("  how sure: coefficient, 95 % interval, inclusion probability")
    for variable, term, estimate, interval, inclusion, verdict in rows(coefficients):
        words = f"{estimate}, {interval}, {inclusion}" if interval else f"{verdict}, {inclusion}"
        print(f"    equation of {variable}, {term}: {words}")
