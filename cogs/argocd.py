"""`/argocd` and the buttons of its answers: Discord's objects in, one call of the service, its answer out."""

from collections.abc import Callable, Sequence
from typing import Final

from discord import app_commands
from discord.ext import commands

from bot.argocd.card.changes import render_differences
from bot.argocd.card.crowds import CROWD
from bot.argocd.card.ending import render_ending
from bot.argocd.card.listing import render_list, render_tree
from bot.argocd.card.parts import (
    DIFF,
    HISTORY,
    OPEN,
    OPEN_SET,
    REFRESH,
    REFRESH_SET,
    ROLL_BACK,
    SYNC,
    TERMINATE,
    TREE,
    name_in,
    page_in,
)
from bot.argocd.card.past import render_history
from bot.argocd.card.sets import render_set, render_set_refreshed, render_sets
from bot.argocd.card.standing import render_refreshed, render_status
from bot.argocd.card.stories import STORY
from bot.argocd.model import HealthStatus, SyncStatus
from bot.argocd.service import ArgoCd
from bot.argocd.views import Suggestion, Wanted
from bot.chat.handlers import Actions
from bot.chat.replies import Choice, Interaction, acknowledge, actor_from, defer, offered, replace, reply
from bot.operations.card import render_preview

_ACTIONS: Final = {
    "sync": "argocd:sync",
    "sync-tree": "argocd:sync",
    "refresh": "argocd:refresh",
    "rollback": "argocd:rollback",
    "terminate": "argocd:terminate",
}
"""What must be allowed for an Application to be offered, where it is more than to look at it."""

Name = app_commands.Range[str, 1, 320]
Words = app_commands.Range[str, 1, 100]


