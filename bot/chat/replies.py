"""Answers to interactions, and the one place where their errors end.

An interaction must be answered within 3 s and can be spoken to for 15 min; whoever is too late is
told nothing and harms nobody.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Sequence
from io import BytesIO
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.chat.rendered import Rendered
from bot.chat.text import cut
from bot.core.actor import Actor, ActorKind
from bot.core.errors import LostLeadershipError, MachineError, RefusedError
from bot.telemetry import tracing
from bot.telemetry.metrics import INTERACTION_SECONDS, INTERACTIONS

Interaction = discord.Interaction[Any]
Choice = app_commands.Choice[str]
Answer = str | discord.ui.LayoutView | Rendered

NO_MENTIONS: Final = discord.AllowedMentions.none()
LONGEST_CONTENT: Final = 2000
MOST_CHOICES: Final = 25
_TOO_LATE: Final = frozenset({10008, 10015, 10062, 40060, 50027})
"""The interaction expired, was answered by another process, or its message is gone."""
_ANSWERED: Final = "the_machine_answered"
_FAILURES: Final = (discord.DiscordException, aiohttp.ClientError, OSError)

log = structlog.get_logger(__name__)


async def defer(interaction: Interaction, *, private: bool = True) -> None:
    """Promise an answer that takes longer than 3 s; `private` then holds for that answer."""
    await _unless_too_late(_defer(interaction, private=private))


async def acknowledge(interaction: Interaction) -> None:
    """Take a click without an answer: what it does shows on the card itself."""
    await _unless_too_late(_acknowledge(interaction))


async def reply(interaction: Interaction, answer: Answer, *, private: bool = True) -> None:
    """Answer, in whichever way is left: at once, in place of the promise, or with one more message.

    After `defer` the privacy is the one that was promised. An interaction that
    has expired is left alone.
    """
    await _unless_too_late(_reply(interaction, answer, private=private))


async def replace(interaction: Interaction, answer: Answer) -> None:
    """Show this in place of the message whose button was pressed; `acknowledge` may come before."""
    await _unless_too_late(_replace(interaction, answer))


async def guarded(interaction: Interaction, name: str, work: Awaitable[None]) -> None:
    """Do what a person asked for by a button, select or dialog; whatever goes wrong, the person is told."""
    with tracing.span(f"interaction {name}", tracing.Kind.SERVER), INTERACTION_SECONDS.labels(name).time():
        try:
            await work
        except Exception as error:  # noqa: BLE001  # The interaction handler: it answers and logs everything.
            await answer_error(interaction, error, name)
        else:
            INTERACTIONS.labels(name, "ok").inc()


async def offered(name: str, choices: Awaitable[Sequence[Choice]]) -> list[Choice]:
    """Return at most 25 choices for completion; none when they fail: nobody can be told while typing."""
    try:
        return list(await choices)[:MOST_CHOICES]
    except Exception:
        INTERACTIONS.labels(name, "failed").inc()
        log.exception("completion_failed", command=name, reference=secrets.token_hex(4))
        return []


async def answer_error(interaction: Interaction, error: BaseException, name: str) -> None:
    """Tell a person privately what went wrong, and the log what they cannot use."""
    cause = _cause(error)
    tracing.note(outcome=type(cause).__name__)
    sentence = _tell(cause, name)
    if sentence is None:
        return
    try:
        async with asyncio.timeout(10):
            await reply(interaction, sentence)
    except _FAILURES as failure:
        log.warning("interaction_unanswered", command=name, why=type(failure).__name__)


def actor_from(interaction: Interaction) -> Actor:
    """Return who asks, with roles and permissions as Discord states them in this very interaction."""
    user = interaction.user
    roles = {str(interaction.guild_id)} if interaction.guild_id else set()
    if isinstance(user, discord.Member):
        # The ids as they came: `roles` leaves out what the cache does not know yet.
        roles |= {str(role_id) for role_id in user._roles}  # noqa: SLF001
    return Actor(
        kind=ActorKind.PERSON,
        id=str(user.id),
        name=user.display_name,
        roles=frozenset(roles),
        administrator=interaction.guild_id is not None and interaction.permissions.administrator,
    )


def actor_of(who: discord.Member | discord.Role) -> Actor:
    """Return a person whom a command names, or whoever holds a role and nothing else."""
    if isinstance(who, discord.Role):
        held, permissions = {who.id}, who.permissions
    else:
        held, permissions = set(who._roles), who.resolved_permissions or discord.Permissions.none()  # noqa: SLF001
    return Actor(
        kind=ActorKind.PERSON,
        id=str(who.id),
        name=who.name,
        roles=frozenset({str(who.guild.id), *map(str, held)}),
        administrator=permissions.administrator,
    )


def files_of(rendered: Rendered) -> list[discord.File]:
    """Return the attachments of a message, for one sending."""
    return [discord.File(BytesIO(file.content), filename=file.name) for file in rendered.files]


class GuardedModal(discord.ui.Modal):
    """A dialog whose errors reach the person; forgotten after 15 min, when its answer would be too late."""

    def __init__(self, name: str, *, title: str) -> None:
        """Take the name of what it does, for logs and metrics."""
        super().__init__(title=title, timeout=900)
        self._name = name

    async def submitted(self, interaction: Interaction) -> None:
        """Do what the person asked for."""
        raise NotImplementedError

    async def on_submit(self, interaction: Interaction) -> None:
        """Pass the errors of `submitted` to the one handler."""
        await guarded(interaction, self._name, self.submitted(interaction))

    async def on_error(  # type: ignore[override]  # A modal's has no item, says discord.py itself.
        self, interaction: Interaction, error: Exception, /
    ) -> None:
        """Pass what discord.py itself could not do to the one handler."""
        await answer_error(interaction, error, self._name)


async def _defer(interaction: Interaction, *, private: bool) -> None:
    if not interaction.response.is_done():
        await interaction.response.defer(ephemeral=private, thinking=True)


async def _acknowledge(interaction: Interaction) -> None:
    if not interaction.response.is_done():
        await interaction.response.defer()


async def _reply(interaction: Interaction, answer: Answer, *, private: bool) -> None:
    parts = _parts(answer)
    if not interaction.response.is_done():
        await interaction.response.send_message(**parts, ephemeral=private, allowed_mentions=NO_MENTIONS)
    elif _promised(interaction):
        # Idempotent, unlike a follow-up, and the only way to put Components V2 in place of "thinking".
        parts["attachments"] = parts.pop("files")
        await interaction.edit_original_response(**parts, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.followup.send(**parts, ephemeral=private, allowed_mentions=NO_MENTIONS)
    interaction.extras[_ANSWERED] = True


async def _replace(interaction: Interaction, answer: Answer) -> None:
    parts = _parts(answer)
    parts["attachments"] = parts.pop("files")
    if interaction.response.is_done():
        await interaction.edit_original_response(**parts, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.edit_message(**parts, allowed_mentions=NO_MENTIONS)


def _promised(interaction: Interaction) -> bool:
    thinking = interaction.response.type is discord.InteractionResponseType.deferred_channel_message
    return thinking and _ANSWERED not in interaction.extras


def _parts(answer: Answer) -> dict[str, Any]:
    match answer:
        case str():
            return {"content": cut(answer, LONGEST_CONTENT), "files": []}
        case Rendered():
            return {"view": answer.view, "files": files_of(answer)}
        case _:
            return {"view": answer, "files": []}


async def _unless_too_late(work: Awaitable[None]) -> None:
    try:
        await work
    except discord.InteractionResponded:
        log.debug("interaction_already_answered")
    except discord.HTTPException as error:
        if error.code not in _TOO_LATE:
            raise
        log.info("interaction_expired", code=error.code)
    except LostLeadershipError:
        # Discord told both of us: whoever leads now answers.
        log.info("interaction_left_to_the_leader")


def _cause(error: BaseException) -> BaseException:
    return error.original if isinstance(error, app_commands.CommandInvokeError) else error


def _tell(error: BaseException, name: str) -> str | None:
    """Log and count an error; return the sentence for the person, if any reaches them."""
    match error:
        case RefusedError():
            INTERACTIONS.labels(name, "refused").inc()
            log.info("interaction_refused", command=name, why=str(error))
            return str(error)
        case MachineError():
            INTERACTIONS.labels(name, "unavailable").inc()
            log.warning("interaction_unavailable", command=name, error=type(error).__name__, why=str(error))
            return str(error)
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch():
            INTERACTIONS.labels(name, "refused").inc()
            log.warning("interaction_outdated", command=name)
            return "This command has changed. Please type it again in a minute."
        case discord.HTTPException(code=code) if code in _TOO_LATE:
            INTERACTIONS.labels(name, "expired").inc()
            log.info("interaction_expired", command=name, code=code)
            return None
        case app_commands.CheckFailure():
            INTERACTIONS.labels(name, "refused").inc()
            return None
        case _:
            INTERACTIONS.labels(name, "failed").inc()
            reference = secrets.token_hex(4)
            log.error("interaction_failed", command=name, reference=reference, exc_info=error)
            return f"Something went wrong on our side. Reference `{reference}`."
