"""Datasets simulated from ordinary differential equations."""
