"""What the journal keeps of silences: those that people make and end here, and what others do elsewhere."""

from collections.abc import Mapping
from typing import Final

from bot.alerts.model.incident import Incident
from bot.alerts.peers.authors import maker_of
from bot.alerts.silences.model import (
    Draft,
    Event,
    Judgement,
    Moment,
    Preview,
    namespace_of,
)
from bot.alerts.silences.store import KeptSilence
from bot.core.actor import THE_MACHINE, Actor
from bot.core.errors import MachineError
from bot.journal.model import Entry, Outcome

SILENCE: Final = "alerts:silence"
UNSILENCE: Final = "alerts:unsilence"


def asked_entry(
    draft: Draft,
    by: Actor,
    *,
    created: Mapping[str, str],
    failed: Mapping[str, MachineError],
    about: Incident | None,
    preview: Preview,
) -> Entry:
    """Return what became of a draft that somebody wanted made."""
    return Entry(
        actor=by,
        action=SILENCE,
        target=f"incident:{draft.incident}" if draft.incident is not None else "",
        outcome=Outcome.DONE if created else Outcome.FAILED,
        reason=draft.comment or "; ".join(map(str, failed.values())),
        detail={
            "matchers": ", ".join(map(str, draft.matchers)),
            "until": draft.ends_at.isoformat(),
            "replaces": bool(draft.replaces),
            "silences": ", ".join(f"{source}/{name}" for source, name in created.items()),
            "failed": ", ".join(failed),
            "alerts": preview.alerts,
        },
        namespace=namespace_of(draft.matchers)
        or (about.common_labels.get("namespace") if about is not None else None),
        incident=draft.incident,
        change=bool(created),
    )


def refused_entry(draft: Draft, judgement: Judgement, by: Actor) -> Entry:
    """Return that the policy does not allow a draft."""
    return Entry(
        actor=by,
        action=SILENCE,
        target=f"incident:{draft.incident}" if draft.incident is not None else "",
        outcome=Outcome.REFUSED,
        reason=", ".join(reason.value for reason in judgement.reasons),
        detail={"matchers": ", ".join(map(str, draft.matchers)), "until": draft.ends_at.isoformat()},
        incident=draft.incident,
    )


def ended_entry(kept: KeptSilence, by: Actor, error: MachineError | None) -> Entry:
    """Return that somebody ended a silence, or could not."""
    return Entry(
        actor=by,
        action=UNSILENCE,
        target=f"incident:{kept.incident}" if kept.incident is not None else "",
        outcome=Outcome.DONE if error is None else Outcome.FAILED,
        reason=str(error) if error is not None else "",
        detail={
            "silence": f"{kept.source}/{kept.silence.id}",
            "matchers": ", ".join(kept.silence.conditions),
        },
        namespace=namespace_of(kept.silence.matchers),
        incident=kept.incident,
        change=error is None,
    )


def seen_entry(event: Event, source: str) -> Entry | None:
    """Return what others did to a silence elsewhere; an end that comes by itself is nobody's doing.

    Who changed or ended one, Alertmanager does not say.
    """
    if event.moment not in {Moment.BEGAN, Moment.CHANGED, Moment.ENDED_EARLY}:
        return None
    silence = event.silence
    ended = event.moment is Moment.ENDED_EARLY
    return Entry(
        actor=THE_MACHINE,
        action=UNSILENCE if ended else SILENCE,
        detail={
            "silence": f"{source}/{silence.id}",
            "matchers": ", ".join(silence.conditions),
            "until": silence.ends_at.isoformat(),
            "replaces": event.moment is Moment.CHANGED,
            "by": maker_of(silence.created_by) if event.moment is Moment.BEGAN else None,
            "how": "in Alertmanager",
        },
        namespace=namespace_of(silence.matchers),
        change=True,
    )
