"""Forecasts of Korteweg-de Vries waves by networks and one linear ODE per grid point."""
