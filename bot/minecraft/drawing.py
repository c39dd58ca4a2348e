"""Draws the past of a server: a program of its own that reads JSON and writes a PNG.

A process, and not a thread: drawing holds the interpreter for a third of a second and
takes 70 MB that are never given back; a process can be ended when it takes too long.
"""

import io
import json
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

WIDTH: Final = 1200
HEIGHT: Final = 540
"""Pixels; on a phone it is shown at half of that or less."""

_DPI: Final = 150
_BACK: Final = "#2b2d31"
_TEXT: Final = "#dbdee1"
_FAINT: Final = "#4e5058"
_LINE: Final = "#46a758"
_DOWN: Final = "#e5484d"
_PEAK: Final = "#f5a623"
_ROOM: Final = 1.18
"""How much higher than the peak the picture is, so that its label has room."""


def draw(told: Mapping[str, Any]) -> bytes:
    """Return the picture; see `bot.minecraft.pictures` for what is told."""
    # Only here: whoever imports this module for its sizes does not have the library.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415

    out = io.BytesIO()
    FigureCanvasAgg(figure_of(told)).print_png(out)
    return out.getvalue()


def figure_of(told: Mapping[str, Any]) -> Any:
    """Return what is drawn, as the library has it."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, facecolor=_BACK, layout="constrained")
    # Its types know nothing of moments.
    axes: Any = figure.add_subplot(facecolor=_BACK)
    moments = [_moment(second) for second in told["at"]]
    players = [math.nan if value is None else value for value in told["players"]]
    axes.step(moments, players, where="post", color=_LINE, linewidth=1.8)
    axes.fill_between(moments, players, step="post", color=_LINE, alpha=0.25, linewidth=0)
    for start, end in told["down"]:
        axes.axvspan(_moment(start), _moment(end), color=_DOWN, alpha=0.3, linewidth=0)
    axes.set_xlim(_moment(told["start"]), _moment(told["end"]))
    axes.set_ylim(0, max(told["peak"], 1) * _ROOM)
    if told["peak"] and told["peak_at"] is not None:
        _mark_peak(axes, told)
    zone = ZoneInfo(told["zone"])
    locator = AutoDateLocator(tz=zone, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set_ylabel("players", color=_TEXT, fontsize=11)
    axes.set_title(told["title"], color=_TEXT, loc="left", fontsize=13, parse_math=False)
    # A picture has one time zone for all who look at it, so it says which.
    axes.set_title(told["zone"], color=_TEXT, loc="right", fontsize=11, parse_math=False)
    axes.tick_params(colors=_TEXT, labelsize=11)
    axes.xaxis.get_offset_text().set(color=_TEXT, size=11)
    axes.grid(visible=True, color=_FAINT, linewidth=0.5)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(_FAINT)
    return figure


def _mark_peak(axes: Any, told: Mapping[str, Any]) -> None:
    at = _moment(told["peak_at"])
    share = (told["peak_at"] - told["start"]) / (told["end"] - told["start"])
    axes.plot([at], [told["peak"]], marker="o", color=_PEAK, markersize=5)
    axes.annotate(
        f"{told['peak']}",
        (at, told["peak"]),
        xytext=(-6 if share > 0.9 else 6, 4),  # noqa: PLR2004 (at the edge it stands to the left)
        textcoords="offset points",
        ha="right" if share > 0.9 else "left",  # noqa: PLR2004
        color=_PEAK,
        fontsize=13,
        fontweight="bold",
    )


def _moment(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def main() -> None:
    """Draw what standard input tells."""
    sys.stdout.buffer.write(draw(json.load(sys.stdin)))


if __name__ == "__main__":
    main()
