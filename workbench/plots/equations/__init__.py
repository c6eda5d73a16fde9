"""Figures of discovered equations: coefficients, confidence, diagnostics."""
