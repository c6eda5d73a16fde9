"""Deprecated names of version 0.1: each works and warns with the new name."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from workbench import _deprecated, experiments
from workbench.experiments.protocol import RENAMED_SETTINGS, current_names

ROOT = Path(__file__).parents[2]
NAMES = {
    "workbench.compare": {"Form": "ClosedForm", "Result": "VariantResult"},
    "workbench.datasets.ode.reference": {"guarded": "simulate_bounded"},
    "workbench.datasets.sst": {"elnino": "elnino"},
    "workbench.datasets.tabular": {"Refused": "TableError"},
    "workbench.diagnostics": {
        "Doubt": "IdentifiabilityWarning",
        "doubts": "identifiability_warnings",
        "Judgement": "Diagnostics",
        "Misfit": "SimulationErrors",
        "misfit": "simulation_errors",
    },
    "workbench.experiments.protocol": {"Equation": "Equation", "plain_number": "plain_number"},
    "workbench.plots.equations.coefficients": {
        "heads": "end_points",
        "vanishing": "is_zero",
        "verdict": "support_summary",
    },
    "workbench.plots.equations.equation": {"doubts": "warnings", "raised": "with_superscripts"},
    "workbench.plots.fields.images": {"moment": "snapshot", "noisy": "shows_data"},
    "workbench.plots.studies.scaling": {"growth": "scaling_curves", "law": "power_law", "spans": "axis_ranges"},
    "workbench.plots.studies.solutions": {"distances": "error_curves"},
    "workbench.plots.summary": {"repairs": "corrections"},
    "workbench.plots.trajectory": {"eye": "camera_position", "noisy": "shows_data", "until": "truncate"},
    "workbench.scaling": {"Status": "JobStatus"},
    "workbench.studies": {"Outcome": "TaskOutcome"},
    "workbench.symbolic.duplicates": {"Twin": "Duplicate"},
    "workbench.symbolic.evaluator": {"Program": "Evaluator"},
    "workbench.symbolic.library": {"Recipe": "LibrarySpec"},
    "workbench.symbolic.vector_field": {"Flow": "VectorField"},
}


@pytest.mark.parametrize("old, new", _deprecated.MODULES.items())
def test_a_module_can_be_imported_by_its_old_name(old, new):
    sys.modules.pop(f"workbench.{old}", None)
    with pytest.warns(DeprecationWarning, match=rf"workbench\.{old} has moved to workbench\.{new};"):
        module = import_module(f"workbench.{old}")
    assert module is import_module(f"workbench.{new}")


@pytest.mark.parametrize(
    "module, old, new", [(m, old, new) for m, names in NAMES.items() for old, new in names.items()]
)
def test_a_moved_name_is_available_in_its_old_module(module, old, new):
    home = import_module(module)
    vars(home).pop(old, None)  # a submodule of that name, imported by another test
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} has moved"):
        value = getattr(home, old)
    assert value.__name__ == new


def test_the_warning_points_at_the_import():
    script = "import warnings; warnings.simplefilter('error')\nimport workbench\nimport workbench.judging.doubts"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "workbench.judging has moved to workbench.diagnostics" in run.stderr.splitlines()[-1]
    assert run.returncode == 1


@pytest.mark.parametrize("old, new", RENAMED_SETTINGS.items())
def test_a_setting_can_be_given_by_its_old_name(old, new):
    config = experiments.get("lorenz").Config
    value = config.model_fields[new].default * 2
    with pytest.warns(DeprecationWarning, match=f"the setting {old} has moved to {new}"):
        assert getattr(config(**{old: value}), new) == value


def test_a_setting_given_by_both_names_raises():
    config = experiments.get("lorenz").Config
    assert current_names(config, {"share": 0.1, "min_contribution": 0.2}) == {"share": 0.1, "min_contribution": 0.2}
    with pytest.raises(ValueError, match="share"):
        config(share=0.1, min_contribution=0.2)
