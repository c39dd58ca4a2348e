"""What follows for our incidents from what Alertmanager lists: cases, then laws."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.alert import Alert
from bot.alerts.model.applying import Change, apply_notification
from bot.alerts.model.incident import Incident, IncidentNumber, Muting, State, close_by_hand
from bot.alerts.model.severity import SeverityWords
from bot.alerts.peers.model import (
    ClusterState,
    PeerAlert,
    PeerGroup,
    PeerState,
    PeerStatus,
    PeerView,
    Snapshot,
    Timing,
    Unreachable,
)
from bot.alerts.reconcile import (
    PATIENCE_WITH_A_PEER,
    Corrected,
    Decision,
    LostSight,
    Memory,
    Muted,
    Opened,
    SeenAgain,
    Unmuted,
    can_deny,
    reconcile,
    wants_groups,
)
from bot.core.actor import THE_MACHINE
from tests.support.alerts import NOON, a_notification, an_alert, an_incident, at

URL = "https://alertmanager.example.org"
KNOWN = Memory(own_urls=frozenset({URL}), answers_since=at(-600))
TIMING = Timing(group_wait=timedelta(seconds=30), group_interval=timedelta(minutes=5))
GRACE = 5.5


def listed(alert: Alert, *, muted: str = "", receivers: tuple[str, ...] = ("discord",)) -> PeerAlert:
    """Make what a peer lists of an alert; `muted` is the id of a silence."""
    return PeerAlert(
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=at(600),
        updated_at=alert.starts_at,
        state=PeerState.SUPPRESSED if muted else PeerState.ACTIVE,
        silenced_by=(muted,) if muted else (),
        muted_by=(),
        receivers=receivers,
    )


def a_view(
    *alerts: PeerAlert,
    up_for: timedelta | None = timedelta(days=1),
    cluster: ClusterState = ClusterState.READY,
    timing: Timing = TIMING,
    now: datetime = NOON,
) -> PeerView:
    started = None if up_for is None else now - up_for
    return PeerView(PeerStatus(started_at=started, cluster=cluster, version="0.28.0", timing=timing), alerts)


def a_snapshot(
    *alerts: PeerAlert, minute: float = 10, groups: Iterable[PeerGroup] | None = None, **view
) -> Snapshot:
    return Snapshot(
        taken_at=at(minute),
        views=(a_view(*alerts, now=at(minute), **view),),
        groups=None if groups is None else tuple(groups),
    )


def a_group(*alerts: PeerAlert, receiver: str = "discord", **labels: str) -> PeerGroup:
    return PeerGroup(receiver, labels or {"alertname": "KubePodCrashLooping"}, alerts)


@dataclass
class World:
    """Our incidents of one source, with every decision applied as the service would."""

    ours: list[Incident] = field(default_factory=list)
    memory: Memory = KNOWN
    mutings: dict[IncidentNumber, Muting] = field(default_factory=dict)
    numbers: Iterable[int] = field(default_factory=lambda: count(1000))

    def poll(self, theirs: Snapshot | Unreachable, *, now: datetime | None = None) -> tuple[Decision, ...]:
        moment = now or (theirs.taken_at if isinstance(theirs, Snapshot) else theirs.at)
        relevant = [incident for incident in self.ours if incident.is_open or incident.closing is not None]
        decisions, self.memory = reconcile(
            relevant, theirs, self.memory, source="main", now=moment, mutings=self.mutings
        )
        for decision in decisions:
            self.apply(decision, moment)
        return decisions

    def apply(self, decision: Decision, now: datetime) -> None:
        match decision:
            case Corrected(number, told):
                self.tell(self.incident(number), told, now)
            case Opened(told):
                same = [
                    each
                    for each in self.ours
                    if (each.receiver, each.group_labels) == (told.receiver, told.group_labels)
                ]
                self.tell(same[-1] if same else None, told, now)
            case Muted(number, muting):
                self.mutings[number] = muting
            case Unmuted(number):
                del self.mutings[number]
            case LostSight(number, since):
                self.put(replace(self.incident(number), state=State.UNKNOWN, unknown_since=since))
            case SeenAgain(number):
                self.put(replace(self.incident(number), state=State.FIRING, unknown_since=None))

    def tell(self, before, told, now) -> Change:
        outcome = apply_notification(
            before, told, words=SeverityWords(), now=now, reopen_within=timedelta(minutes=30)
        )
        if outcome.incident is not None and outcome.incident.number == 0:
            self.ours.append(replace(outcome.incident, number=IncidentNumber(next(iter(self.numbers)))))
        elif outcome.incident is not None:
            self.put(outcome.incident)
        return outcome.change

    def put(self, after: Incident) -> None:
        if not after.is_open:
            self.mutings.pop(after.number, None)
        self.ours = [after if each.number == after.number else each for each in self.ours]

    def incident(self, number: int = 417) -> Incident:
        return next(each for each in self.ours if each.number == number)


# What is over


def test_an_alert_that_is_absent_once_still_fires():
    world = World([an_incident(an_alert())])
    assert world.poll(a_snapshot(minute=10)) == ()
    assert world.incident().state is State.FIRING


def test_an_alert_that_is_absent_twice_is_over_since_the_first_time():
    world = World([an_incident(an_alert())])
    world.poll(a_snapshot(minute=10))
    (decision,) = world.poll(a_snapshot(minute=11))
    assert isinstance(decision, Corrected)
    assert world.incident().state is State.RESOLVED
    assert world.incident().alerts[0].ends_at == at(10)


def test_the_same_snapshot_is_counted_once():
    world = World([an_incident(an_alert())])
    assert [world.poll(a_snapshot(minute=10)) for _ in range(3)] == [(), (), ()]


def test_an_alert_that_came_back_in_between_is_not_over():
    alert = an_alert()
    world = World([an_incident(alert)])
    for snapshot in (a_snapshot(minute=10), a_snapshot(listed(alert), minute=11), a_snapshot(minute=12)):
        assert world.poll(snapshot) == ()


def test_a_failed_poll_in_between_starts_the_count_again():
    world = World([an_incident(an_alert())])
    for theirs in (a_snapshot(minute=10), Unreachable(at(11), "down"), a_snapshot(minute=12)):
        assert world.poll(theirs) == ()
    assert world.poll(a_snapshot(minute=13))


def test_only_the_alerts_that_are_absent_are_over():
    gone, stays = an_alert(pod="a"), an_alert(pod="b")
    world = World([an_incident(gone, stays)])
    for minute in (10, 11):
        world.poll(a_snapshot(listed(stays), minute=minute))
    assert world.incident().state is State.FIRING
    assert [alert.fingerprint for alert in world.incident().firing] == [stays.fingerprint]


def test_an_incident_that_was_told_of_after_the_list_was_made_is_left_alone():
    world = World([an_incident(an_alert(), changed_at=at(11.5))])
    world.poll(a_snapshot(minute=10))
    assert world.poll(a_snapshot(minute=11)) == ()


@pytest.mark.parametrize(
    "view",
    [
        {"cluster": ClusterState.SETTLING},
        {"up_for": timedelta(minutes=9)},
        {"up_for": timedelta(minutes=4), "timing": Timing(group_interval=timedelta(minutes=1))},
        {"up_for": timedelta(minutes=59), "timing": Timing(group_interval=timedelta(days=1))},
        {"up_for": timedelta(minutes=-5)},
    ],
)
def test_one_that_may_not_have_heard_of_every_alert_ends_nothing(view):
    world = World([an_incident(an_alert())])
    assert [world.poll(a_snapshot(minute=minute, **view)) for minute in (10, 11, 12)] == [()] * 3


def test_one_that_groups_over_days_is_believed_after_an_hour():
    view = a_view(up_for=timedelta(hours=1), timing=Timing(group_interval=timedelta(days=1)))
    assert can_deny(view, answers_since=NOON, now=NOON)


def test_one_that_does_not_say_since_when_it_is_up_is_believed_after_we_saw_it_for_long_enough():
    view = a_view(up_for=None)
    assert not can_deny(view, answers_since=at(-9), now=NOON)
    assert can_deny(view, answers_since=at(-10), now=NOON)


def test_while_a_peer_is_missing_an_alert_is_over_only_after_a_long_time():
    world = World([an_incident(an_alert())])
    minutes = PATIENCE_WITH_A_PEER / timedelta(minutes=1)
    for minute in (10, 11, 12, 10 + minutes - 1):
        assert world.poll(replace(a_snapshot(minute=minute), missing=1)) == ()
    assert world.poll(replace(a_snapshot(minute=10 + minutes), missing=1))


def test_while_a_peer_is_young_the_other_one_is_enough_only_after_a_long_time():
    world = World([an_incident(an_alert())])
    for minute in (10, 11, 12):
        old = a_view(now=at(minute))
        young = a_view(now=at(minute), up_for=timedelta(minutes=1))
        assert world.poll(Snapshot(taken_at=at(minute), views=(old, young))) == ()


def test_an_alert_that_one_of_two_peers_has_is_not_over():
    alert = an_alert()
    world = World([an_incident(alert)])
    for minute in (10, 11, 12):
        views = (a_view(now=at(minute)), a_view(listed(alert), now=at(minute)))
        assert world.poll(Snapshot(taken_at=at(minute), views=views)) == ()


def test_incidents_of_another_source_are_left_alone():
    world = World([replace(an_incident(an_alert()), source="other")])
    assert [world.poll(a_snapshot(minute=minute)) for minute in (10, 11)] == [(), ()]


def test_incidents_that_another_alertmanager_posted_under_this_source_are_left_alone():
    world = World([an_incident(an_alert(), external_url="https://another.example.org")])
    assert [world.poll(a_snapshot(minute=minute)) for minute in (10, 11)] == [(), ()]


def test_an_address_is_its_own_once_an_alert_of_it_was_listed():
    seen, gone = an_alert(pod="a"), an_alert("Disk")
    world = World(
        [an_incident(seen, number=1), an_incident(gone, number=2, group_labels={"alertname": "Disk"})],
        memory=Memory(),
    )
    for minute in (10, 11):
        world.poll(a_snapshot(listed(seen), minute=minute))
    assert world.memory.own_urls == {URL}
    assert world.incident(2).state is State.RESOLVED


def test_a_made_up_alert_of_ours_is_left_alone():
    world = World([an_incident(an_alert("MachineTest"), external_url="")])
    assert [world.poll(a_snapshot(minute=minute)) for minute in (10, 11)] == [(), ()]


# What is quiet


def test_a_silenced_alert_is_muted_and_not_over():
    alert = an_alert()
    world = World([an_incident(alert)])
    decisions = world.poll(a_snapshot(listed(alert, muted="s1")))
    assert decisions == (Muted(IncidentNumber(417), Muting(silences=("s1",), alerts=1, firing=1)),)
    assert world.poll(a_snapshot(listed(alert, muted="s1"), minute=11)) == ()
    assert world.incident().is_open


def test_an_incident_that_is_muted_in_part_says_so():
    quiet, loud = an_alert(pod="a"), an_alert(pod="b")
    world = World([an_incident(quiet, loud)])
    world.poll(a_snapshot(listed(quiet, muted="s1"), listed(loud)))
    muting = world.mutings[IncidentNumber(417)]
    assert (muting.alerts, muting.firing, muting.is_whole) == (1, 2, False)


def test_the_end_of_a_silence_unmutes():
    alert = an_alert()
    world = World([an_incident(alert)])
    world.poll(a_snapshot(listed(alert, muted="s1")))
    assert world.poll(a_snapshot(listed(alert), minute=11)) == (Unmuted(IncidentNumber(417)),)


def test_an_alert_that_resolves_while_it_is_silenced_is_over():
    alert = an_alert()
    world = World([an_incident(alert)])
    world.poll(a_snapshot(listed(alert, muted="s1")))
    for minute in (11, 12):
        world.poll(a_snapshot(minute=minute))
    assert world.incident().state is State.RESOLVED
    assert not world.mutings


def test_inhibition_and_time_intervals_mute_as_well():
    alert = an_alert()
    world = World([an_incident(alert)])
    quiet = replace(listed(alert), inhibited_by=("f9",), muted_by=("nights",))
    world.poll(a_snapshot(quiet))
    muting = world.mutings[IncidentNumber(417)]
    assert (muting.inhibitors, muting.intervals) == (("f9",), ("nights",))


def test_an_alert_that_one_peer_still_sends_is_not_muted():
    alert = an_alert()
    world = World([an_incident(alert)])
    views = (a_view(listed(alert, muted="s1")), a_view(listed(alert)))
    assert world.poll(Snapshot(taken_at=at(10), views=views)) == ()


# What was never delivered


def an_open_world() -> tuple[World, Alert]:
    """One known incident, so that receiver and address are ours."""
    known = an_alert("Watchdog")
    return World([an_incident(known, group_labels={"alertname": "Watchdog"})]), known


def the_look(known: Alert, *new: PeerAlert, minute: float, **labels: str) -> Snapshot:
    groups = [a_group(listed(known), alertname="Watchdog"), a_group(*new, **labels)]
    return a_snapshot(listed(known), *new, minute=minute, groups=groups)


def test_an_alert_that_was_never_delivered_opens_an_incident_after_the_grace():
    world, known = an_open_world()
    missed = an_alert(namespace="prod")
    for minute in (10, 11, 10 + GRACE - 0.1):
        assert world.poll(the_look(known, listed(missed), minute=minute)) == ()
    (decision,) = world.poll(the_look(known, listed(missed), minute=10 + GRACE))
    assert isinstance(decision, Opened)
    assert decision.told.group_labels == {"alertname": "KubePodCrashLooping"}
    assert decision.told.alerts == (missed,)
    assert world.poll(the_look(known, listed(missed), minute=20)) == ()


def test_the_delivery_that_comes_after_all_finds_the_incident_by_its_labels():
    world, known = an_open_world()
    missed = an_alert(namespace="prod")
    for minute in (10, 10 + GRACE):
        world.poll(the_look(known, listed(missed), minute=minute))
    opened = world.ours[-1]
    late = a_notification(missed)
    assert opened.receiver == late.receiver
    assert opened.group_labels == late.group_labels
    assert world.tell(opened, late, at(30)) is Change.NOTHING_NEW


def test_the_grace_begins_when_an_alert_is_no_longer_silenced():
    world, known = an_open_world()
    missed = an_alert()
    for minute in (10, 20, 30):
        assert world.poll(the_look(known, listed(missed, muted="s1"), minute=minute)) == ()
    assert world.poll(the_look(known, listed(missed), minute=31)) == ()
    assert world.poll(the_look(known, listed(missed), minute=31 + GRACE))


def test_an_alert_for_other_receivers_opens_nothing():
    world, known = an_open_world()
    elsewhere = listed(an_alert(), receivers=("mail",))
    for minute in (10, 20, 30):
        assert world.poll(the_look(known, elsewhere, minute=minute)) == ()


def test_an_alert_that_a_time_keeps_quiet_unsaid_opens_nothing():
    world, known = an_open_world()
    missed = replace(listed(an_alert()), muted_by=None)
    for minute in (10, 20, 30):
        look = the_look(known, missed, minute=minute)
        (view,) = look.views
        timing = replace(TIMING, mutes_by_time=True)
        quiet = replace(look, views=(replace(view, status=replace(view.status, timing=timing)),))
        assert world.poll(quiet) == ()


def test_what_somebody_closed_by_hand_stays_closed():
    world, known = an_open_world()
    alert = an_alert()
    closed = close_by_hand(an_incident(alert, number=2), THE_MACHINE, note="", now=at(5))
    world.ours.append(closed)
    for minute in (10, 20, 30):
        assert world.poll(the_look(known, listed(alert), minute=minute)) == ()


def test_an_alert_that_joined_the_group_unseen_is_added_to_its_incident():
    old, new = an_alert(pod="a"), an_alert(pod="b")
    world = World([an_incident(old)])
    alerts = (listed(old), listed(new))
    for minute in (10, 10 + GRACE):
        world.poll(a_snapshot(*alerts, minute=minute, groups=[a_group(*alerts)]))
    assert len(world.ours) == 1
    assert len(world.incident().firing) == 2


def test_groups_are_asked_for_only_when_they_say_something():
    world, known = an_open_world()
    quiet, missed = a_snapshot(listed(known)), a_snapshot(listed(known), listed(an_alert()), minute=20)
    assert not wants_groups(world.ours, quiet, world.memory, source="main")
    assert not wants_groups(world.ours, missed, world.memory, source="main")
    world.poll(a_snapshot(listed(known), listed(an_alert()), minute=10))
    assert wants_groups(world.ours, missed, world.memory, source="main")


def test_a_truncated_incident_wants_groups():
    incident = an_incident(an_alert(), truncated=3)
    assert wants_groups([incident], a_snapshot(listed(an_alert())), KNOWN, source="main")


# What was cut off


def a_truncated_incident(*alerts: Alert) -> Incident:
    """All that was shown is over, and more was cut off."""
    return an_incident(*alerts, state=State.UNKNOWN, unknown_since=at(5), truncated=2)


def test_an_unknown_incident_whose_group_is_gone_is_closed_after_two_polls():
    world = World([a_truncated_incident(an_alert(until=at(5)))])
    assert world.poll(a_snapshot(minute=10, groups=[])) == ()
    world.poll(a_snapshot(minute=11, groups=[]))
    assert world.incident().state is State.RESOLVED


def test_an_unknown_incident_whose_cut_off_alerts_fire_is_confirmed_at_once():
    hidden = an_alert(pod="hidden")
    world = World([a_truncated_incident(an_alert(until=at(5)))])
    world.poll(a_snapshot(listed(hidden), groups=[a_group(listed(hidden))]))
    assert world.incident().state is State.FIRING
    assert world.incident().truncated == 0
    assert [alert.fingerprint for alert in world.incident().firing] == [hidden.fingerprint]


def test_cut_off_alerts_that_are_silenced_fire_all_the_same():
    hidden = an_alert(pod="hidden")
    world = World([a_truncated_incident(an_alert(until=at(5)))])
    world.poll(a_snapshot(listed(hidden, muted="s1"), groups=[a_group(listed(hidden, muted="s1"))]))
    world.poll(
        a_snapshot(listed(hidden, muted="s1"), minute=11, groups=[a_group(listed(hidden, muted="s1"))])
    )
    assert world.incident().state is State.FIRING
    assert world.mutings[IncidentNumber(417)].silences == ("s1",)


def test_a_firing_incident_learns_what_was_cut_off():
    shown, hidden = an_alert(pod="a"), an_alert(pod="b")
    world = World([an_incident(shown, truncated=1)])
    alerts = (listed(shown), listed(hidden))
    world.poll(a_snapshot(*alerts, groups=[a_group(*alerts)]))
    assert (len(world.incident().firing), world.incident().truncated) == (2, 0)


def test_without_groups_nothing_is_said_of_what_was_cut_off():
    world = World([a_truncated_incident(an_alert(until=at(5)))])
    assert [world.poll(a_snapshot(minute=minute)) for minute in (10, 11, 12)] == [()] * 3


# Out of sight


def test_after_some_failed_polls_an_incident_is_unknown_since_the_first():
    world = World([an_incident(an_alert())])
    for minute in (10, 11, 12):
        assert world.poll(Unreachable(at(minute), "down")) == ()
    assert world.poll(Unreachable(at(13), "down")) == (LostSight(IncidentNumber(417), at(10)),)
    assert world.poll(Unreachable(at(14), "down")) == ()


def test_an_incident_that_is_still_told_of_is_not_unknown():
    world = World([an_incident(an_alert(), changed_at=at(12))])
    assert [world.poll(Unreachable(at(minute), "down")) for minute in (10, 11, 12, 13)] == [()] * 4


def test_an_incident_is_back_when_it_is_listed_again():
    alert = an_alert()
    world = World([an_incident(alert, state=State.UNKNOWN, unknown_since=at(10))])
    assert world.poll(a_snapshot(listed(alert), minute=20)) == (SeenAgain(IncidentNumber(417)),)
    assert world.poll(a_snapshot(listed(alert), minute=21)) == ()


def test_an_incident_that_ended_out_of_sight_is_over_after_two_polls():
    world = World([an_incident(an_alert(), state=State.UNKNOWN, unknown_since=at(10))])
    assert world.poll(a_snapshot(minute=20)) == ()
    world.poll(a_snapshot(minute=21))
    assert world.incident().state is State.RESOLVED


# Laws

PODS = ("a", "b", "c", "d")
ALERTS = {pod: an_alert(pod=pod, since=at(-60)) for pod in PODS}
LATE = {pod: an_alert("Disk", pod=pod, since=at(-60)) for pod in PODS}
DISK = {"alertname": "Disk"}

mutes = st.sampled_from(["", "", "s1", "s2"])
lists = st.dictionaries(st.sampled_from(PODS), mutes)
views = st.fixed_dictionaries(
    {
        "crashing": lists,
        "disk": lists,
        "up_for": st.sampled_from([None, timedelta(0), timedelta(minutes=9), timedelta(days=1)]),
        "cluster": st.sampled_from(ClusterState),
    }
)
polls = st.fixed_dictionaries(
    {"views": st.lists(views, max_size=2), "missing": st.integers(0, 1), "with_groups": st.booleans()}
)
worlds = st.builds(
    lambda crashing, disk, truncated: World(
        [
            *(
                [an_incident(*map(ALERTS.get, sorted(crashing)), number=1, truncated=truncated)]
                if crashing
                else []
            ),
            *([an_incident(*map(LATE.get, sorted(disk)), number=2, group_labels=DISK)] if disk else []),
        ]
    ),
    st.sets(st.sampled_from(PODS)),
    st.sets(st.sampled_from(PODS)),
    st.integers(0, 2),
)


def seen(poll: Mapping, minute: float) -> Snapshot | Unreachable:
    """Make the answer that a strategy drew."""
    if not poll["views"]:
        return Unreachable(at(minute), "down")
    made, groups = [], []
    for drawn in poll["views"]:
        crashing = [listed(ALERTS[pod], muted=muted) for pod, muted in drawn["crashing"].items()]
        disk = [listed(LATE[pod], muted=muted) for pod, muted in drawn["disk"].items()]
        view = a_view(*crashing, *disk, up_for=drawn["up_for"], cluster=drawn["cluster"], now=at(minute))
        made.append(view)
        groups += [group for group in (a_group(*crashing), a_group(*disk, **DISK)) if group.alerts]
    return Snapshot(
        taken_at=at(minute),
        views=tuple(made),
        missing=poll["missing"],
        groups=tuple(groups) if poll["with_groups"] else None,
    )


def firing(world: World) -> set[str]:
    return {alert.fingerprint for incident in world.ours if incident.is_open for alert in incident.firing}


def fingerprints(theirs: Snapshot) -> set[str]:
    return {alert.fingerprint for view in theirs.views for alert in view.alerts}


@given(world=worlds, drawn=st.lists(polls, max_size=12), step=st.sampled_from([1, 7, 40]))
def test_what_is_listed_is_never_called_over(world, drawn, step):
    for number, poll in enumerate(drawn):
        theirs = seen(poll, 10 + number * step)
        before = firing(world)
        world.poll(theirs)
        if isinstance(theirs, Snapshot):
            assert before & fingerprints(theirs) <= firing(world)
        else:
            assert firing(world) == before


@given(world=worlds, drawn=st.lists(polls, max_size=12), step=st.sampled_from([1, 7, 40]))
def test_what_is_over_was_absent_in_two_polls_in_a_row_that_could_know(world, drawn, step):
    looks: list[Snapshot | Unreachable] = []
    for number, poll in enumerate(drawn):
        looks.append(seen(poll, 10 + number * step))
        answers_since = world.memory.answers_since or at(10 + number * step)
        before = firing(world)
        world.poll(looks[-1])
        for over in before - firing(world):
            for look in looks[-2:]:
                assert isinstance(look, Snapshot)
                assert over not in fingerprints(look)
                assert any(
                    can_deny(view, answers_since=answers_since, now=look.taken_at) for view in look.views
                )
            assert len(looks) >= 2


@given(world=worlds, drawn=st.lists(polls, max_size=12), step=st.sampled_from([1, 7, 40]))
def test_the_same_poll_again_decides_nothing_new(world, drawn, step):
    for number, poll in enumerate(drawn):
        theirs = seen(poll, 10 + number * step)
        world.poll(theirs)
        # What was told just now is left alone until the next list: it comes a moment later.
        assert world.poll(theirs) == ()


@given(world=worlds, drawn=st.lists(polls, max_size=6), last=lists, disk=lists)
def test_polls_that_keep_saying_the_same_end_in_agreement(world, drawn, last, disk):
    for number, poll in enumerate(drawn):
        world.poll(seen(poll, 10 + number))
    # Both groups stay known to be ours by an alert that always fires.
    watchdog = an_alert("Watchdog", since=at(-60))
    world.ours.append(an_incident(watchdog, number=9, group_labels={"alertname": "Watchdog"}))
    crashing = [listed(ALERTS[pod], muted=muted) for pod, muted in last.items()]
    full = [listed(LATE[pod], muted=muted) for pod, muted in disk.items()]
    groups = [a_group(listed(watchdog), alertname="Watchdog")]
    groups += [group for group in (a_group(*crashing), a_group(*full, **DISK)) if group.alerts]
    for minute in (100, 101, 110, 111, 112):
        world.poll(a_snapshot(listed(watchdog), *crashing, *full, minute=minute, groups=groups))
    sent = {alert.fingerprint for alert in (*crashing, *full) if not alert.is_muted}
    there = {alert.fingerprint for alert in (*crashing, *full)}
    assert sent | {watchdog.fingerprint} <= firing(world) <= there | {watchdog.fingerprint}
    for incident in world.ours:
        assert not incident.is_open or incident.state is State.FIRING
        quiet = {alert.fingerprint for alert in (*crashing, *full) if alert.is_muted}
        is_muted = any(alert.fingerprint in quiet for alert in incident.firing) and incident.is_open
        assert (incident.number in world.mutings) is is_muted
