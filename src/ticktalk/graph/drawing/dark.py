"""The colours of a drawing where its reader has chosen a dark theme."""

from __future__ import annotations

DARK = {
    "#ffffff": "#16191d",
    "#1f2933": "#e4e7eb",
    "#52606d": "#a3afbb",
    "#9aa5b1": "#8b97a3",
    "#243b53": "#9fc1e3",
    "#627d98": "#829ab1",
    "#b3261e": "#ff8a80",
    "#0b5394": "#7db8ee",
    "#e6f0f8": "#22303d",
}
"""The dark colour for each colour of the drawing; those of hosts are seen on both."""


def dark_style() -> str:
    """A `<style>` with the dark colours of a drawing."""
    rules = "".join(
        f'.ticktalk [{paint}="{light}"]{{{paint}:{dark}}}'
        for light, dark in DARK.items()
        for paint in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
