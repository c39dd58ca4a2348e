"""`/alerts` and the buttons on incidents: Discord's objects in, one call of the service, its answer out."""

from typing import Literal

import discord
from discord import app_commands
from discord.ext import commands

from bot.alerts.card import render_acknowledged, render_details, render_explained, render_list
from bot.alerts.model.incident import IncidentNumber
from bot.alerts.model.severity import Severity
from bot.alerts.service import PAGE, Alerts
from bot.alerts.silences.card import incident_key
from bot.alerts.silences.service import Silences
from bot.alerts.store.lists import IncidentFilter
from bot.alerts.timeline.card import ACTION as TIMELINE
from bot.alerts.timeline.card import PAGE as TIMELINE_PAGE
from bot.alerts.timeline.card import render_page
from bot.chat.handlers import Actions
from bot.chat.keys import pack, unpack
from bot.chat.replies import Choice, Interaction, acknowledge, actor_from, defer, offered, replace, reply
from cogs.incidents import ALL_HERE, offer_one, offer_several, parse_incident, parse_incidents, parse_labels
from cogs.silences import end_silences, offer_lengths, open_dialog

State = Literal["open", "closed", "all"]
Word = Literal["critical", "warning", "info"]
Text = app_commands.Range[str, 1, 60]
Note = app_commands.Range[str, 1, 300]
Length = app_commands.Range[str, 1, 60]

_IS_OPEN = {"open": True, "closed": False, "all": None}
_PAGE_DIGITS = 6


