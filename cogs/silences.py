"""The dialogs and buttons of silences: Discord's objects in, one call of the service, its answer out."""

from collections.abc import Sequence
from typing import Any, Final

import discord
from discord.ext import commands

from bot.alerts.model import IncidentNumber
from bot.alerts.silences.card import (
    created_words,
    ended_words,
    render_preview,
    render_silence,
    silence_key,
)
from bot.alerts.silences.length import PRESETS, preset_text
from bot.alerts.silences.model import LONGEST_COMMENT, LONGEST_MATCHERS, Draft, Width, write_matchers
from bot.alerts.silences.service import USUAL_LENGTH, Made, Previewed, Silences, are_one
from bot.alerts.silences.store import KeptSilence
from bot.chat import layout
from bot.chat.action import button
from bot.chat.handlers import Actions
from bot.chat.replies import (
    Choice,
    GuardedModal,
    Interaction,
    acknowledge,
    actor_from,
    defer,
    replace,
    reply,
)
from cogs.incidents import parse_incident

_LONGEST_LENGTH: Final = 60
_MOST_LISTED: Final = 5
_LENGTHS: Final = "30m, 2h, 1d, until 08:00, until tomorrow 8:00"


class SilencesCog(commands.Cog):
    """What people can do from cards, previews and the news of silences."""

    def __init__(self, silences: Silences, actions: Actions) -> None:
        """Take the service, and say what the buttons do."""
        self._silences = silences
        actions.register("silence", self._press_silence)
        actions.register("silence-create", self._press_create)
        actions.register("silence-edit", self._press_edit)
        actions.register("silence-extend", self._press_extend)
        actions.register("unsilence", self._press_unsilence)
        actions.register_select("silence-width", self._choose_width)

    async def _press_silence(self, interaction: Interaction, key: str) -> None:
        await open_dialog(interaction, self._silences, parse_incident(key))

    async def _press_create(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        outcome = await self._silences.create(key, by=actor_from(interaction))
        await replace(interaction, _answer(outcome, token=key))

    async def _press_edit(self, interaction: Interaction, key: str) -> None:
        draft = await self._silences.reopen(key, by=actor_from(interaction))
        end = f"until {draft.ends_at.astimezone(self._silences.zone):%Y-%m-%d %H:%M}"
        dialog = SilenceDialog(self._silences, draft, length=end, title="Change a silence", end=end)
        await interaction.response.send_modal(dialog)

    async def _press_extend(self, interaction: Interaction, key: str) -> None:
        found = await self._silences.find(key, by=actor_from(interaction))
        if are_one(found):
            await interaction.response.send_modal(ExtendDialog(self._silences, key))
        else:
            await _list(interaction, found)

    async def _press_unsilence(self, interaction: Interaction, key: str) -> None:
        await defer(interaction)
        await end_silences(interaction, self._silences, key)

    async def _choose_width(self, interaction: Interaction, key: str, values: Sequence[str]) -> None:
        await acknowledge(interaction)
        outcome = await self._silences.widen(key, Width(values[0]), by=actor_from(interaction))
        await replace(interaction, _answer(outcome))


class SilenceDialog(GuardedModal):
    """Asks what to silence, how long and why."""

    def __init__(
        self,
        silences: Silences,
        draft: Draft,
        *,
        length: str,
        title: str,
        end: str | None = None,
    ) -> None:
        """Take the draft that it begins with; `end` stands for the end that the draft has."""
        super().__init__("silence", title=title)
        self._silences = silences
        self._draft = draft
        self._end = end
        self._matchers: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="matchers",
            style=discord.TextStyle.paragraph,
            default=write_matchers(draft.matchers)[:LONGEST_MATCHERS],
            max_length=LONGEST_MATCHERS,
        )
        self._length: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="length", default=length[:_LONGEST_LENGTH], max_length=_LONGEST_LENGTH
        )
        self._comment: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="comment",
            style=discord.TextStyle.paragraph,
            default=draft.comment[:LONGEST_COMMENT],
            max_length=LONGEST_COMMENT,
            required=False,
        )
        self.add_item(
            discord.ui.Label(
                text="What",
                description="Matchers as Alertmanager writes them, one a line",
                component=self._matchers,
            )
        )
        self.add_item(discord.ui.Label(text="How long", description=_LENGTHS, component=self._length))
        self.add_item(discord.ui.Label(text="Why", component=self._comment))

    async def submitted(self, interaction: Interaction) -> None:
        """Show what it would do."""
        await defer(interaction)
        draft = self._silences.read(
            self._draft,
            matchers=self._matchers.value,
            length=None if self._length.value == self._end else self._length.value,
            comment=self._comment.value,
        )
        previewed = await self._silences.preview(draft, by=actor_from(interaction))
        await reply(interaction, _answer(previewed))


