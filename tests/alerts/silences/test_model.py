"""What a silence would do, whether it may be made, and what happens to it over its life."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.incident import IncidentNumber
from bot.alerts.model.severity import SeverityWords
from bot.alerts.peers import reading
from bot.alerts.peers.authors import created_by, person_in
from bot.alerts.peers.model import PeerAlert, PeerState, Silence, SilenceState
from bot.alerts.silences.model import (
    LONGEST_COMMENT,
    Breadth,
    Draft,
    Followed,
    Judgement,
    Known,
    Limits,
    Moment,
    Preview,
    SilencePolicy,
    Verdict,
    Width,
    changed_comment,
    comment_text,
    follow,
    judge,
    matches_all,
    namespace_of,
    new_silence,
    prefill,
    preview_of,
    read_matchers,
    widths,
    write_matchers,
)
from bot.core.actor import Actor, ActorKind
from bot.core.errors import InvalidError
from bot.core.matchers import Matcher, MatchOp, parse_matchers
from tests.support.alerts import NOON, an_alert, an_incident, at

HAROLD = Actor(ActorKind.PERSON, "123456789012345678", "harold")
QUARTER = timedelta(minutes=15)

names = st.sampled_from(["alertname", "namespace", "pod", "team", "a b"])
values = st.sampled_from(["", "a", "b", 'x"\\\n', "(.*", "é"])
label_sets = st.dictionaries(names, values, max_size=5)


def incident_of(*label_sets, group=None):
    alerts = []
    for number, labels in enumerate(label_sets):
        until = at(5) if number % 3 == 2 else None
        alerts.append(replace(an_alert(fingerprint=f"f{number}", until=until), labels=labels))
    return an_incident(*alerts, group_labels=group or {})


def a_draft(matchers='alertname="Disk"', *, minutes=60, **fields) -> Draft:
    return Draft(matchers=parse_matchers(matchers), ends_at=at(minutes), **fields)


def a_preview(alerts=1, critical=0, **fields) -> Preview:
    return Preview(alerts=alerts, critical=critical, already_muted=0, **fields)


def a_silence(
    silence_id="s1",
    matchers='alertname="Disk"',
    *,
    begins=0.0,
    ends=60.0,
    state=SilenceState.ACTIVE,
    by="root",
    comment="",
) -> Silence:
    return Silence(
        id=silence_id,
        matchers=parse_matchers(matchers),
        starts_at=at(begins),
        ends_at=at(ends),
        created_by=by,
        comment=comment,
        state=state,
    )


# Drafting


def test_the_group_is_offered_first_with_its_name_in_front():
    incident = incident_of(
        {"alertname": "Disk", "namespace": "prod", "app": "db", "pod": "a"},
        {"alertname": "Disk", "namespace": "prod", "app": "db", "pod": "b"},
        group={"app": "db", "alertname": "Disk"},
    )
    assert write_matchers(prefill(incident)) == 'alertname="Disk"\napp="db"'


def test_one_can_narrow_and_widen():
    incident = incident_of(
        {"alertname": "Disk", "namespace": "prod", "pod": "a"},
        {"alertname": "Disk", "namespace": "prod", "pod": "b"},
        group={"alertname": "Disk", "namespace": "prod"},
    )
    offered = {width: ", ".join(map(str, matchers)) for width, matchers in widths(incident).items()}
    assert offered == {
        Width.GROUP: 'alertname="Disk", namespace="prod"',
        Width.ALERT: 'alertname="Disk"',
        Width.PLACE: 'namespace="prod"',
    }


def test_without_group_labels_what_all_share_is_offered():
    incident = incident_of({"alertname": "Disk", "pod": "a"}, {"alertname": "Disk", "pod": "b"})
    assert write_matchers(prefill(incident)) == 'alertname="Disk"'


def test_alerts_that_share_nothing_are_offered_by_their_names():
    incident = incident_of({"alertname": "Disk full?"}, {"alertname": "CPU"})
    assert write_matchers(prefill(incident)) == r'alertname=~"CPU|Disk full\\?"'


@given(sets=st.lists(label_sets, min_size=1, max_size=5), group=label_sets)
def test_prefilled_matchers_match_every_alert_of_the_group(sets, group):
    incident = incident_of(*sets, group=group)
    for matchers in (prefill(incident), *widths(incident).values()):
        for alert in incident.alerts:
            assert all(matcher.matches(alert.labels) for matcher in matchers)
        # One that matches an empty label would match alerts that have nothing to do with it.
        assert not any(matcher.matches({}) for matcher in matchers)


@given(sets=st.lists(label_sets, min_size=1, max_size=5), group=label_sets)
def test_what_is_prefilled_can_be_left_as_it_is(sets, group):
    for matchers in widths(incident_of(*sets, group=group)).values():
        assert read_matchers(write_matchers(matchers)) == matchers


def test_matchers_are_read_a_line_each_or_with_commas_and_braces():
    assert read_matchers('{a="1", b!="2"}\n\n c=~d.* ,\na="1"') == parse_matchers('a="1", b!="2", c=~"d.*"')


@pytest.mark.parametrize("text", ["", "\n", "{}", 'a=~".*"', 'a!="x", b=""', "a", 'a=~"("'])
def test_matchers_that_alertmanager_would_refuse_are_refused_at_once(text):
    with pytest.raises(InvalidError, match="expected"):
        read_matchers(text)


@given(text=st.text(max_size=60))
def test_whatever_is_left_in_the_field_is_read_or_refused(text):
    try:
        assert read_matchers(text)
    except InvalidError as error:
        assert "expected" in str(error)  # noqa: PT017 (any text may be fine)


# Judging


def listed(alert, *, muted=False) -> PeerAlert:
    return PeerAlert(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        annotations={},
        starts_at=NOON,
        ends_at=None,
        updated_at=NOON,
        state=PeerState.SUPPRESSED if muted else PeerState.ACTIVE,
    )


def test_a_preview_counts_alerts_and_names_what_else_is_hidden():
    here, there, elsewhere = an_alert(pod="a"), an_alert("Disk", severity="critical"), an_alert("CPU")
    incidents = [
        an_incident(alert, number=number) for number, alert in enumerate((here, there, elsewhere), 1)
    ]
    preview = preview_of(
        {"main": [listed(here), listed(there, muted=True)]},
        incidents,
        words=SeverityWords(),
        incident=IncidentNumber(1),
    )
    assert (preview.alerts, preview.critical, preview.already_muted) == (2, 1, 1)
    assert (preview.incident, preview.others) == (1, (2,))
    assert preview.names == ("Disk", "KubePodCrashLooping")


def test_an_alert_of_another_source_is_another_alert():
    alert = an_alert()
    incident = replace(an_incident(alert, number=2), source="other")
    assert preview_of({"main": [listed(alert)]}, [incident], words=SeverityWords()).others == ()


@pytest.mark.parametrize(
    ("draft", "preview", "verdict", "reasons"),
    [
        (a_draft(), a_preview(), Verdict.FINE, ()),
        (a_draft(), a_preview(0), Verdict.FINE, ()),
        (a_draft(), a_preview(20), Verdict.FINE, ()),
        (a_draft(), a_preview(21), Verdict.CONFIRM, (Breadth.MANY,)),
        (a_draft(), a_preview(1, 1), Verdict.CONFIRM, (Breadth.CRITICAL,)),
        (a_draft(minutes=8 * 60), a_preview(), Verdict.FINE, ()),
        (a_draft(minutes=8 * 60 + 1), a_preview(), Verdict.CONFIRM, (Breadth.LONG,)),
        (a_draft(minutes=24 * 60), a_preview(30, 2), Verdict.CONFIRM, (Breadth.CRITICAL, Breadth.MANY, Breadth.LONG)),
        (a_draft(minutes=31 * 24 * 60), a_preview(30, 2), Verdict.REFUSE, (Breadth.LONG,)),
        (a_draft('alertname=~".+"'), a_preview(), Verdict.REFUSE, (Breadth.MATCHES_ALL,)),
    ],
)  # fmt: skip
def test_each_breadth_is_judged(draft, preview, verdict, reasons):
    assert judge(draft, preview, SilencePolicy(), now=NOON) == Judgement(verdict, reasons)


def test_a_policy_can_refuse_what_another_lets_one_confirm():
    policy = SilencePolicy(confirm=Limits(), refuse=Limits(critical=True))
    assert judge(a_draft(), a_preview(1, 1), policy, now=NOON).verdict is Verdict.REFUSE
    assert judge(a_draft('a=~".+"'), a_preview(99), policy, now=NOON).verdict is Verdict.FINE


@pytest.mark.parametrize(
    ("matchers", "everything"),
    [
        ('alertname=~".+"', True),
        ('alertname=~"(.*)"', True),
        ('alertname!="x", team!~"y"', True),
        ('alertname=~".+", team=~".*"', True),
        ('alertname=~".+", team="db"', False),
        ('alertname=~"Kube.*"', False),
        ('alertname="a"', False),
        ('alertname!~".*"', False),
    ],
)
def test_matchers_that_ask_for_nothing_in_particular_are_noticed(matchers, everything):
    assert matches_all(parse_matchers(matchers)) is everything


def test_an_expression_that_explodes_is_judged_at_once():
    assert not matches_all([Matcher("a", MatchOp.REGEX, "(a+)+$")])


# Writing


def test_who_made_it_and_where_it_belongs_is_written_on_it():
    draft = a_draft(comment="upgrade", incident=IncidentNumber(417))
    new = new_silence(draft, HAROLD, now=NOON, title="DiskFull", url="https://discord.com/channels/1/2/3")
    assert new.created_by == "harold (Discord 123456789012345678) via The Machine"
    assert new.comment == "upgrade · #417 DiskFull https://discord.com/channels/1/2/3"
    assert person_in(new.created_by) == HAROLD.id


def test_a_silence_without_comment_or_incident_has_one_all_the_same():
    assert comment_text(a_draft()) == "Silenced from Discord"


@given(comment=st.text(max_size=3000), title=st.text(max_size=300))
def test_a_comment_is_never_too_long_and_keeps_its_link(comment, title):
    url = "https://discord.com/channels/1136200000000000000/1136200000000000001/1136200000000000002"
    written = comment_text(a_draft(comment=comment, incident=IncidentNumber(1)), title=title, url=url)
    assert len(written) <= LONGEST_COMMENT
    assert written.endswith(url)


@given(comment=st.text(max_size=3000), name=st.text(max_size=200))
def test_a_comment_names_who_changed_it_once_and_is_never_too_long(comment, name):
    editor = Actor(ActorKind.PERSON, "77", name)
    once = changed_comment(comment, editor, author=created_by(HAROLD))
    assert once.endswith("(Discord 77)")
    assert len(once) <= LONGEST_COMMENT
    assert changed_comment(once, editor, author=created_by(HAROLD)) == once


@given(
    sets=st.lists(label_sets, min_size=1, max_size=3),
    comment=st.text(st.characters(codec="utf-8"), max_size=50),
)
def test_a_draft_comes_back_from_the_api_as_it_was(sets, comment):
    matchers = prefill(incident_of(*sets))
    draft = Draft(matchers=matchers, ends_at=at(60), comment=comment.replace("\x00", ""))
    new = new_silence(draft, HAROLD, now=NOON)
    back = reading.read_silence({"id": "s1", **reading.write_silence(new)})
    assert (back.matchers, back.ends_at, back.comment) == (matchers, draft.ends_at, new.comment)


# Following


def look(known: Followed | None, *theirs: Silence, minute: float) -> Followed:
    return follow(None if known is None else known.known, theirs, now=at(minute), tell_before_end=QUARTER)


def moments(followed: Followed) -> list[Moment]:
    return [event.moment for event in followed.events]


def test_what_is_there_at_the_first_look_is_no_news():
    first = look(None, a_silence(), a_silence("s2", begins=30, state=SilenceState.PENDING), minute=1)
    assert first.events == ()
    assert set(first.known) == {"s1", "s2"}


def test_a_silence_that_somebody_made_elsewhere_is_news():
    followed = look(look(None, minute=0), a_silence(begins=1), minute=2)
    assert moments(followed) == [Moment.BEGAN]


def test_a_silence_that_we_made_is_not_told_again():
    known = {"s1": Known(a_silence(), has_begun=True)}
    assert follow(known, [a_silence()], now=at(1), tell_before_end=QUARTER).events == ()


def test_a_planned_silence_is_news_when_it_begins():
    planned = a_silence(begins=30, ends=120, state=SilenceState.PENDING)
    followed = look(look(None, minute=0), planned, minute=1)
    assert moments(followed) == []
    followed = look(followed, replace(planned, state=SilenceState.ACTIVE), minute=31)
    assert moments(followed) == [Moment.BEGAN]


def test_its_whole_life_is_told_once_each():
    followed = look(None, minute=0)
    told = []
    for minute in range(1, 70):
        expired = SilenceState.EXPIRED if minute >= 60 else SilenceState.ACTIVE
        followed = look(followed, a_silence(state=expired), minute=minute)
        told += [(event.moment, minute) for event in followed.events]
    assert told == [(Moment.BEGAN, 1), (Moment.ENDS_SOON, 45), (Moment.ENDED, 60)]


def test_a_silence_that_is_extended_tells_of_its_new_end():
    followed = look(look(None, a_silence(), minute=0), a_silence(), minute=50)
    assert moments(followed) == [Moment.ENDS_SOON]
    followed = look(followed, a_silence(ends=120), minute=51)
    assert moments(followed) == [Moment.CHANGED]
    assert followed.events[0].before == a_silence()
    assert moments(look(followed, a_silence(ends=120), minute=106)) == [Moment.ENDS_SOON]


def test_a_short_silence_has_no_warning():
    followed = look(look(None, minute=0), a_silence(ends=20), minute=10)
    assert moments(followed) == [Moment.BEGAN]


def test_a_silence_that_somebody_ends_was_ended_early():
    over = a_silence(ends=10, state=SilenceState.EXPIRED)
    followed = look(look(None, a_silence(), minute=0), over, minute=11)
    assert moments(followed) == [Moment.ENDED_EARLY]
    assert look(followed, over, minute=12).events == ()


def test_changed_matchers_are_one_change_although_alertmanager_makes_a_new_silence():
    known = look(None, a_silence(), minute=0)
    over = a_silence(ends=10, state=SilenceState.EXPIRED)
    new = a_silence("s2", 'alertname=~"Disk.*"', begins=10, ends=60)
    followed = look(known, over, new, minute=11)
    assert moments(followed) == [Moment.CHANGED]
    assert (followed.events[0].silence, followed.events[0].before) == (new, a_silence())


def test_an_unrelated_silence_of_the_same_second_is_another():
    known = look(None, a_silence(), minute=0)
    over = a_silence(ends=10, state=SilenceState.EXPIRED)
    new = a_silence("s2", 'team="db"', begins=10, by="ada")
    assert moments(look(known, over, new, minute=11)) == [Moment.ENDED_EARLY, Moment.BEGAN]


def test_a_silence_that_alertmanager_lost_is_said_to_have_vanished():
    assert moments(look(look(None, a_silence(), minute=0), minute=10)) == [Moment.VANISHED]


def test_a_silence_that_was_forgotten_after_its_end_has_ended():
    assert moments(look(look(None, a_silence(), minute=0), minute=61)) == [Moment.ENDED]


silence_states = st.builds(
    a_silence,
    st.sampled_from(["s1", "s2", "s3"]),
    st.sampled_from(['a="1"', 'b="2"']),
    begins=st.sampled_from([0.0, 20.0]),
    ends=st.sampled_from([10.0, 60.0, 90.0]),
    state=st.sampled_from(SilenceState),
)
looks = st.lists(st.lists(silence_states, max_size=3, unique_by=lambda each: each.id), max_size=8)


@given(drawn=looks)
def test_the_same_look_again_is_no_news(drawn):
    followed = look(None, minute=0)
    for number, theirs in enumerate(drawn):
        followed = look(followed, *theirs, minute=1 + number * 9)
        again = look(followed, *theirs, minute=1 + number * 9)
        assert again.events == ()
        assert again.known == followed.known


@given(drawn=looks)
def test_a_silence_ends_only_after_it_was_known(drawn):
    followed = look(None, minute=0)
    for number, theirs in enumerate(drawn):
        before = followed.known
        followed = look(followed, *theirs, minute=1 + number * 9)
        for event in followed.events:
            if event.moment in {Moment.ENDED, Moment.ENDED_EARLY, Moment.VANISHED}:
                assert event.silence.id in before
                assert event.silence.id not in followed.known


@pytest.mark.parametrize(
    ("matchers", "namespace"),
    [
        ("namespace=shop, alertname=DiskFull", "shop"),
        ("alertname=DiskFull", None),
        ('namespace=~"shop|blog"', None),
        ("namespace!=shop, alertname=DiskFull", None),
        ('namespace="", alertname=DiskFull', None),
    ],
)
def test_a_namespace_is_named_by_an_equal_matcher_only(matchers, namespace):
    assert namespace_of(read_matchers(matchers)) == namespace
