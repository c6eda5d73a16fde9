"""For `panel serve --setup`: the fake experiments beside the real ones, so that a browser meets slow, failing runs."""

from tests.dashboard.conftest import FAKES
from workbench import experiments

experiments.TABLE.update(FAKES)
