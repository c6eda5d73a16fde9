"""Colours of quantities, the same in all figures.

Truth is a wide blue line below the thin orange line of the discovery; as markers, truth is a ring and the discovery the
dot in it. Width and shape distinguish them without colour (colour blindness, grey print). Blue and vermillion are from
Okabe and Ito, "Color Universal Design" (2008); both have a contrast of at least 3 on light and dark backgrounds.
"""

TRUTH = "#0072B2"
FOUND = "#D55E00"
LOSS = "#009E73"
DATA = "#8A8F98"
QUIET = "#8A8F98"

TRUTH_WIDTH = 8
FOUND_WIDTH = 2
TRUTH_ALPHA = 0.7


def ink(dark: bool) -> str:
    """Colour of secondary text on a dark or light background."""
    return "#a3adb8" if dark else "#5a6572"


def rule(dark: bool) -> str:
    """Colour of grid lines on a dark or light background."""
    return "#3b4651" if dark else "#d9dee4"
