"""The seeded faults match the code: each can be applied, and its tests exist."""

from collections import Counter
from pathlib import Path

import pytest

from tests.mutants.run import ROOT, faults


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.name)
def test_a_fault_can_be_applied(fault, tmp_path):
    (tmp_path / fault.file).parent.mkdir(parents=True)
    (tmp_path / fault.file).write_text((ROOT / fault.file).read_text())
    fault.apply(tmp_path)
    assert (tmp_path / fault.file).read_text() != (ROOT / fault.file).read_text()
    assert all((ROOT / test).exists() for test in fault.tests)


def test_faults_have_unique_names_and_cover_every_part():
    names = Counter(fault.name for fault in faults())
    assert max(names.values()) == 1
    folders = {Path(fault.file).parts[1] for fault in faults()}
    assert {"solver", "discovery", "datasets", "dashboard", "jobs", "training"} <= folders
