"""The colours of the workbench: one quantity, one colour, on every page.

Truth is a wide blue road and the discovery the thin orange line on it; as points, truth is a ring and the discovery the
dot in it. Width and shape carry the difference where colour cannot (colour blindness, grey print). Blue and vermillion
come from Okabe and Ito, "Color Universal Design" (2008); both keep a contrast of 3 or more on the light and on the dark
surface.
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
    """Secondary text on the dark or light surface."""
    return "#a3adb8" if dark else "#5a6572"


def rule(dark: bool) -> str:
    """Grid lines on the dark or light surface."""
    return "#3b4651" if dark else "#d9dee4"
