"""Entries of the journal, for tests."""

from bot.core.actor import THE_MACHINE, Actor
from bot.journal.model import Entry
from tests.support.people import a_person


def an_entry(action: str = "alerts:ack", *, by: Actor | None = None, **values) -> Entry:
    return Entry(actor=by or a_person(), action=action, **values)


def a_system_entry(action: str = "alerts:opened", **values) -> Entry:
    return Entry(actor=THE_MACHINE, action=action, **values)
