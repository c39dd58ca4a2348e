"""The buttons and selects of storms: Discord's objects in, one call of the service, its answer out."""

from collections.abc import Sequence

import discord
from discord.ext import commands

from bot.alerts import kinds
from bot.alerts.card import Look, render_acknowledged, render_incident
from bot.alerts.digests import Digests
from bot.alerts.silences.service import CardName, Silences
from bot.alerts.storm.card import ACK, CALL, END, FORCE, LIST, OPEN, SILENCE, render_listed
from bot.chat.handlers import Actions
from bot.chat.replies import Interaction, acknowledge, actor_from, defer, reply
from bot.core.clock import Clock
from cogs.incidents import parse_incident
from cogs.silences import SilenceDialog


class DigestsCog(commands.Cog):
    """What people can do from a digest."""

    def __init__(self, digests: Digests, silences: Silences, actions: Actions, clock: Clock) -> None:
        """Take the services, and say what the buttons do."""
        self._digests = digests
        self._silences = silences
        self._clock = clock
        actions.register(ACK, self._press_ack)
        actions.register(SILENCE, self._press_silence)
        actions.register(LIST, self._press_list)
        actions.register(CALL, self._press_call)
        actions.register(END, self._press_end)
        actions.register_select(OPEN, self._choose)
        actions.register_select(FORCE, self._force)

    async def _press_ack(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        taken = await self._digests.acknowledge_page(key, by=actor_from(interaction))
        await reply(interaction, render_acknowledged(taken))

    async def _press_silence(self, interaction: Interaction, key: str) -> None:
        numbers, channel_id = await self._digests.list_open(key)
        page = CardName(kinds.DIGEST, key, channel_id)
        draft = await self._silences.propose_common(numbers, by=actor_from(interaction), shown_as=page)
        dialog = SilenceDialog(self._silences, draft, title="Silence by common labels")
        await interaction.response.send_modal(dialog)

    async def _press_list(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        listed = await self._digests.list_page(key, by=actor_from(interaction))
        await reply(interaction, render_listed(listed, heading="On this page"))

    async def _press_call(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        storm_id, _, _ = key.partition("/")
        worst = await self._digests.list_worst(int(storm_id), by=actor_from(interaction))
        await reply(interaction, render_listed(worst, heading="The worst that nobody has"))

    async def _press_end(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        storm_id, _, _ = key.partition("/")
        await self._digests.end(int(storm_id), by=actor_from(interaction))

    async def _choose(self, interaction: Interaction, _key: str, values: Sequence[str]) -> None:
        await defer(interaction)
        opened = await self._digests.open(parse_incident(values[0]), by=actor_from(interaction))
        look = Look(now=self._clock.now(), silenced=opened.silenced)
        await reply(interaction, render_incident(opened.incident, look=look))

    async def _force(self, interaction: Interaction, _key: str, values: Sequence[str]) -> None:
        await defer(interaction)
        await self._digests.force(values[0], by=actor_from(interaction))
        await reply(
            interaction,
            f"Storm mode is on in **{discord.utils.escape_markdown(values[0])}** until somebody ends it.",
        )
