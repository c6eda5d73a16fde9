"""Figures of fields over space and time."""
