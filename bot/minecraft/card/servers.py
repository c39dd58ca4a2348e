"""How servers look: the board with all of them, the card of one, who is on."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

import discord

from bot.chat import layout
from bot.chat.action import ActionButton, button, custom_id
from bot.chat.rendered import Rendered, TextFile
from bot.chat.text import code, cut, escape, timestamp
from bot.minecraft.card.parts import (
    EVERY_SERVER,
    HISTORY,
    LONGEST_NAMES,
    PLAYERS,
    START,
    STOP,
    counted,
    listed,
    motd_lines,
)
from bot.minecraft.history import Period
from bot.minecraft.model import Answer, Condition, Edition, Playing, Standing, View

_ICON: Final = "icon.png"
_MOST_APART: Final = 10
_MOST_START_BUTTONS: Final = 2
_NAMES_ON_BOARD: Final = 90
_BESIDE_NAMES: Final = 200
"""What else is said of who is on a server."""
_MOST_PODS: Final = 3
_LONGEST_POD: Final = 80
_TEXT: Final = 3600
_MOTD_LINES: Final = 3

_COLOURS: Final = {
    Condition.ONLINE: layout.GOOD,
    Condition.FULL: layout.GOOD,
    Condition.STARTING: layout.RUNNING,
    Condition.OFFLINE: layout.CRITICAL,
    Condition.UNREACHABLE: layout.CRITICAL,
    Condition.WRONG_PROTOCOL: layout.CRITICAL,
}


def render_board(views: Sequence[View], *, now: datetime) -> Rendered:
    """Render all servers, those in trouble first where not all have room."""
    items: list[layout.Item] = [
        layout.text("### Minecraft", layout.subtext(f"updated {timestamp(now)}{_total(views)}")),
        *_board_items(views),
    ]
    startable = [view for view in views if _is_startable(view)]
    items.append(
        layout.row(
            *(
                button(START, view.server.name, f"Start {view.server.name}…")
                for view in startable[:_MOST_START_BUTTONS]
            ),
            button(PLAYERS, EVERY_SERVER, "Players"),
            button(HISTORY, EVERY_SERVER, "History"),
        )
    )
    view = layout.view(layout.container(*items, colour=_board_colour(views)))
    return Rendered(view=view, marker=custom_id(HISTORY, EVERY_SERVER), silent=True)


def render_server(view: View) -> Rendered:
    """Render one server with its icon, what it says of itself and who is on."""
    standing, server = view.standing, view.server
    answer = standing.answer if standing is not None else None
    head = [f"### {_state(view)} · {escape(server.name)}", layout.subtext(" · ".join(_facts(view)))]
    icon = answer.icon if answer is not None else None
    first: layout.Item = layout.text(*head)
    files: tuple[TextFile, ...] = ()
    if icon is not None:
        first = discord.ui.Section(*head, accessory=discord.ui.Thumbnail(f"attachment://{_ICON}"))
        files = (TextFile(_ICON, icon),)
    items: list[layout.Item] = [first]
    if answer is not None and (motd := motd_lines(answer.motd)[:_MOTD_LINES]):
        items += [layout.gap(), layout.text(*(f"> {line}" for line in motd))]
    if body := list(_body(view)):
        items += [layout.gap(), layout.text(*body)]
    if row := list(_server_buttons(view)):
        items.append(layout.row(*row))
    colour = _colour(view)
    return Rendered(view=layout.view(layout.container(*items, colour=colour)), marker="", files=files)


def render_servers(views: Sequence[View], *, now: datetime) -> discord.ui.LayoutView:
    """Render several servers for the one who asks."""
    rendered = render_board(views, now=now)
    return rendered.view


def render_players(playing: Sequence[Playing]) -> discord.ui.LayoutView:
    """Render who is on: all of them where the console says so, else those whom the server names."""
    head = layout.text("### Players")
    lines = list(_few(playing) if len(playing) <= _MOST_APART else _many(playing))
    text = layout.text(*lines) if lines else layout.text("No servers are watched.")
    return layout.view(layout.container(head, layout.gap(), text, colour=layout.GOOD))


def _few(playing: Sequence[Playing]) -> Iterator[str]:
    budget = _TEXT // max(len(playing), 1)
    for each in playing:
        yield cut("\n".join(_players(each, min(budget, LONGEST_NAMES))), budget)


def _many(playing: Sequence[Playing]) -> Iterator[str]:
    """Say a line each, where most play first, with a few names; and how many have no room."""
    ordered = sorted(playing, key=lambda each: -each.count)
    lines = [" · ".join(islice(_players(each, _NAMES_ON_BOARD + _BESIDE_NAMES), 2)) for each in ordered]
    kept = layout.fitting(lines, _TEXT)
    yield from kept
    if len(kept) < len(lines):
        yield layout.subtext(f"and {len(lines) - len(kept)} more")
    yield layout.subtext("As the servers themselves tell everybody.")


def _state(view: View) -> str:
    if view.condition is None:
        return "UNKNOWN"
    return "STOPPED" if _is_stopped(view) else view.condition.value.upper()


def _is_stopped(view: View) -> bool:
    return view.standing is not None and view.standing.stop is not None and not view.is_up


def _colour(view: View) -> discord.Colour:
    if view.condition is None or _is_stopped(view):
        return layout.QUIET
    return _COLOURS[view.condition]


def _board_colour(views: Sequence[View]) -> discord.Colour:
    known = [view.condition for view in views if view.condition is not None and not _is_stopped(view)]
    if any(_COLOURS[condition] is layout.CRITICAL for condition in known):
        return layout.WARNING
    return layout.GOOD if any(condition.is_up for condition in known) else layout.QUIET


def _total(views: Sequence[View]) -> str:
    up = [view.standing for view in views if view.standing is not None and view.standing.is_up]
    if len(views) < 2 or not up:  # noqa: PLR2004 (of one server its own line says it)
        return ""
    players = sum(standing.players for standing in up)
    return f" · {counted(players, 'player')} on {counted(len(up), 'server')}"


def _is_startable(view: View) -> bool:
    return view.can_start and not view.is_wanted and not view.is_up


def _board_items(views: Sequence[View]) -> Iterator[layout.Item]:
    if not views:
        yield from (layout.gap(), layout.text("No servers are watched."))
    elif len(views) <= _MOST_APART:
        for view in views:
            yield from (layout.gap(), layout.text(*_board_entry(view)))
    else:
        # Where not all have room, those in trouble and those where somebody plays do.
        lines = [next(_board_entry(view)) for view in sorted(views, key=_rank)]
        kept = layout.fitting(lines, _TEXT)
        more = layout.subtext(f"and {len(lines) - len(kept)} more") if len(kept) < len(lines) else None
        yield from (layout.gap(), layout.text(*kept, more))


def _rank(view: View) -> int:
    """Put those in trouble first, then those where somebody plays."""
    standing = view.standing
    if standing is None or _is_stopped(view):
        return 3
    if not standing.is_up:
        return 0
    return 1 if standing.players else 2


def _board_entry(view: View) -> Iterator[str]:
    """Say how a server is in a line, and more about it in a second one."""
    standing, name = view.standing, f"**{escape(view.server.name)}**"
    if standing is None:
        yield f"{name}  not asked yet"
        return
    if standing.answer is not None and standing.is_up:
        yield f"{name}  {'  ·  '.join(_up_facts(standing, standing.answer))}"
        below = [listed(standing.answer.names, _NAMES_ON_BOARD, standing.answer.online)]
    else:
        yield f"{name}  {_down_words(view)}"
        below = [_why(view)]
    if standing.is_up:
        below.append(code(view.server.shown_address) if view.server.shown_address else "")
    if any(below):
        yield layout.subtext(" · ".join(filter(None, below)))


def _up_facts(standing: Standing, answer: Answer) -> Iterator[str]:
    yield standing.condition.value
    yield "players hidden" if answer.hides_players else f"{answer.online:,} of {answer.most:,}"
    if answer.version:
        yield cut(escape(answer.version), 30)
    yield _latency(answer)


def _down_words(view: View) -> str:
    standing = view.standing
    if standing is None:
        return "not asked yet"
    if standing.stop is not None:
        by = f"by <@{standing.stop.by_id}>" if standing.stop.by_id else "on purpose"
        return f"offline since {timestamp(standing.since)}  ·  stopped {by}"
    if view.condition is Condition.STARTING:
        since = f" since {timestamp(standing.starting_since)}" if standing.starting_since else ""
        return f"starting{since}"
    return f"{standing.condition.value} since {timestamp(standing.since)}"


def _why(view: View) -> str:
    """Say why it is not up, or what it waits for; nothing where that is on purpose."""
    standing = view.standing
    if standing is None or standing.stop is not None:
        return ""
    if view.hint:
        return view.hint
    if view.is_coming:
        return ", ".join(_pods(view)) or "Its pod is not ready yet."
    if view.is_being_started:
        return "It does not answer yet."
    return escape(standing.trouble.sentence) if standing.trouble else ""


def _pods(view: View) -> Iterator[str]:
    """Say how its pods are, as far as they have room beside other servers."""
    yield from (cut(escape(pod), _LONGEST_POD) for pod in view.pods[:_MOST_PODS])
    if (more := len(view.pods) - _MOST_PODS) > 0:
        yield f"and {more} more pods"


def _latency(answer: Answer) -> str:
    milliseconds = answer.latency / timedelta(milliseconds=1)
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else "< 1 ms"


def _facts(view: View) -> Iterator[str]:
    standing, answer = view.standing, view.standing.answer if view.standing is not None else None
    yield "Bedrock" if view.server.edition is Edition.BEDROCK else "Java"
    if answer is not None:
        yield cut(escape(answer.version), 60)
        if answer.brand:
            yield cut(escape(answer.brand), 80)
        yield _latency(answer)
    if standing is None:
        yield "not asked yet"
    elif standing.is_up:
        yield f"up since {timestamp(standing.since)}"
    else:
        yield _down_words(view).replace("  ·  ", " · ")


def _body(view: View) -> Iterator[str]:
    standing = view.standing
    answer = standing.answer if standing is not None else None
    if answer is not None and answer.hides_players:
        yield "It does not say how many play."
    elif answer is not None:
        line = f"**{answer.online:,} of {answer.most:,}** players"
        names = listed(answer.names, LONGEST_NAMES, answer.online)
        yield f"{line}: {names}" if names else line
    elif why := _why(view):
        yield why
    if answer is not None or not view.is_coming:
        yield from (layout.subtext(pod) for pod in _pods(view))
    if view.server.shown_address:
        yield f"Join at {code(view.server.shown_address)}"


def _server_buttons(view: View) -> Iterator[ActionButton]:
    name = view.server.name
    if _is_startable(view):
        yield button(START, name, "Start…", discord.ButtonStyle.success)
    if view.is_up:
        yield button(PLAYERS, name, "Players")
    yield button(HISTORY, f"{name}/{Period.DAY.value}", "History")
    if view.can_start and (view.is_wanted or view.is_up):
        yield button(STOP, name, "Stop…", discord.ButtonStyle.danger)


def _players(playing: Playing, budget: int) -> Iterator[str]:
    name = f"**{escape(playing.view.server.name)}**"
    standing = playing.view.standing
    if standing is None or not standing.is_up:
        yield f"{name}  {_down_words(playing.view)}"
        return
    if playing.is_hidden:
        yield f"{name}  It does not say how many play."
    else:
        yield f"{name}  {counted(playing.count, 'player')}"
    if named := listed(playing.names, budget - _BESIDE_NAMES, playing.count):
        yield named
    if playing.problem:
        yield layout.subtext(playing.problem)
    elif playing.count and not playing.from_console:
        partial = "It names only some of them." if len(playing.names) < playing.count else ""
        yield layout.subtext(f"As the server itself tells everybody. {partial}".strip())
