"""For `panel serve --setup`: add the fake experiments, for slow and failing runs in browser tests."""

from tests.fakes.fixtures import FAKES
from workbench import experiments

experiments.TABLE.update(FAKES)
