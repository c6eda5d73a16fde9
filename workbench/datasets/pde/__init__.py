"""Datasets of partial differential equations on a periodic interval."""
