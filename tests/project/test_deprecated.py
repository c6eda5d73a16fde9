"""Public names of version 0.1 still work, and name their new place."""

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
    "workbench.datasets.sst": {"elnino": "elnino"},
    "workbench.datasets.tabular": {"Refused": "TableError"},
    "workbench.diagnostics": {
        "Judgement": "Diagnostics",
        "Misfit": "SimulationErrors",
        "misfit": "simulation_errors",
    },
    "workbench.experiments.protocol": {"Equation": "Equation", "plain_number": "plain_number"},
    "workbench.scaling": {"Status": "JobStatus"},
    "workbench.studies": {"Outcome": "TaskOutcome"},
    "workbench.symbolic.duplicates": {"Twin": "Duplicate"},
    "workbench.symbolic.evaluator": {"Program": "Evaluator"},
    "workbench.symbolic.recipe": {"Recipe": "LibrarySpec"},
    "workbench.symbolic.vector_field": {"Flow": "VectorField"},
}


@pytest.mark.parametrize("old, new", _deprecated.MODULES.items())
def test_a_module_is_imported_by_its_old_name(old, new):
    sys.modules.pop(f"workbench.{old}", None)
    with pytest.warns(DeprecationWarning, match=rf"workbench\.{old} has moved to workbench\.{new};"):
        module = import_module(f"workbench.{old}")
    assert module is import_module(f"workbench.{new}")


@pytest.mark.parametrize(
    "module, old, new", [(m, old, new) for m, names in NAMES.items() for old, new in names.items()]
)
def test_a_name_that_has_moved_is_found_at_its_old_place(module, old, new):
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} has moved"):
        found = getattr(import_module(module), old)
    assert found.__name__ == new


def test_the_warning_is_at_the_line_of_the_import():
    script = "import warnings; warnings.simplefilter('error')\nimport workbench\nimport workbench.judging.doubts"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "workbench.judging has moved to workbench.diagnostics" in run.stderr.splitlines()[-1]
    assert run.returncode == 1


@pytest.mark.parametrize("old, new", RENAMED_SETTINGS.items())
def test_a_setting_is_taken_by_its_old_name(old, new):
    config = experiments.get("lorenz").Config
    value = config.model_fields[new].default * 2
    with pytest.warns(DeprecationWarning, match=f"the setting {old} has moved to {new}"):
        assert getattr(config(**{old: value}), new) == value


def test_a_setting_given_by_both_names_is_refused():
    config = experiments.get("lorenz").Config
    assert current_names(config, {"share": 0.1, "min_contribution": 0.2}) == {"share": 0.1, "min_contribution": 0.2}
    with pytest.raises(ValueError, match="share"):
        config(share=0.1, min_contribution=0.2)
