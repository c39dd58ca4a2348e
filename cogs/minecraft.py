"""`/minecraft` and the buttons of servers: Discord's objects in, one call of a service, its answer out."""

from collections.abc import Sequence
from typing import Any, Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.handlers import Actions
from bot.chat.replies import (
    MOST_CHOICES,
    Choice,
    GuardedModal,
    Interaction,
    acknowledge,
    actor_from,
    defer,
    offered,
    replace,
    reply,
)
from bot.core.clock import Clock
from bot.core.ranking import rank
from bot.minecraft.card.parts import ADD, DECLINE, EVERY_SERVER, HISTORY, PLAYERS, START, STOP
from bot.minecraft.card.past import AGAIN, render_choice, render_past
from bot.minecraft.card.servers import render_players, render_server, render_servers
from bot.minecraft.card.whitelist import changed_words, render_whitelist, requested_words
from bot.minecraft.history import Period
from bot.minecraft.keys import MAY_START, MAY_STOP, Keys
from bot.minecraft.service import HISTORY as MAY_HISTORY
from bot.minecraft.service import PLAYERS as MAY_PLAYERS
from bot.minecraft.service import REQUEST, STATUS, WHITELIST, Minecraft
from bot.minecraft.whitelists import LONGEST_NOTE, Whitelists
from bot.operations.card import render_preview

ServerName = app_commands.Range[str, 1, 60]
PlayerName = app_commands.Range[str, 1, 17]
Note = app_commands.Range[str, 1, LONGEST_NOTE]
_PERIODS: Final = [Choice(name=period.value, value=period.value) for period in Period]


