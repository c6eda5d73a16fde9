"""Figures and HTML of the parts of a `Report`: stateless functions of data, independent of the experiments."""
