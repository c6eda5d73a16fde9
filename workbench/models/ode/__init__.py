"""Fits of single ordinary differential equations."""