@app_commands.guild_only()
class MinecraftCog(commands.GroupCog, group_name="minecraft", group_description="Minecraft servers."):
    """What people can ask about servers."""

    whitelist = app_commands.Group(name="whitelist", description="Whom a server lets in.")

    def __init__(
        self, minecraft: Minecraft, whitelists: Whitelists, keys: Keys, actions: Actions, clock: Clock
    ) -> None:
        """Take the services, and say what the buttons do."""
        super().__init__()
        self._keys = keys
        self._minecraft = minecraft
        self._whitelists = whitelists
        self._clock = clock
        actions.register(PLAYERS, self._press_players)
        actions.register(HISTORY, self._press_history)
        actions.register(ADD, self._press_add)
        actions.register(DECLINE, self._press_decline)
        actions.register(START, self._press_start)
        actions.register(STOP, self._press_stop)
        actions.register_select(HISTORY, self._choose_history)

    @app_commands.command()
    @app_commands.describe(server="Which server (default: all)")
    async def status(self, interaction: Interaction, server: ServerName = "") -> None:
        """Show how a server is, or how all are."""
        await defer(interaction)
        by = actor_from(interaction)
        if server:
            await reply(interaction, render_server(await self._minecraft.status(server, by=by)))
        else:
            views = await self._minecraft.list_status(by=by)
            await reply(interaction, render_servers(views, now=self._clock.now()))

    @app_commands.command()
    @app_commands.describe(server="Which server")
    async def players(self, interaction: Interaction, server: ServerName) -> None:
        """Show who is on a server."""
        await defer(interaction)
        playing = await self._minecraft.players(server, by=actor_from(interaction))
        await reply(interaction, render_players([playing]))

    @app_commands.command()
    @app_commands.describe(server="Which server", period="How far back (default: 24h)")
    @app_commands.choices(period=_PERIODS)
    async def history(
        self, interaction: Interaction, server: ServerName, period: str = Period.DAY.value
    ) -> None:
        """Show how many played, and when the server was down."""
        await defer(interaction)
        shown = await self._minecraft.past(server, Period(period), by=actor_from(interaction))
        await reply(interaction, render_past(shown.past, picture=shown.picture))

    @app_commands.command()
    @app_commands.describe(server="Which server")
    async def start(self, interaction: Interaction, server: ServerName) -> None:
        """Start a server; you see first what happens."""
        await self._press_start(interaction, server)

    @app_commands.command()
    @app_commands.describe(server="Which server")
    async def stop(self, interaction: Interaction, server: ServerName) -> None:
        """Stop a server; you see first what happens, and to whom."""
        await self._press_stop(interaction, server)

    @whitelist.command(name="list")
    @app_commands.describe(server="Which server")
    async def whitelist_list(self, interaction: Interaction, server: ServerName) -> None:
        """Show whom a server lets in."""
        await defer(interaction)
        listed = await self._whitelists.list_names(server, by=actor_from(interaction))
        await reply(interaction, render_whitelist(listed.server, listed.names, listed.said))

    @whitelist.command(name="add")
    @app_commands.describe(server="Which server", player="The name in the game")
    async def whitelist_add(self, interaction: Interaction, server: ServerName, player: PlayerName) -> None:
        """Have a server let a player in."""
        await defer(interaction)
        changed = await self._whitelists.add(server, player, by=actor_from(interaction))
        await reply(interaction, changed_words(changed, "is on"))

    @whitelist.command(name="remove")
    @app_commands.describe(server="Which server", player="The name in the game")
    async def whitelist_remove(
        self, interaction: Interaction, server: ServerName, player: PlayerName
    ) -> None:
        """Have a server let a player in no more."""
        await defer(interaction)
        changed = await self._whitelists.remove(server, player, by=actor_from(interaction))
        await reply(interaction, changed_words(changed, "is not on"))

    @whitelist.command(name="request")
    @app_commands.describe(
        server="Which server", player="Your name in the game", note="A word for those who decide"
    )
    async def whitelist_request(
        self, interaction: Interaction, server: ServerName, player: PlayerName, note: Note = ""
    ) -> None:
        """Ask the operators to let a player in."""
        await defer(interaction)
        asked = await self._whitelists.request(
            server, player, note, channel_id=interaction.channel_id or 0, by=actor_from(interaction)
        )
        await reply(interaction, requested_words(asked))

    @status.autocomplete("server")
    async def _complete_status(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, STATUS)

    @players.autocomplete("server")
    async def _complete_players(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, MAY_PLAYERS)

    @history.autocomplete("server")
    async def _complete_history(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, MAY_HISTORY)

    @start.autocomplete("server")
    async def _complete_start(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, MAY_START)

    @stop.autocomplete("server")
    async def _complete_stop(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, MAY_STOP)

    @whitelist_list.autocomplete("server")
    @whitelist_add.autocomplete("server")
    @whitelist_remove.autocomplete("server")
    async def _complete_whitelist(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, WHITELIST)

    @whitelist_request.autocomplete("server")
    async def _complete_request(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await self._offer(interaction, typed, REQUEST)

    @whitelist_remove.autocomplete("player")
    async def _complete_player(self, interaction: Interaction, typed: str) -> list[Choice]:
        async def choices() -> list[Choice]:
            server = getattr(interaction.namespace, "server", None) or ""
            names = await self._whitelists.offer(server, typed, by=actor_from(interaction))
            return [Choice(name=name, value=name) for name in names[:MOST_CHOICES]]

        return await offered("minecraft", choices())

    async def _offer(self, interaction: Interaction, typed: str, action: str) -> list[Choice]:
        async def choices() -> list[Choice]:
            names = self._minecraft.door.names(by=actor_from(interaction), action=action)
            return [Choice(name=name, value=name) for name in rank(typed, names, text=str)[:MOST_CHOICES]]

        return await offered("minecraft", choices())

    async def _press_players(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        by, server = actor_from(interaction), key.partition("/")[0]
        if server == EVERY_SERVER:
            playing = await self._minecraft.list_players(by=by)
        else:
            playing = [await self._minecraft.players(server, by=by)]
        await reply(interaction, render_players(playing))

    async def _press_history(self, interaction: Interaction, key: str) -> None:
        by = actor_from(interaction)
        if key != EVERY_SERVER:
            await self._show_past(interaction, key)
            return
        names = [view.server.name for view in await self._minecraft.door.enter_all(MAY_HISTORY, by=by)]
        if len(names) == 1:
            await self._show_past(interaction, names[0])
        else:
            await reply(interaction, render_choice(names))

    async def _choose_history(self, interaction: Interaction, _key: str, values: Sequence[str]) -> None:
        await self._show_past(interaction, f"{values[0]}/{Period.DAY.value}/{AGAIN}")

    async def _show_past(self, interaction: Interaction, key: str) -> None:
        server, _, rest = key.partition("/")
        period, _, again = rest.partition("/")
        await (acknowledge(interaction) if again else defer(interaction))
        shown = await self._minecraft.past(
            server, Period(period or Period.DAY.value), by=actor_from(interaction)
        )
        rendered = render_past(shown.past, picture=shown.picture)
        await (replace(interaction, rendered) if again else reply(interaction, rendered))

    async def _press_start(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        by, channel_id = actor_from(interaction), interaction.channel_id or 0
        await reply(
            interaction, render_preview(await self._keys.propose_start(key, by=by, channel_id=channel_id))
        )

    async def _press_stop(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        by, channel_id = actor_from(interaction), interaction.channel_id or 0
        await reply(
            interaction, render_preview(await self._keys.propose_stop(key, by=by, channel_id=channel_id))
        )

    async def _press_add(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        await self._whitelists.approve(int(key), by=actor_from(interaction))

    async def _press_decline(self, interaction: Interaction, key: str) -> None:
        await interaction.response.send_modal(DeclineDialog(self._whitelists, int(key)))


class DeclineDialog(GuardedModal):
    """Asks why a player is not let in."""

    def __init__(self, whitelists: Whitelists, number: int) -> None:
        """Take which request it is about."""
        super().__init__("mc-decline", title="Decline")
        self._whitelists = whitelists
        self._number = number
        self._why: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="why", max_length=LONGEST_NOTE, required=False
        )
        self.add_item(discord.ui.Label(text="Why", component=self._why))

    async def submitted(self, interaction: Interaction) -> None:
        """Decline it."""
        await defer(interaction)
        await self._whitelists.decline(self._number, self._why.value, by=actor_from(interaction))
        await reply(interaction, "Declined.")
