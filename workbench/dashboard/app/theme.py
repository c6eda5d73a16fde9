"""Theme of the shell and widgets, layout styles, and the style sheet of HTML panes.

Layouts are plain Panel: every component of panel_material_ui is a separate React root, and a page of sixty of them
takes seconds to load on two cores. Its widgets and its shell are used, its layouts are not.
"""

from pathlib import Path

from workbench.plots import palette

COLORS = {"truth": palette.TRUTH, "found": palette.FOUND, "data": palette.DATA, "good": palette.LOSS, "warn": "#E69F00"}
STYLE = ":host { " + " ".join(f"--{name}: {color};" for name, color in COLORS.items()) + " }\n"
STYLE += Path(__file__).with_name("page.css").read_text(encoding="utf-8")

COMPONENTS = {
    "MuiToggleButton": {"styleOverrides": {"root": {"textTransform": "none", "fontWeight": 500, "lineHeight": 1.4}}},
    "MuiFormLabel": {"styleOverrides": {"root": {"fontSize": "0.84rem"}}},
}

THEME = {
    "light": {
        "palette": {
            "primary": {"main": "#005a8c"},
            "background": {"default": "#f4f6f8", "paper": "#ffffff"},
            "text": {"primary": "#1c2530", "secondary": "#5a6572"},
            "divider": "#e1e5ea",
        },
        "shape": {"borderRadius": 8},
        "components": COMPONENTS,
    },
    "dark": {
        "palette": {
            "primary": {"main": "#6db8e6"},
            "background": {"default": "#12161b", "paper": "#1b2128"},
            "text": {"primary": "#e7ebef", "secondary": "#a3adb8"},
            "divider": "#303943",
        },
        "shape": {"borderRadius": 8},
        "components": COMPONENTS,
    },
}

PAGE = {
    "& .MuiToolbar-root": {"minHeight": "52px !important"},
    "& .header": {
        "backgroundColor": "background.paper",
        "backgroundImage": "none",
        "color": "text.primary",
        "boxShadow": "none",
        "borderBottom": "1px solid",
        "borderColor": "divider",
    },
    "& .header .title": {"color": "inherit !important", "fontSize": "1.15rem", "fontWeight": 700},
    "& .header a": {"color": "inherit"},
    "& .header .MuiToolbar-root > .MuiBox-root": {"minWidth": 0, "overflowX": "auto"},
    "@media (max-width: 600px)": {
        "& .header .title": {"display": "none"},  # leaves room for the page links
        "& .header .MuiToolbar-root": {"paddingRight": "4px"},
    },
    "& .MuiLinearProgress-root": {"display": "none"},
    "& .main": {"backgroundColor": "background.default"},
    "& .sidebar": {"backgroundImage": "none"},
}

ACCORDION = {
    "boxShadow": "none",
    "backgroundImage": "none",
    "backgroundColor": "transparent",
    "borderTop": "1px solid",
    "borderColor": "divider",
    "&:before": {"display": "none"},
    "& .MuiAccordionSummary-root": {"px": 0, "minHeight": 40},
    "& .MuiAccordionDetails-root": {"px": 0, "pt": 0},
}

# styles of Panel layouts

WIDE = {"sizing_mode": "stretch_width", "margin": 0}
SIDE = {"margin": (10, 16), "sizing_mode": "stretch_width"}
MAIN = {
    "padding": "clamp(8px, 1.6vw, 18px)",
    "max-width": "1500px",
    "width": "100%",  # otherwise as wide as the widest table
    "box-sizing": "border-box",
    "margin": "0 auto",
}
PAGE_BODY = {"gap": "14px", "min-width": "0"}
LINE = {"gap": "8px 10px", "flex-wrap": "wrap", "align-items": "flex-start"}
PAIR = {"gap": "14px", "flex-wrap": "wrap", "align-items": "stretch"}
CARD = {
    "background": "var(--panel-surface-color)",
    "border": "1px solid color-mix(in srgb, var(--panel-on-background-color) 14%, transparent)",
    "border-radius": "8px",
    "padding": "14px 18px 16px",
    "height": "auto",  # equal height of the cards in a row
}


def flex(weight: int, min_width: int) -> dict[str, str]:
    """Flexbox style: width in proportion to `weight`, wrapped below `min_width` pixels."""
    return {"flex": f"{weight} 1 {min_width}px", "min-width": f"min({min_width}px, 100%)"}
