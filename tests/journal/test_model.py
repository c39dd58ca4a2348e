import re
import string
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.actor import ActorKind
from bot.core.errors import InvalidError
from bot.journal.model import (
    EMPTY,
    GENESIS,
    FaultKind,
    Head,
    Outcome,
    PostedHead,
    Recorded,
    canonical,
    chain_hash,
    find_posted_heads,
    link,
    parse_posted_head,
    recordable,
    verify_chain,
)
from tests.support.clock import NOON
from tests.support.journal import an_entry
from tests.support.people import a_person

A_HASH = "0123456789abcdef" * 4


def a_chain(length=6, entry=None):
    head, chain = EMPTY, []
    for number in range(1, length + 1):
        at = NOON + timedelta(minutes=number)
        one = entry or an_entry(target=f"channel:{number}", detail={"n": number})
        head = link(head, at, one)
        chain.append(Recorded(number * 3, at, one, head.seq, head.hash))
    return chain


def rehashed(chain):
    """What somebody leaves who changes the database and computes every hash anew."""
    previous, result = GENESIS, []
    for seq, one in enumerate(chain, start=1):
        numbered = replace(one, seq=seq)
        previous = chain_hash(previous, numbered)
        result.append(replace(numbered, hash=previous))
    return result


def head_of(chain):
    return Head(chain[-1].seq, chain[-1].hash)


def posted(chain, *numbers):
    return [PostedHead(date(2026, 11, n), chain[n - 1].seq, chain[n - 1].hash) for n in numbers]


def with_entry(recorded, **values):
    return replace(recorded, entry=replace(recorded.entry, **values))


def kinds(verdict):
    return [fault.kind for fault in verdict.faults]


def test_an_untouched_chain_is_intact():
    chain = a_chain()

    verdict = verify_chain(chain, posted(chain, 2, 6), head=head_of(chain))

    assert verdict.intact
    assert verdict.head == head_of(chain)
    assert verdict.posted_compared == 2


def test_an_empty_journal_is_intact():
    assert verify_chain([], head=EMPTY).intact


CHANGES = {
    "who": {"actor": a_person(user="666")},
    "name": {"actor": a_person("Eve", user=a_person().id)},
    "kind": {"actor": replace(a_person(), kind=ActorKind.SYSTEM)},
    "action": {"action": "alerts:silence"},
    "target": {"target": "channel:other"},
    "outcome": {"outcome": Outcome.FAILED},
    "reason": {"reason": "because"},
    "detail": {"detail": {"n": 99}},
    "detail's type": {"detail": {"n": "3"}},
    "namespace": {"namespace": ""},
    "app": {"app": "shop"},
    "incident": {"incident": 7},
    "operation": {"operation": "op"},
    "change": {"change": True},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_entry_is_found(change):
    chain = a_chain()
    chain[2] = with_entry(chain[2], **change)

    verdict = verify_chain(chain, head=head_of(chain))

    assert [(fault.kind, fault.seq) for fault in verdict.faults] == [(FaultKind.CHANGED, 3)]


def test_a_changed_time_is_found():
    chain = a_chain()
    chain[2] = replace(chain[2], at=chain[2].at + timedelta(microseconds=1))

    assert kinds(verify_chain(chain)) == [FaultKind.CHANGED]


def test_a_deleted_entry_is_found():
    chain = a_chain()
    del chain[2]

    (fault,) = verify_chain(chain).faults

    assert (fault.kind, fault.seq) == (FaultKind.MISSING, 3)
    assert "entry 3 is missing" in fault.text


def test_a_first_entry_that_was_deleted_is_found():
    assert kinds(verify_chain(a_chain()[1:])) == [FaultKind.MISSING]


def test_two_entries_that_changed_places_are_found():
    chain = a_chain()
    third, fourth = chain[2], chain[3]
    chain[2:4] = [replace(fourth, seq=3), replace(third, seq=4)]

    assert kinds(verify_chain(chain)) == [FaultKind.CHANGED]


def test_an_entry_whose_row_was_moved_before_an_older_one_is_found():
    chain = a_chain()
    chain[3] = replace(chain[3], id=1)

    assert kinds(verify_chain(chain)) == [FaultKind.MOVED]


def test_an_inserted_entry_is_found():
    chain = a_chain()
    chain.insert(2, replace(chain[2], id=8))

    assert kinds(verify_chain(chain)) == [FaultKind.MISSING]


def test_a_tail_that_was_cut_off_is_found_by_the_recorded_head():
    chain = a_chain()

    assert kinds(verify_chain(chain[:4], head=head_of(chain))) == [FaultKind.HEAD_DIFFERS]


def test_a_tail_cut_off_with_its_head_is_found_only_by_a_head_that_was_posted():
    chain = a_chain()
    cut = chain[:4]

    assert verify_chain(cut, head=head_of(cut)).intact
    assert verify_chain(cut, posted(chain, 4), head=head_of(cut)).intact
    assert kinds(verify_chain(cut, posted(chain, 4, 6), head=head_of(cut))) == [FaultKind.CUT]


def test_a_chain_computed_anew_is_found_only_by_a_head_that_was_posted():
    chain = a_chain()
    forged = rehashed([with_entry(chain[0], action="alerts:list"), *chain[1:]])

    assert verify_chain(forged, head=head_of(forged)).intact
    assert kinds(verify_chain(forged, posted(chain, 5), head=head_of(forged))) == [FaultKind.REWRITTEN]


def test_heads_posted_before_a_fault_are_still_compared():
    chain = a_chain()
    broken = [*chain[:3], with_entry(chain[3], reason="x"), *chain[4:]]

    verdict = verify_chain(broken, posted(chain, 2, 6), head=head_of(chain))

    assert kinds(verdict) == [FaultKind.CHANGED]
    assert verdict.posted_compared == 1


words = st.text(max_size=12)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), words, st.floats(allow_nan=False, allow_infinity=False)
)
entries = st.builds(
    an_entry,
    words,
    target=words,
    outcome=st.sampled_from(Outcome),
    reason=words,
    detail=st.dictionaries(words, scalars, max_size=3),
    namespace=st.none() | words,
    app=st.none() | words,
    incident=st.none() | st.integers(),
    operation=st.none() | words,
    change=st.booleans(),
)
moments = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 — made aware next
    lambda moment: moment.replace(tzinfo=UTC)
)


