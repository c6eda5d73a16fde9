"""Figures that compare solvers or runs: scaling, heat maps, overlays."""
