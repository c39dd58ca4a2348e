"""`/machine` and the buttons on notices: what operators ask of the bot itself."""

import discord
from discord import app_commands
from discord.ext import commands

from bot.access.model import KNOWN_ACTIONS
from bot.cards.notices.card import ACTION as NOTICE
from bot.cards.notices.card import render_notice_details
from bot.chat.handlers import Actions
from bot.chat.replies import (
    Choice,
    Interaction,
    acknowledge,
    actor_from,
    actor_of,
    defer,
    offered,
    replace,
    reply,
)
from bot.core.actor import Actor
from bot.core.ranking import rank
from bot.journal.card import ACTION as HEAD
from bot.oversight.card import (
    AUDIT,
    CHANGES,
    YOU,
    changes_asked_for,
    page_asked_for,
    render_about,
    render_access,
    render_audit,
    render_changes,
    render_examination,
    render_head_explained,
    render_status,
)
from bot.oversight.service import Oversight

_MOST_CHOICES = 25

Glob = app_commands.Range[str, 1, 40]
Place = app_commands.Range[str, 1, 100]
Moment = app_commands.Range[str, 1, 20]


@app_commands.guild_only()
class MachineCog(commands.GroupCog, group_name="machine", group_description="The bot itself."):
    """What operators can ask of the bot itself."""

    def __init__(self, oversight: Oversight, actions: Actions) -> None:
        """Take the service, and say what the buttons in the audit channel do."""
        super().__init__()
        self._oversight = oversight
        actions.register(AUDIT, self._press_audit)
        actions.register(CHANGES, self._press_changes)
        actions.register(NOTICE, self._press_notice)
        actions.register(HEAD, self._press_head)

    @app_commands.command()
    @app_commands.describe(
        who="Only what this person did",
        action="Only this action, such as alerts:ack or alerts:*",
        since="Not older than this, such as 2h or 2026-11-20",
    )
    async def audit(
        self, interaction: Interaction, who: discord.User | None = None, action: Glob = "", since: Moment = ""
    ) -> None:
        """Show what people did, newest first."""
        await defer(interaction)
        page = await self._oversight.ask_audit(
            by=actor_from(interaction), who=str(who.id) if who else "", action=action, since=since
        )
        await reply(interaction, render_audit(page))

    @app_commands.command()
    @app_commands.describe(
        where="A namespace or an Application (default: everywhere)",
        since="Not older than this, such as 2h or 2026-11-20 (default: 1h)",
    )
    async def changes(self, interaction: Interaction, where: Place = "", since: Moment = "") -> None:
        """Show what was synced, promoted, rotated, scaled or silenced, newest first."""
        await defer(interaction)
        page = await self._oversight.ask_changes(by=actor_from(interaction), where=where, since=since)
        await reply(interaction, render_changes(page))

    @app_commands.command()
    @app_commands.describe(
        can="The action, such as alerts:ack",
        who="A person or a role (default: you)",
        what="On what, such as channel:critical or namespace:shop (default: anything)",
    )
    async def access(
        self,
        interaction: Interaction,
        can: str,
        who: discord.Member | discord.Role | None = None,
        what: app_commands.Range[str, 1, 100] = "",
    ) -> None:
        """Say who may do what, and whether you may."""
        await defer(interaction)
        asker = actor_from(interaction)
        subject = actor_of(who) if who else asker
        answer = await self._oversight.who_may(can, what, subject=subject, by=asker)
        await reply(interaction, render_access(answer, subject=who.mention if who else YOU))

    @app_commands.command()
    async def about(self, interaction: Interaction) -> None:
        """Say what this is, which version, and since when it runs."""
        await defer(interaction)
        await reply(interaction, render_about(await self._oversight.about(by=actor_from(interaction))))

    @app_commands.command()
    async def status(self, interaction: Interaction) -> None:
        """Show how each part of the bot is."""
        await defer(interaction)
        await reply(interaction, render_status(await self._oversight.status(by=actor_from(interaction))))

    @app_commands.command()
    async def doctor(self, interaction: Interaction) -> None:
        """Look for what could keep the bot from working, and say what to do."""
        await defer(interaction)
        found = await self._oversight.examine(by=actor_from(interaction))
        await reply(interaction, render_examination(found))

    @audit.autocomplete("action")
    @access.autocomplete("can")
    async def _complete_action(self, _interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("machine", _offer_actions(typed))

    @changes.autocomplete("where")
    async def _complete_place(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("machine", _offer_places(typed, self._oversight, actor_from(interaction)))

    async def _press_changes(self, interaction: Interaction, key: str) -> None:
        question, page = changes_asked_for(key)
        await acknowledge(interaction)
        found = await self._oversight.changes(question, by=actor_from(interaction), page=page)
        await replace(interaction, render_changes(found))

    async def _press_audit(self, interaction: Interaction, key: str) -> None:
        question, before = page_asked_for(key)
        await acknowledge(interaction)
        page = await self._oversight.audit(question, by=actor_from(interaction), before=before)
        await replace(interaction, render_audit(page))

    async def _press_notice(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        notice = await self._oversight.notice(int(key), by=actor_from(interaction))
        await reply(interaction, render_notice_details(notice))

    async def _press_head(self, interaction: Interaction, _key: str) -> None:
        await reply(interaction, render_head_explained())


async def _offer_places(typed: str, oversight: Oversight, by: Actor) -> list[Choice]:
    fitting = rank(typed, oversight.places(by=by), text=lambda place: place.partition(":")[2])
    return [Choice(name=place[:100], value=place[:100]) for place in fitting[:_MOST_CHOICES]]


async def _offer_actions(typed: str) -> list[Choice]:
    fitting = rank(typed, KNOWN_ACTIONS, text=str)
    return [Choice(name=action, value=action) for action in fitting[:_MOST_CHOICES]]
