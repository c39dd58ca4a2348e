"""How whitelists look, and what members ask for."""

from collections.abc import Sequence

import discord

from bot.chat import layout
from bot.chat.action import button, custom_id
from bot.chat.rendered import Rendered
from bot.chat.text import code, escape, timestamp
from bot.minecraft.card.parts import ADD, DECLINE, LONGEST_NAMES, PLAYERS, listed
from bot.minecraft.console import Change, Changed
from bot.minecraft.requests import Request, RequestState


def render_whitelist(server: str, names: Sequence[str] | None, said: str) -> discord.ui.LayoutView:
    """Render whom a server lets in."""
    if names is None:
        text = f"The console of **{escape(server)}** said something unknown: {code(said)}"
    elif not names:
        text = f"Nobody is on the whitelist of **{escape(server)}**."
    else:
        named = listed(sorted(names, key=str.lower), LONGEST_NAMES)
        text = f"**{len(names)}** on the whitelist of **{escape(server)}**:\n{named}"
    return layout.view(layout.text(text))


def render_request(asked: Request) -> Rendered:
    """Render what a member asks for, with the buttons of those who decide."""
    number = str(asked.number)
    facts = [f"asked by <@{asked.asked_by}> {timestamp(asked.asked_at)}", escape(asked.server)]
    title = f"### Let {escape(asked.player)} onto {escape(asked.server)}?"
    if asked.state is not RequestState.WAITING:
        word = "ADDED" if asked.state is RequestState.ADDED else "DECLINED"
        title = f"### {word} · {escape(asked.player)} on {escape(asked.server)}"
        when = timestamp(asked.settled_at) if asked.settled_at is not None else ""
        facts.append(f"settled by <@{asked.settled_by}> {when}")
    items: list[layout.Item] = [layout.text(title, layout.subtext(" · ".join(facts)))]
    said = [f"> {escape(asked.note)}" if asked.note else "", escape(asked.outcome)]
    if any(said):
        items += [layout.gap(), layout.text(*said)]
    is_over = asked.state is not RequestState.WAITING
    items.append(
        layout.row(
            button(ADD, number, "Add", discord.ButtonStyle.success, disabled=is_over),
            button(DECLINE, number, "Decline", discord.ButtonStyle.danger, disabled=is_over),
        )
    )
    colour = {
        RequestState.WAITING: layout.WAITING,
        RequestState.ADDED: layout.GOOD,
        RequestState.DECLINED: layout.QUIET,
    }[asked.state]
    view = layout.view(layout.container(*items, colour=colour))
    return Rendered(view=view, marker=custom_id(ADD, number))


def render_answer(asked: Request) -> Rendered:
    """Render what the one who asked is told, which calls for them."""
    who, player, server = f"<@{asked.asked_by}>", escape(asked.player), escape(asked.server)
    if asked.state is RequestState.ADDED:
        words = f"{who} **{player}** is on the whitelist of **{server}** now."
    else:
        words = f"{who} **{player}** was not put on the whitelist of **{server}**."
    marker = button(PLAYERS, f"{asked.server}/{asked.number}", "Players")
    view = layout.view(layout.text(words), layout.row(marker))
    return Rendered(
        view=view,
        marker=custom_id(PLAYERS, f"{asked.server}/{asked.number}"),
        ping_users=(int(asked.asked_by),),
    )


def changed_words(changed: Changed, now: str) -> str:
    """Say what became of a change; `now` is how it is when it worked: `is on`, `is not on`."""
    player, server = f"**{escape(changed.player)}**", f"**{escape(changed.server)}**"
    if changed.change is Change.REFUSED:
        said = code(changed.said) if changed.said else "nothing"
        return f"The whitelist of {server} is as it was: its console said {said}."
    already = "already" if changed.change is Change.ALREADY else "now"
    return f"{player} {now} the whitelist of {server} {already}."


def requested_words(asked: Request) -> str:
    """Say that a request waits."""
    return f"An operator decides whether **{escape(asked.player)}** may join **{escape(asked.server)}**."
