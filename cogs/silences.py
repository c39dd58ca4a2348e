"""The dialogs and buttons of silences: Discord's objects in, one call of the service, its answer out."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, Final

import discord
from discord.ext import commands

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.silences.card import (
    created_words,
    ended_words,
    render_ending,
    render_misunderstood,
    render_preview,
    render_silence,
    silence_key,
)
from bot.alerts.silences.length import MOMENTS, PRESETS, preset_text
from bot.alerts.silences.model import LONGEST_COMMENT, LONGEST_MATCHERS, Draft, Width, Written, write_matchers
from bot.alerts.silences.service import (
    USUAL_LENGTH,
    Asked,
    Ended,
    Made,
    Misunderstood,
    Previewed,
    Silences,
    are_one,
)
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
from bot.core.durations import spoken_duration
from cogs.incidents import parse_incident

_OF_INCIDENT: Final = "i/"
_LONGEST_LENGTH: Final = 60
_MOST_LISTED: Final = 5
_LENGTHS: Final = "30m, 2h, 1d, until 08:00, until tomorrow 8:00"
_WRITTEN: Final = "Such as 90m, 2h30m, until 18:30, until friday 8:00"
_AS_IT_IS: Final = "as it is"
_OFFERED: Final = (*map(preset_text, PRESETS), *MOMENTS)


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
        if key.startswith(_OF_INCIDENT):
            found = await self._silences.find(key, by=actor_from(interaction))
            if not are_one(found):
                await _list(interaction, found)
                return
        draft, written = await self._silences.reopen(key, by=actor_from(interaction))
        dialog = SilenceDialog(self._silences, draft, written=written, title="Change a silence", has_end=True)
        await interaction.response.send_modal(dialog)

    async def _press_extend(self, interaction: Interaction, key: str) -> None:
        name, _, token = key.partition(".")
        by = actor_from(interaction)
        found = await self._silences.find(name, by=by)
        if not are_one(found):
            await _list(interaction, found)
            return
        _, written = await self._silences.reopen(token, by=by) if token else (None, None)
        await interaction.response.send_modal(ExtendDialog(self._silences, name, written=written))

    async def _press_unsilence(self, interaction: Interaction, key: str) -> None:
        name, is_confirmed, told = key.partition(".")
        await (acknowledge(interaction) if is_confirmed else defer(interaction))
        await end_silences(interaction, self._silences, name, told=told)

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
        title: str,
        length: str = "",
        has_end: bool = False,
        written: Written | None = None,
    ) -> None:
        """Take the draft that it begins with, whose end may stay, and what was typed the last time."""
        super().__init__("silence", title=title)
        self._silences = silences
        self._draft = draft
        self._unless_chosen = _AS_IT_IS if has_end else preset_text(USUAL_LENGTH)
        typed = written or Written(
            matchers=write_matchers(draft.matchers),
            length=None if has_end else length or preset_text(USUAL_LENGTH),
            comment=draft.comment,
        )
        is_offered = typed.length is None or typed.length in _OFFERED
        self._matchers: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="matchers",
            style=discord.TextStyle.paragraph,
            default=typed.matchers[:LONGEST_MATCHERS],
            max_length=LONGEST_MATCHERS,
        )
        self._usual: discord.ui.Select[Any] = discord.ui.Select(
            custom_id="usual",
            options=_lengths(draft if has_end else None, silences.zone, chosen=typed.length),
            required=False,
        )
        self._length: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="length",
            default="" if is_offered else (typed.length or "")[:_LONGEST_LENGTH],
            max_length=_LONGEST_LENGTH,
            required=False,
        )
        self._comment: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="comment",
            style=discord.TextStyle.paragraph,
            default=typed.comment[:LONGEST_COMMENT],
            max_length=LONGEST_COMMENT,
            required=False,
        )
        for text, description, component in (
            ("What", "Matchers as Alertmanager writes them, one a line", self._matchers),
            ("How long", None, self._usual),
            ("Or as you write it", _WRITTEN, self._length),
            ("Why", None, self._comment),
        ):
            self.add_item(discord.ui.Label(text=text, description=description, component=component))

    async def submitted(self, interaction: Interaction) -> None:
        """Show what it would do, or what is wrong with it."""
        await defer(interaction)
        written = Written(matchers=self._matchers.value, length=self._chosen(), comment=self._comment.value)
        outcome = await self._silences.submit(self._draft, written, by=actor_from(interaction))
        await reply(interaction, _answer(outcome))

    def _chosen(self) -> str | None:
        """Return the length: what was typed counts more than what was chosen.

        Nothing is chosen where what was typed is given back: without either an end stays as it is.
        """
        if typed := self._length.value.strip():
            return typed
        chosen = next(iter(self._usual.values), "") or self._unless_chosen
        return None if chosen == _AS_IT_IS else chosen


class ExtendDialog(GuardedModal):
    """Asks how much longer."""

    def __init__(self, silences: Silences, key: str, *, written: Written | None = None) -> None:
        """Take what the button names, and what was typed the last time."""
        super().__init__("silence-extend", title="Extend a silence")
        self._silences = silences
        self._key = key
        self._length: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id="length",
            default=(written.length if written else None) or preset_text(USUAL_LENGTH),
            max_length=_LONGEST_LENGTH,
        )
        self.add_item(
            discord.ui.Label(
                text="How much longer, or until when", description=_LENGTHS, component=self._length
            )
        )

    async def submitted(self, interaction: Interaction) -> None:
        """Extend it, or show what that would do, or what is wrong with what was typed."""
        await defer(interaction)
        outcome = await self._silences.extend(self._key, self._length.value, by=actor_from(interaction))
        if isinstance(outcome, Misunderstood):
            key = f"{self._key}.{outcome.token}"
            await reply(interaction, render_misunderstood(outcome.why, key=key, action="silence-extend"))
        else:
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
    dialog = SilenceDialog(silences, draft, length=length, title=f"Silence #{number}")
    await interaction.response.send_modal(dialog)


async def end_silences(interaction: Interaction, silences: Silences, key: str, *, told: str = "") -> None:
    """End what a key names; where that is several silences, show them to choose from.

    `told` says what somebody confirmed: the answer takes the place of the question then.
    """
    by = actor_from(interaction)
    found = await silences.find(key, by=by)
    if not are_one(found):
        await _list(interaction, found)
        return
    outcome = await silences.end(key, by=by, told=told)
    if isinstance(outcome, Ended):
        words = ended_words([each.source for each in outcome.ended], outcome.failed)
        # What takes the place of a card has to be one as well.
        await (replace(interaction, layout.view(layout.text(words))) if told else reply(interaction, words))
    else:
        await (replace if told else reply)(interaction, _question(outcome, key))


def offer_lengths(typed: str) -> list[Choice]:
    """Return usual lengths for completion, and what was typed."""
    presets = [text for text in _OFFERED if text.startswith(typed.strip().lower())]
    written = [typed.strip()[:_LONGEST_LENGTH]] if typed.strip() and typed.strip() not in presets else []
    return [Choice(name=text, value=text) for text in (*written, *presets)]


def _lengths(draft: Draft | None, zone: tzinfo, *, chosen: str | None) -> list[discord.SelectOption]:
    """Return the lengths to choose from; where a draft has an end, that it stays as it is."""
    usual = [
        *((spoken_duration(preset), preset_text(preset)) for preset in PRESETS),
        *((text[0].upper() + text[1:], text) for text in MOMENTS),
    ]
    if draft is not None:
        usual.insert(0, (f"Until {draft.ends_at.astimezone(zone):%Y-%m-%d %H:%M}, as it is", _AS_IT_IS))
    return [
        discord.SelectOption(label=label, value=value, default=value == (chosen or _AS_IT_IS))
        for label, value in usual
    ]


async def _list(interaction: Interaction, found: Sequence[KeptSilence]) -> None:
    for each in found[:_MOST_LISTED]:
        view = render_silence(
            each.silence, source=each.source, key=silence_key(each.silence.id), is_over=False
        )
        await reply(interaction, view)
    if len(found) > _MOST_LISTED:
        await reply(interaction, f"{len(found) - _MOST_LISTED} more silences keep it quiet as well.")


def _answer(outcome: Made | Previewed | Misunderstood, *, token: str = "") -> discord.ui.LayoutView:
    if isinstance(outcome, Misunderstood):
        return render_misunderstood(outcome.why, key=outcome.token)
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


def _question(asked: Asked, key: str) -> discord.ui.LayoutView:
    silence = asked.kept[0].silence
    return render_ending(silence, asked.heard, named=asked.named, key=key, mark=asked.mark)
