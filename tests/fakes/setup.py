"""For `panel serve --setup`: the fake experiments beside the real ones, so that a browser meets slow, failing runs."""

from tests.fakes.fixtures import FAKES
from workbench import experiments

experiments.TABLE.update(FAKES)
