"""Data in, figure out. A view keeps no state, knows no experiment, and draws whatever part of a Report is there."""
