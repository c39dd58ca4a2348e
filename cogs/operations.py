"""The buttons of operations: Discord's objects in, one call of the service, its answer out."""

from typing import Any, Final

import discord
from discord.ext import commands

from bot.chat import layout
from bot.chat.handlers import Actions
from bot.chat.replies import (
    GuardedModal,
    Interaction,
    acknowledge,
    actor_from,
    defer,
    replace,
    reply,
)
from bot.core.errors import NotFoundError
from bot.operations.card import (
    ACT,
    APPROVE,
    AT_ONCE,
    CONFIRM,
    DECLINE,
    DETAILS,
    confirmed_words,
    declined_words,
    render_details,
)
from bot.operations.model import OperationId
from bot.operations.service import Operations

_LONGEST_WHY: Final = 200


class OperationsCog(commands.Cog):
    """What people can do from previews and cards of operations."""

    def __init__(self, operations: Operations, actions: Actions) -> None:
        """Take the service, and say what the buttons do."""
        self._operations = operations
        actions.register(CONFIRM, self._press_confirm)
        actions.register(APPROVE, self._press_approve)
        actions.register(DECLINE, self._press_decline)
        actions.register(ACT, self._press_act)
        actions.register(DETAILS, self._press_details)

    async def _press_confirm(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        confirmed = await self._operations.confirm(OperationId(key), by=actor_from(interaction))
        await replace(interaction, _only(confirmed_words(confirmed)))

    async def _press_approve(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        await self._operations.approve(OperationId(key), by=actor_from(interaction))

    async def _press_decline(self, interaction: Interaction, key: str) -> None:
        name, _, how = key.partition("/")
        if how != AT_ONCE:
            await interaction.response.send_modal(DeclineDialog(self._operations, OperationId(name)))
            return
        await acknowledge(interaction)
        declined = await self._operations.decline(OperationId(name), by=actor_from(interaction))
        await replace(interaction, _only(declined_words(declined)))

    async def _press_act(self, interaction: Interaction, key: str) -> None:
        name, slash, what = key.partition("/")
        if not slash:
            raise NotFoundError("This button belongs to another version of the bot.")
        await acknowledge(interaction)
        await self._operations.act(OperationId(name), what, by=actor_from(interaction))

    async def _press_details(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        shown = await self._operations.show(OperationId(key), by=actor_from(interaction))
        await reply(interaction, render_details(shown.operation, shown.entries))


class DeclineDialog(GuardedModal):
    """Asks why it should not happen."""

    def __init__(self, operations: Operations, operation_id: OperationId) -> None:
        """Take what is declined."""
        super().__init__("op-decline", title="Decline")
        self._operations = operations
        self._operation_id = operation_id
        self._why: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="why", max_length=_LONGEST_WHY, required=False
        )
        self.add_item(discord.ui.Label(text="Why", component=self._why))

    async def submitted(self, interaction: Interaction) -> None:
        """Decline it."""
        await defer(interaction)
        by = actor_from(interaction)
        declined = await self._operations.decline(self._operation_id, by=by, why=self._why.value)
        await reply(interaction, declined_words(declined))


def _only(words: str) -> discord.ui.LayoutView:
    return layout.view(layout.text(words))
