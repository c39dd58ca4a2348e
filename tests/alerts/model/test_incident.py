from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.incident import Destination, acknowledge, join_destinations
from bot.core.actor import Actor, ActorKind
from tests.support.alerts import an_alert, an_incident, at

ALICE = Actor(ActorKind.PERSON, "7", "alice")
BOB = Actor(ActorKind.PERSON, "8", "bob")


def test_the_first_acknowledgement_of_one_person_keeps_its_moment():
    seen = acknowledge(an_incident(), ALICE, note="", now=at(1))
    again = acknowledge(seen, ALICE, note="cleaning up", now=at(9))
    assert again.acknowledgement is not None
    assert (again.acknowledgement.at, again.acknowledgement.note) == (at(1), "cleaning up")


def test_somebody_else_takes_an_acknowledgement_over():
    seen = acknowledge(an_incident(), ALICE, note="mine", now=at(1))
    taken = acknowledge(seen, BOB, note="", now=at(9)).acknowledgement
    assert taken is not None
    assert (taken.by_id, taken.at, taken.note) == ("8", at(9), "")


def test_a_title_is_the_alert_name():
    assert an_incident(an_alert("TargetDown")).title == "TargetDown"


def test_a_mixed_group_is_named_by_its_group_labels():
    mixed = an_incident(an_alert("A"), an_alert("B"), group_labels={"namespace": "prod", "cluster": "home"})
    assert mixed.title == "prod, home"


def test_a_group_without_labels_is_named_by_its_receiver():
    assert an_incident(an_alert("A"), an_alert("B"), group_labels={}).title == "discord"


def test_a_closed_incident_shares_what_all_its_alerts_share():
    closed = an_incident(an_alert(pod="a", until=at(5)), an_alert(pod="b", until=at(6)))
    assert closed.common_labels == {"alertname": "KubePodCrashLooping", "severity": "warning"}
    assert closed.common_annotations == {}


ROUTED = st.lists(
    st.builds(
        Destination,
        channel=st.sampled_from(["alerts", "critical"]),
        mention=st.lists(st.sampled_from(["role:oncall", "user:7"]), unique=True).map(tuple),
        remind=st.sampled_from([None, timedelta(minutes=5), timedelta(minutes=15)]),
    ),
    max_size=4,
)


@given(ROUTED, ROUTED)
def test_destinations_only_grow(before, routed):
    known = join_destinations((), before)
    joined = {destination.channel: destination for destination in join_destinations(known, routed)}
    for destination in (*known, *routed):
        grown = joined[destination.channel]
        assert set(destination.mention) <= set(grown.mention)
        if destination.remind is not None:
            assert grown.remind is not None
            assert grown.remind <= destination.remind
    assert join_destinations(tuple(joined.values()), routed) == tuple(joined.values())