@app_commands.guild_only()
class ArgoCdCog(commands.GroupCog, group_name="argocd", group_description="Applications of Argo CD."):
    """What people can ask of Argo CD."""

    def __init__(self, argocd: ArgoCd, actions: Actions) -> None:
        """Take the service, and say what the buttons below its answers do."""
        super().__init__()
        self._argocd = argocd
        actions.register(SYNC, self._press_sync)
        actions.register(DIFF, self._press_diff)
        actions.register(TREE, self._press_tree)
        actions.register(HISTORY, self._press_history)
        actions.register(REFRESH, self._press_refresh)
        actions.register(TERMINATE, self._press_terminate)
        actions.register(REFRESH_SET, self._press_refresh_set)
        actions.register(STORY, self._press_story)
        actions.register(CROWD, self._press_crowd)
        actions.register_select(OPEN, self._choose_application)
        actions.register_select(OPEN_SET, self._choose_set)
        actions.register_select(ROLL_BACK, self._choose_rollback)

    @app_commands.command(name="list")
    @app_commands.describe(
        project="Only of this project",
        health="Only those that are so",
        sync="Only those that are so",
        text="Words in the name, namespace, labels or images",
    )
    async def list_applications(
        self,
        interaction: Interaction,
        *,
        project: Words = "",
        health: HealthStatus | None = None,
        sync: SyncStatus | None = None,
        text: Words = "",
    ) -> None:
        """List Applications, those that need somebody first."""
        await self._show_list(interaction, Wanted(project=project, health=health, sync=sync, text=text))

    @app_commands.command()
    @app_commands.describe(app="The Application")
    async def status(self, interaction: Interaction, app: Name) -> None:
        """Show everything about an Application."""
        await self._show_status(interaction, app)

    @app_commands.command()
    @app_commands.describe(app="The Application at the top")
    async def tree(self, interaction: Interaction, app: Name) -> None:
        """Show an Application of Applications, by wave."""
        await self._show_tree(interaction, app)

    @app_commands.command()
    @app_commands.describe(app="The Application")
    async def history(self, interaction: Interaction, app: Name) -> None:
        """Show what was deployed, with a way back."""
        await self._show_history(interaction, app)

    @app_commands.command()
    @app_commands.describe(app="The Application")
    async def diff(self, interaction: Interaction, app: Name) -> None:
        """Show what a sync would change."""
        await self._show_diff(interaction, app)

    @app_commands.command()
    @app_commands.describe(
        app="The Application",
        revision="A branch, tag or commit (default: what it follows)",
        prune="Delete what no source has any more (default: no)",
        dry_run="Only try it: nothing is changed",
        resources="Only these, with commas between (default: all)",
    )
    async def sync(
        self,
        interaction: Interaction,
        app: Name,
        *,
        revision: Words = "",
        prune: bool = False,
        dry_run: bool = False,
        resources: app_commands.Range[str, 1, 1000] = "",
    ) -> None:
        """Bring an Application to what its sources say; you see what happens before it does."""
        await defer(interaction)
        proposed = await self._argocd.propose_sync(
            app,
            by=actor_from(interaction),
            channel_id=_channel(interaction),
            revision=revision,
            prune=prune,
            dry_run=dry_run,
            resources=resources,
        )
        await reply(interaction, render_preview(proposed))

    @app_commands.command(name="sync-tree")
    @app_commands.describe(
        app="The Application at the top", prune="Delete what no source has any more (default: no)"
    )
    async def sync_tree(self, interaction: Interaction, app: Name, *, prune: bool = False) -> None:
        """Sync an Application and all below it, wave by wave."""
        await defer(interaction)
        proposed = await self._argocd.propose_tree_sync(
            app, by=actor_from(interaction), channel_id=_channel(interaction), prune=prune
        )
        await reply(interaction, render_preview(proposed))

    @app_commands.command()
    @app_commands.describe(app="The Application", hard="Make its manifests anew as well")
    async def refresh(self, interaction: Interaction, app: Name, *, hard: bool = False) -> None:
        """Have Argo CD compare an Application anew."""
        await self._refresh(interaction, app, hard=hard)

    @app_commands.command()
    @app_commands.rename(entry="id")
    @app_commands.describe(
        app="The Application",
        entry="What was deployed before, by its number in the history",
        prune="Delete what that revision did not have (default: no)",
    )
    async def rollback(
        self,
        interaction: Interaction,
        app: Name,
        entry: app_commands.Range[str, 1, 20],
        *,
        prune: bool = False,
    ) -> None:
        """Deploy again what was deployed before; you see what happens before it does."""
        await defer(interaction)
        await self._propose_rollback(interaction, app, entry, prune=prune)

    @app_commands.command()
    @app_commands.describe(app="The Application whose sync runs")
    async def terminate(self, interaction: Interaction, app: Name) -> None:
        """End the sync that runs. What it has applied already stays."""
        await self._terminate(interaction, app)

    @app_commands.command(name="sets")
    @app_commands.rename(set_name="set")
    @app_commands.describe(set_name="One ApplicationSet (default: all)")
    async def sets(self, interaction: Interaction, set_name: Words = "") -> None:
        """Show ApplicationSets: what they made and what is wrong with them."""
        if set_name:
            await self._show_set(interaction, set_name)
            return
        await defer(interaction)
        await reply(interaction, render_sets(await self._argocd.list_sets(by=actor_from(interaction))))

    @app_commands.command(name="refresh-set")
    @app_commands.rename(set_name="set")
    @app_commands.describe(set_name="The ApplicationSet")
    async def refresh_set(self, interaction: Interaction, set_name: Words) -> None:
        """Have an ApplicationSet make its Applications anew."""
        await self._refresh_set(interaction, set_name)

    @list_applications.autocomplete("project")
    async def _complete_project(self, interaction: Interaction, typed: str) -> list[Choice]:
        by = actor_from(interaction)
        return await _offer(lambda: self._argocd.complete_project(typed, by=by))

    @status.autocomplete("app")
    @tree.autocomplete("app")
    @history.autocomplete("app")
    @diff.autocomplete("app")
    @sync.autocomplete("app")
    @sync_tree.autocomplete("app")
    @refresh.autocomplete("app")
    @rollback.autocomplete("app")
    @terminate.autocomplete("app")
    async def _complete_app(self, interaction: Interaction, typed: str) -> list[Choice]:
        by, action = actor_from(interaction), _ACTIONS.get(_command(interaction), "argocd:status")
        return await _offer(lambda: self._argocd.complete(typed, by=by, action=action))

    @sync.autocomplete("resources")
    async def _complete_resources(self, interaction: Interaction, typed: str) -> list[Choice]:
        by, app = actor_from(interaction), str(interaction.namespace.app or "")
        return await _offer(lambda: self._argocd.complete_resources(app, typed, by=by))

    @rollback.autocomplete("entry")
    async def _complete_entry(self, interaction: Interaction, typed: str) -> list[Choice]:
        by, app = actor_from(interaction), str(interaction.namespace.app or "")
        return await _offer(lambda: self._argocd.complete_history(app, typed, by=by))

    @sets.autocomplete("set_name")
    @refresh_set.autocomplete("set_name")
    async def _complete_set(self, interaction: Interaction, typed: str) -> list[Choice]:
        by = actor_from(interaction)
        return await _offer(lambda: self._argocd.complete_set(typed, by=by))

    async def _press_sync(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        proposed = await self._argocd.propose_sync(
            name_in(key), by=actor_from(interaction), channel_id=_channel(interaction)
        )
        await reply(interaction, render_preview(proposed))

    async def _press_story(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        standing = await self._argocd.story_status(int(key), by=actor_from(interaction))
        await reply(interaction, render_status(standing))

    async def _press_crowd(self, interaction: Interaction, _key: str) -> None:
        await self._show_list(interaction, Wanted())

    async def _press_diff(self, interaction: Interaction, key: str) -> None:
        name, page = page_in(key)
        if page is None:
            await self._show_diff(interaction, name)
            return
        await acknowledge(interaction)
        found = await self._argocd.turn_diff(name, by=actor_from(interaction))
        await replace(interaction, render_differences(found, page))

    async def _press_tree(self, interaction: Interaction, key: str) -> None:
        await self._show_tree(interaction, name_in(key))

    async def _press_history(self, interaction: Interaction, key: str) -> None:
        await self._show_history(interaction, name_in(key))

    async def _press_refresh(self, interaction: Interaction, key: str) -> None:
        await self._refresh(interaction, name_in(key), hard=False)

    async def _press_terminate(self, interaction: Interaction, key: str) -> None:
        await self._terminate(interaction, name_in(key))

    async def _press_refresh_set(self, interaction: Interaction, key: str) -> None:
        await self._refresh_set(interaction, name_in(key))

    async def _choose_application(self, interaction: Interaction, _place: str, values: Sequence[str]) -> None:
        await self._show_status(interaction, values[0])

    async def _choose_set(self, interaction: Interaction, _place: str, values: Sequence[str]) -> None:
        await self._show_set(interaction, values[0])

    async def _choose_rollback(self, interaction: Interaction, key: str, values: Sequence[str]) -> None:
        await self._propose_rollback(interaction, name_in(key), values[0], prune=False)

    async def _show_list(self, interaction: Interaction, wanted: Wanted) -> None:
        await defer(interaction)
        found = await self._argocd.list_applications(wanted, by=actor_from(interaction))
        await reply(interaction, render_list(found))

    async def _show_status(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        await reply(interaction, render_status(await self._argocd.status(name, by=actor_from(interaction))))

    async def _show_tree(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        await reply(interaction, render_tree(await self._argocd.tree(name, by=actor_from(interaction))))

    async def _show_history(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        await reply(interaction, render_history(await self._argocd.history(name, by=actor_from(interaction))))

    async def _show_diff(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        await reply(
            interaction, render_differences(await self._argocd.diff(name, by=actor_from(interaction)))
        )

    async def _show_set(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        await reply(interaction, render_set(await self._argocd.set_status(name, by=actor_from(interaction))))

    async def _refresh(self, interaction: Interaction, name: str, *, hard: bool) -> None:
        await defer(interaction)
        refreshed = await self._argocd.refresh(name, hard=hard, by=actor_from(interaction))
        await reply(interaction, render_refreshed(refreshed))

    async def _refresh_set(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        refreshed = await self._argocd.refresh_set(name, by=actor_from(interaction))
        await reply(interaction, render_set_refreshed(refreshed))

    async def _terminate(self, interaction: Interaction, name: str) -> None:
        await defer(interaction)
        by = actor_from(interaction)
        ended = await self._argocd.terminate(name, by=by, channel_id=_channel(interaction))
        await reply(interaction, render_ending(ended))

    async def _propose_rollback(
        self, interaction: Interaction, name: str, entry: str, *, prune: bool
    ) -> None:
        await defer(interaction)
        proposed = await self._argocd.propose_rollback(
            name, entry, by=actor_from(interaction), channel_id=_channel(interaction), prune=prune
        )
        await reply(interaction, render_preview(proposed))


async def _offer(suggest: Callable[[], Sequence[Suggestion]]) -> list[Choice]:
    return await offered("argocd", _choices(suggest))


async def _choices(suggest: Callable[[], Sequence[Suggestion]]) -> list[Choice]:
    return [Choice(name=each.name, value=each.value) for each in suggest()]


def _command(interaction: Interaction) -> str:
    return interaction.command.name if interaction.command else ""


def _channel(interaction: Interaction) -> int:
    return interaction.channel_id or 0
