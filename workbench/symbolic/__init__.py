"""Parse, differentiate, evaluate, print and export symbolic expressions and libraries of candidate functions."""