class ExtendDialog(GuardedModal):
    """Asks how much longer."""

    def __init__(self, silences: Silences, key: str) -> None:
        """Take what the button names."""
        super().__init__("silence-extend", title="Extend a silence")
        self._silences = silences
        self._key = key
        self._length: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="length", default=preset_text(USUAL_LENGTH), max_length=_LONGEST_LENGTH
        )
        self.add_item(
            discord.ui.Label(
                text="How much longer, or until when", description=_LENGTHS, component=self._length
            )
        )

    async def submitted(self, interaction: Interaction) -> None:
        """Extend it, or show what that would do."""
        await defer(interaction)
        outcome = await self._silences.extend(self._key, self._length.value, by=actor_from(interaction))
        await reply(interaction, _answer(outcome))


async def open_dialog(
    interaction: Interaction,
    silences: Silences,
    number: IncidentNumber,
    *,
    length: str = "",
    comment: str = "",
) -> None:
    """Ask what to silence about an incident; the answer to an interaction that has none yet."""
    draft = await silences.propose(number, by=actor_from(interaction), comment=comment)
    dialog = SilenceDialog(
        silences, draft, length=length or preset_text(USUAL_LENGTH), title=f"Silence #{number}"
    )
    await interaction.response.send_modal(dialog)


async def end_silences(interaction: Interaction, silences: Silences, key: str) -> None:
    """End what a key names; where that is several silences, show them to choose from."""
    by = actor_from(interaction)
    found = await silences.find(key, by=by)
    if not are_one(found):
        await _list(interaction, found)
        return
    outcome = await silences.end(key, by=by)
    await reply(interaction, ended_words([each.source for each in outcome.ended], outcome.failed))


def offer_lengths(typed: str) -> list[Choice]:
    """Return usual lengths for completion, and what was typed."""
    presets = [preset_text(preset) for preset in PRESETS if preset_text(preset).startswith(typed.strip())]
    written = [typed.strip()[:_LONGEST_LENGTH]] if typed.strip() and typed.strip() not in presets else []
    return [Choice(name=text, value=text) for text in (*written, *presets)]


async def _list(interaction: Interaction, found: Sequence[KeptSilence]) -> None:
    for each in found[:_MOST_LISTED]:
        view = render_silence(
            each.silence, source=each.source, key=silence_key(each.silence.id), is_over=False
        )
        await reply(interaction, view)
    if len(found) > _MOST_LISTED:
        await reply(interaction, f"{len(found) - _MOST_LISTED} more silences keep it quiet as well.")


def _answer(outcome: Made | Previewed, *, token: str = "") -> discord.ui.LayoutView:
    if isinstance(outcome, Previewed):
        return render_preview(
            outcome.draft,
            outcome.preview,
            outcome.judgement,
            policy=outcome.policy,
            named=outcome.named,
            key=outcome.token,
            offered=outcome.widths,
        )
    words = layout.text(created_words(outcome.created, outcome.failed, outcome.draft))
    if outcome.failed and token:
        return layout.view(words, layout.row(button("silence-create", token, "Try again")))
    return layout.view(words)
