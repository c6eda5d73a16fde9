"""Models of the experiments that are not discovery from a library: fits, networks and forecasts on the solver."""