def spelled(entry):
    # 1, 1.0 and True are equal in Python, but not in the journal.
    return repr(replace(entry, detail={})), repr(sorted(entry.detail.items()))


@given(entries, entries)
def test_two_entries_have_the_same_bytes_only_if_they_are_the_same(one, other):
    same = canonical(1, NOON, one) == canonical(1, NOON, other)

    assert same is (spelled(one) == spelled(other))


@given(entries, moments, st.integers(-720, 720))
def test_the_zone_that_a_time_is_written_in_does_not_matter(entry, at, minutes):
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))

    assert canonical(1, at, entry) == canonical(1, elsewhere, entry)


@pytest.mark.parametrize("odd", ["a\x00b", "a\ud800b", "\udfff\x00"])
def test_what_a_database_refuses_is_replaced(odd):
    entry = an_entry(odd, target=odd, reason=odd, detail={odd: odd}, namespace=odd, app=odd, operation=odd)

    kept = recordable(entry)

    escapes = re.findall(r"\\u....", canonical(1, NOON, kept).decode())
    assert not {"\\u0000", "\\ud800", "\\udfff"} & set(escapes)


def test_an_entry_from_before_there_were_changes_keeps_its_hash():
    entry = an_entry("alerts:ack", target="incident:7", namespace="shop", incident=7)

    assert link(EMPTY, NOON, entry).hash == (
        "35e2be659f01924f97cd2a77079883f9e649db87e63f1703b1458d900d67bfe2"
    )


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED])
def test_what_did_not_come_about_is_no_change(outcome):
    assert not recordable(an_entry(outcome=outcome, change=True)).change
    assert recordable(an_entry(change=True)).change


@given(entries)
def test_what_was_made_recordable_stays_as_it_is(entry):
    kept = recordable(entry)

    assert recordable(kept) == kept


def test_of_the_actor_only_who_it_is_is_kept():
    actor = a_person("Olga", roles=["1"], administrator=True)

    assert recordable(an_entry(by=actor)).actor == replace(actor, roles=frozenset(), administrator=False)


@given(
    st.dates(), st.integers(1, 10**18 - 1), st.text(string.hexdigits.lower()[:16], min_size=64, max_size=64)
)
def test_a_posted_head_is_read_back(day, seq, digest):
    head = PostedHead(day, seq, digest)

    assert parse_posted_head(str(head)) == head
    assert find_posted_heads(f"Good morning.\n{head}\r\n-# more") == [head]


def test_a_posted_head_is_one_readable_line():
    line = f"Journal head 2026-11-21 · entry 123 · sha256 {A_HASH}"

    assert str(PostedHead(date(2026, 11, 21), 123, A_HASH)) == line


@pytest.mark.parametrize(
    "line",
    [
        "",
        f"Journal head 2026-11-31 · entry 123 · sha256 {A_HASH}",
        f"Journal head 0000-01-01 · entry 123 · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry 0 · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry 0123 · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry -1 · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry ١ · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry 123 · sha256 {A_HASH[1:]}",
        f"Journal head 2026-11-21 · entry 123 · sha256 {A_HASH}0",
        f"Journal head 2026-11-21 · entry 123 · sha256 {A_HASH.upper()}",
        f" Journal head 2026-11-21 · entry 123 · sha256 {A_HASH}",
        f"Journal head 2026-11-21 · entry 123 · sha256 {A_HASH}\n",
        f"> Journal head 2026-11-21 · entry 123 · sha256 {A_HASH}",
    ],
)
def test_anything_else_is_not_a_posted_head(line):
    with pytest.raises(InvalidError, match="not a journal head"):
        parse_posted_head(line)


@given(st.text())
def test_reading_a_posted_head_raises_nothing_but_invalid(text):
    with pytest.raises(InvalidError):
        parse_posted_head(text)
    assert find_posted_heads(text) == []
