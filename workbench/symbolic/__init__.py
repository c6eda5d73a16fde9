"""Expressions and libraries of candidate functions: read, derived, evaluated, printed, exported."""
