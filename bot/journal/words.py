"""What an entry of the journal is to somebody who looks for a cause: one sentence, ready to show.

The one place where actions become words; the page of changes and the cards of alerts
use it. Besides who, what and where, an entry may say in its detail: `from` and `to`
(revisions, images, replicas), `by` (who did it in another system), `how` (as
`auto-sync`), `matchers` and `until` of a silence, `title` of an operation whose
action has no words here.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from bot.chat.text import TimestampStyle, code, cut, escape, link, timestamp
from bot.core.actor import THE_MACHINE, Actor
from bot.journal.changes import Changed, Ending

LONGEST_LINE: Final = 520
"""No line is longer, in units, the link to the card included."""

_NAME = 60
_VALUE = 24
_HOW = 60
_MATCHERS = 80
_SHORT_ID = 7
_COMMIT: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DISCORD_ID: Final = re.compile(r"[0-9]{1,20}")
_TODAY: Final = timedelta(hours=20)


class _Verb(NamedTuple):
    done: str
    plain: str
    doing: str


def _verb(plain: str, done: str, doing: str) -> _Verb:
    return _Verb(done, plain, doing)


_SYNC: Final = _verb("sync", "synced", "syncing")
_VERBS: Final = {
    "argocd:sync": _SYNC,
    "argocd:synced": _SYNC,
    "argocd:deployed": _verb("deploy", "deployed", "deploying"),
    "argocd:rollback": _verb("roll back", "rolled back", "rolling back"),
    "argocd:refresh": _verb("refresh", "refreshed", "refreshing"),
    "argocd:terminate": _verb("end the sync of", "ended the sync of", "ending the sync of"),
    "kargo:promote": _verb("promote", "promoted", "promoting"),
    "kargo:promoted": _verb("promote", "promoted", "promoting"),
    "kargo:approve": _verb("approve", "approved", "approving"),
    "kargo:abort": _verb("abort the promotion of", "aborted the promotion of", "aborting the promotion of"),
    "secrets:sync": _SYNC,
    "secrets:rotate": _verb("rotate", "rotated", "rotating"),
    "workloads:scale": _verb("scale", "scaled", "scaling"),
    "workloads:restart": _verb("restart", "restarted", "restarting"),
    "minecraft:whitelist": _verb(
        "change the whitelist of", "changed the whitelist of", "changing the whitelist of"
    ),
    "minecraft:start": _verb("start", "started", "starting"),
    "minecraft:stop": _verb("stop", "stopped", "stopping"),
}
_ENDINGS: Final = {
    Ending.FAILED: "it failed",
    Ending.CANCELLED: "it was cancelled",
    Ending.SUPERSEDED: "something else took its place",
    Ending.LOST: "how it ended is not known",
}
_SYSTEMS: Final = {
    "argocd": "Argo CD",
    "kargo": "Kargo",
    "secrets": "External Secrets",
    # It makes no silences by itself: somebody else did, and Alertmanager does not say who.
    "alerts": "Somebody",
}


def change_line(
    changed: Changed, *, style: TimestampStyle = "R", url: str = "", says_where: bool = False
) -> str:
    """Return when and what as one line of markup, with a link to the card where there is one.

    With `says_where` it names the namespace as well.
    """
    card = link("card", url) if url else None
    words = change_words(changed, says_where=says_where)
    parts = (timestamp(changed.at, style), words, f"· {card}" if card else "")
    return " ".join(part for part in parts if part)


def change_words(changed: Changed, *, says_where: bool = False) -> str:
    """Return who did what as a sentence of safe markup, without a full stop."""
    where = f" in {code(changed.namespace, budget=_NAME)}" if says_where and changed.namespace else ""
    return f"{_who(changed)}{_did(changed)}{where}{_ended(changed)}"


def _did(changed: Changed) -> str:
    match changed.action:
        case "alerts:silence" | "alerts:unsilence":
            return f" {_silence_words(changed)}"
        case action if action in _VERBS:
            return f" {_verb_words(changed, _VERBS[action])}"
        case _:
            return _other_words(changed)


def _ended(changed: Changed) -> str:
    ending = _ENDINGS.get(changed.ending)
    if ending is None:
        return ""
    return f": {ending}" if changed.action in _VERBS else f" ({ending})"


def _who(changed: Changed) -> str:
    if by := _plain(changed, "by"):
        return f"**{cut(escape(by), _NAME) or 'somebody'}**"
    return _person(changed.actor) if changed.actor.is_person else _system(changed)


def _person(actor: Actor) -> str:
    if _DISCORD_ID.fullmatch(actor.id):
        return f"<@{actor.id}>"
    return f"**{cut(escape(actor.name), _NAME) or 'somebody'}**"


def _system(changed: Changed) -> str:
    if changed.actor.id != THE_MACHINE.id:
        return cut(escape(changed.actor.name), _NAME) or "Something"
    return _SYSTEMS.get(changed.action.partition(":")[0], THE_MACHINE.name)


def _verb_words(changed: Changed, verb: _Verb) -> str:
    match changed.ending:
        case Ending.DONE:
            said = verb.done
        case Ending.RUNNING:
            said = f"is {verb.doing}"
        case _:
            said = f"tried to {verb.plain}"
    parts = [said, _thing(changed), *_values(changed), _how(changed)]
    return " ".join(part for part in parts if part)


def _silence_words(changed: Changed) -> str:
    what = code(_plain(changed, "matchers") or "everything", budget=_MATCHERS)
    how = _how(changed)
    if changed.action == "alerts:unsilence":
        return f"ended the silence of {what} {how}".rstrip()
    until = _until(changed)
    said = "changed the silence of" if changed.detail.get("replaces") else "silenced"
    return " ".join(part for part in (said, what, until, how) if part)


def _other_words(changed: Changed) -> str:
    how = f" {how}" if (how := _how(changed)) else ""
    if title := _plain(changed, "title"):
        return f": {cut(escape(title), _NAME)}{how}"
    thing = f" on {_thing(changed)}" if changed.target else ""
    return f" used {code(changed.action, budget=_NAME)}{thing}{how}"


def _thing(changed: Changed) -> str:
    """Name the thing by the last part of its name in the access policy."""
    kind, _, name = changed.target.rpartition(":")
    if kind == "incident":
        return f"**#{cut(escape(name), _NAME)}**"
    shown = name.rpartition("/")[2] or (changed.app or "").rpartition("/")[2] or changed.namespace or ""
    return f"**{cut(escape(shown), _NAME) or 'something'}**"


def _values(changed: Changed) -> Iterator[str]:
    before, after = _plain(changed, "from"), _plain(changed, "to")
    if before and before != after:
        yield code(_short(before), budget=_VALUE)
    if after:
        yield (
            f"→ {code(_short(after), budget=_VALUE)}"
            if before != after
            else code(_short(after), budget=_VALUE)
        )


def _short(value: str) -> str:
    return value[:_SHORT_ID] if _COMMIT.fullmatch(value) else value


def _how(changed: Changed) -> str:
    how = _plain(changed, "how")
    return f"({cut(escape(how), _HOW)})" if how else ""


def _until(changed: Changed) -> str:
    try:
        moment = datetime.fromisoformat(_plain(changed, "until"))
        is_near = moment - changed.at < _TODAY
    except (ValueError, TypeError):
        return ""
    return f"until {timestamp(moment, 't' if is_near else 'f')}"


def _plain(changed: Changed, name: str) -> str:
    value = changed.detail.get(name)
    return "" if value is None or isinstance(value, bool) else str(value).strip()