@app_commands.guild_only()
class AlertsCog(commands.GroupCog, group_name="alerts", group_description="Incidents: look, take on, close."):
    """What people can do with incidents."""

    def __init__(self, alerts: Alerts, silences: Silences, actions: Actions) -> None:
        """Take the services, and say what the buttons on incidents do."""
        super().__init__()
        self._alerts = alerts
        self._silences = silences
        actions.register("ack", self._press_ack)
        actions.register("unack", self._press_unack)
        actions.register("details", self._press_details)
        actions.register(TIMELINE, self._press_in_thread)
        actions.register(TIMELINE_PAGE, self._press_timeline)
        actions.register("list", self._press_list)

    @app_commands.command(name="list")
    @app_commands.describe(
        state="Open ones, those that are over, or all (default: open)",
        severity="Only incidents that are this bad",
        text="Words of the name or the labels",
    )
    async def list_(
        self, interaction: Interaction, state: State = "open", severity: Word | None = None, text: Text = ""
    ) -> None:
        """List incidents, the worst and newest first."""
        key = pack(state, severity or "", text, keep_back=_PAGE_DIGITS)
        await defer(interaction)
        await reply(interaction, await self._list(interaction, key, page=0))

    @app_commands.command()
    @app_commands.describe(incident="Its number, or words of its name")
    async def show(self, interaction: Interaction, incident: str) -> None:
        """Show everything that is known of an incident, only to you."""
        number = parse_incident(incident)
        await defer(interaction)
        await reply(interaction, await self._details(interaction, number, page=0))

    @app_commands.command()
    @app_commands.describe(
        incidents="One or several numbers, or: all here", note="What you know or do, for the others"
    )
    async def ack(self, interaction: Interaction, incidents: str, note: Note = "") -> None:
        """Tell everyone that you look at incidents: reminders stop."""
        await defer(interaction)
        if incidents.strip().lower() == ALL_HERE:
            numbers = await self._alerts.list_here(interaction.channel_id or 0)
        else:
            numbers = parse_incidents(incidents)
        taken = await self._alerts.acknowledge(numbers, by=actor_from(interaction), note=note)
        await reply(interaction, render_acknowledged(taken))

    @app_commands.command()
    @app_commands.describe(incident="Its number, or words of its name")
    async def unack(self, interaction: Interaction, incident: str) -> None:
        """Give an incident back: it reminds and escalates again."""
        number = parse_incident(incident)
        await defer(interaction)
        await self._alerts.unacknowledge(number, by=actor_from(interaction))
        await reply(interaction, f"#{number} is nobody's now: it reminds and escalates again.")

    @app_commands.command()
    @app_commands.describe(incident="Its number, or words of its name", note="Why, for the others")
    async def resolve(self, interaction: Interaction, incident: str, note: Note = "") -> None:
        """Close an incident by hand, when its sender never will."""
        number = parse_incident(incident)
        await defer(interaction)
        await self._alerts.resolve(number, by=actor_from(interaction), note=note)
        await reply(
            interaction, f"#{number} is closed. It opens again if its sender says that it still fires."
        )

    @app_commands.command()
    @app_commands.describe(
        incident="Its number, or words of its name",
        length="Such as 90m, 2h or: until 08:00",
        comment="Why, for the others",
    )
    async def silence(
        self, interaction: Interaction, incident: str, length: Length = "", comment: Note = ""
    ) -> None:
        """Silence what an incident is about: shows first what that would hide."""
        await open_dialog(
            interaction, self._silences, parse_incident(incident), length=length, comment=comment
        )

    @app_commands.command()
    @app_commands.describe(incident="Its number, or words of its name")
    async def unsilence(self, interaction: Interaction, incident: str) -> None:
        """End the silence that keeps an incident quiet."""
        key = incident_key(parse_incident(incident))
        await defer(interaction)
        await end_silences(interaction, self._silences, key)

    @app_commands.command(name="explain-route")
    @app_commands.describe(labels="Of one alert, such as: alertname=DiskFull severity=critical")
    async def explain_route(self, interaction: Interaction, labels: str) -> None:
        """Say which routes an alert with these labels takes, and why not the others."""
        await defer(interaction)
        verdicts = await self._alerts.explain(parse_labels(labels), by=actor_from(interaction))
        await reply(interaction, render_explained(verdicts))

    @app_commands.command()
    @app_commands.describe(severity="How bad it pretends to be (default: warning)")
    async def test(self, interaction: Interaction, severity: Word = "warning") -> None:
        """Send a made-up alert the whole way; it resolves itself in 5 minutes."""
        await defer(interaction)
        number = await self._alerts.send_test(Severity[severity.upper()], by=actor_from(interaction))
        await reply(
            interaction,
            f"A made-up {severity} alert is on its way as delivery {number}. "
            "It resolves itself in 5 minutes.",
        )

    @ack.autocomplete("incidents")
    async def _complete_ack(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts ack", self._offer_unacknowledged(interaction, typed))

    @unack.autocomplete("incident")
    async def _complete_unack(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts unack", self._offer_acknowledged(interaction, typed))

    @show.autocomplete("incident")
    async def _complete_show(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts show", self._offer(interaction, typed, "alerts:show"))

    @resolve.autocomplete("incident")
    async def _complete_resolve(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts resolve", self._offer(interaction, typed, "alerts:resolve"))

    @silence.autocomplete("incident")
    async def _complete_silence(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts silence", self._offer(interaction, typed, "alerts:silence"))

    @silence.autocomplete("length")
    async def _complete_length(self, interaction: Interaction, typed: str) -> list[Choice]:
        del interaction
        return offer_lengths(typed)

    @unsilence.autocomplete("incident")
    async def _complete_unsilence(self, interaction: Interaction, typed: str) -> list[Choice]:
        return await offered("alerts unsilence", self._offer_silenced(interaction, typed))

    async def _offer(self, interaction: Interaction, typed: str, action: str) -> list[Choice]:
        return offer_one(typed, self._alerts.known(by=actor_from(interaction), action=action))

    async def _offer_unacknowledged(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = self._alerts.known(by=actor_from(interaction), action="alerts:ack")
        return offer_several(typed, [each for each in known if not each.acknowledged])

    async def _offer_acknowledged(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = self._alerts.known(by=actor_from(interaction), action="alerts:unack")
        return offer_one(typed, [each for each in known if each.acknowledged])

    async def _offer_silenced(self, interaction: Interaction, typed: str) -> list[Choice]:
        known = self._alerts.known(by=actor_from(interaction), action="alerts:unsilence")
        return offer_one(typed, [each for each in known if each.silenced])

    async def _press_ack(self, interaction: Interaction, key: str) -> None:
        # The key of a ping says more than the incident: 417/critical/2.
        number, _, _ = key.partition("/")
        await acknowledge(interaction)
        await self._alerts.acknowledge([parse_incident(number)], by=actor_from(interaction))

    async def _press_unack(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        await self._alerts.unacknowledge(parse_incident(key), by=actor_from(interaction))

    async def _press_details(self, interaction: Interaction, key: str) -> None:
        number, is_turned, page = key.partition(".")
        if not is_turned:
            await defer(interaction)
            await reply(interaction, await self._details(interaction, parse_incident(number), page=0))
            return
        await acknowledge(interaction)
        await replace(interaction, await self._details(interaction, parse_incident(number), page=int(page)))

    async def _press_in_thread(self, interaction: Interaction, key: str) -> None:
        await self._press_details(interaction, key.partition("/")[0])

    async def _press_timeline(self, interaction: Interaction, key: str) -> None:
        number, is_turned, page = key.partition(".")
        await (acknowledge(interaction) if is_turned else defer(interaction))
        shown = await self._alerts.read_timeline(
            parse_incident(number), int(page) if page else None, by=actor_from(interaction)
        )
        await (replace if is_turned else reply)(interaction, render_page(shown))

    async def _press_list(self, interaction: Interaction, key: str) -> None:
        await acknowledge(interaction)
        asked, _, page = key.rpartition("/")
        await replace(interaction, await self._list(interaction, asked, page=int(page)))

    async def _details(
        self, interaction: Interaction, number: IncidentNumber, *, page: int
    ) -> discord.ui.LayoutView:
        return render_details(await self._alerts.get(number, by=actor_from(interaction)), page)

    async def _list(self, interaction: Interaction, key: str, *, page: int) -> discord.ui.LayoutView:
        state, severity, text = unpack(key, 3)
        wanted = IncidentFilter(
            is_open=_IS_OPEN[state], severity=Severity[severity.upper()] if severity else None, text=text
        )
        found = await self._alerts.search(wanted, page=page, by=actor_from(interaction))
        asked_for = ", ".join(word for word in (state, severity, text) if word)
        return render_list(
            found.incidents,
            total=found.total,
            page=found.number,
            per_page=PAGE,
            heading=f"Incidents: {asked_for}",
            key=key,
        )
