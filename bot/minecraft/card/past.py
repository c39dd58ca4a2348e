"""How the past of a server looks: a picture, or a line of blocks, and the facts."""

from collections.abc import Iterator, Sequence
from typing import Final

import discord

from bot.chat import layout
from bot.chat.action import MOST_OPTIONS, button, select
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, escape, timestamp
from bot.core.durations import spoken_duration
from bot.minecraft.card.parts import EVERY_SERVER, HISTORY
from bot.minecraft.history import Past, Period, columns_of

AGAIN: Final = "again"
"""Behind a period: in place of the picture of another one."""

_PICTURE: Final = "players.png"
_MOST_OUTAGES: Final = 5
_NEARLY_ALL: Final = 0.99
_SPARKS: Final = "▁▂▃▄▅▆▇█"
_COLUMNS: Final = 48
_PERIODS: Final = {
    Period.DAY: "the last 24 hours",
    Period.WEEK: "the last 7 days",
    Period.MONTH: "the last 30 days",
}


def render_past(past: Past, *, picture: bytes | None = None) -> Rendered:
    """Render the past of a server: the picture if there is one, and the same facts as text."""
    facts = list(_past_facts(past))
    head = layout.text(
        f"### Players · {escape(past.server)}",
        layout.subtext(f"{_PERIODS[past.period]} · until {timestamp(past.end, 'f')}"),
    )
    items: list[layout.Item] = [head]
    files: tuple[TextFile, ...] = ()
    if picture is not None:
        gallery: discord.ui.MediaGallery[discord.ui.LayoutView] = discord.ui.MediaGallery()
        gallery.add_item(media=f"attachment://{_PICTURE}", description=alt_text(past))
        items.append(gallery)
        files = (TextFile(_PICTURE, picture),)
    elif past.is_known:
        items.append(layout.text(_sparkline(past)))
    items.append(layout.text(*facts))
    items.append(
        layout.row(
            *(
                button(
                    HISTORY,
                    f"{past.server}/{period.value}/{AGAIN}",
                    period.value,
                    disabled=period is past.period,
                )
                for period in Period
            )
        )
    )
    return Rendered(view=layout.view(layout.container(*items, colour=layout.GOOD)), marker="", files=files)


def render_choice(names: Sequence[str]) -> discord.ui.LayoutView:
    """Render the question whose past somebody wants to see."""
    if not names:
        return layout.view(layout.text("No servers are watched."))
    options = [discord.SelectOption(label=name, value=name) for name in names]
    choice = layout.row(select(HISTORY, EVERY_SERVER, options, "Whose past?"))
    if len(names) <= MOST_OPTIONS:
        return layout.view(choice)
    return layout.view(
        layout.text(f"These are {MOST_OPTIONS} of {len(names)}: `/minecraft history` knows all."), choice
    )


def alt_text(past: Past) -> str:
    """Say in a sentence what the picture shows, for those who cannot see it."""
    if not past.is_known:
        return f"Nothing is known of {past.server} in this time."
    down = f"down for {spoken_duration(past.down)}" if past.down else "never down"
    return (
        f"Players on {past.server} over {_PERIODS[past.period]}: at most {past.peak}, "
        f"{past.average:.1f} on average, {down}."
    )[:1000]


def _past_facts(past: Past) -> Iterator[str]:
    if not past.is_known:
        yield "Nothing is known of this time."
        return
    peak = f"at most **{past.peak:,}**"
    if past.peak and past.peak_at is not None:
        peak += f", {timestamp(past.peak_at, 'f')}"
    yield f"{peak} · **{past.average:.1f}** on average"
    known = past.up + past.down
    share = known / (past.end - past.start)
    yield f"up **{_percent(past.availability)}** of the time" + (
        "" if share > _NEARLY_ALL else f" that is known, which is {_percent(share)} of it"
    )
    if not past.outages:
        return
    yield f"down {_times(len(past.outages))}, {spoken_duration(past.down)} in all:"
    longest = sorted(past.outages, key=lambda outage: outage.down, reverse=True)[:_MOST_OUTAGES]
    for outage in sorted(longest, key=lambda outage: outage.start):
        goes_on = outage.end >= past.end
        lasted = "until now" if goes_on else f"for {spoken_duration(outage.down)}"
        yield f"{timestamp(outage.start, 'f')} {lasted}"
    if len(past.outages) > _MOST_OUTAGES:
        yield layout.subtext(f"and {len(past.outages) - _MOST_OUTAGES} shorter ones")


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _percent(share: float) -> str:
    # What was down for a second was not up for all of it.
    shown = f"{share * 100:.1f}"
    return "99.9 %" if shown == "100.0" and share < 1 else f"{shown.removesuffix('.0')} %"


def _sparkline(past: Past) -> str:
    columns = columns_of(past, _COLUMNS)
    most = max(past.peak, 1)
    return code("".join(_spark(value, most) for value in columns), budget=_COLUMNS)


def _spark(value: float | None, most: int) -> str:
    if value is None:
        return "·"
    return _SPARKS[min(int(value / most * (len(_SPARKS) - 1) + 0.5), len(_SPARKS) - 1)]
