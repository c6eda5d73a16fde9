"""Data sets simulated from ordinary differential equations."""
