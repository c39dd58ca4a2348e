"""What Alertmanager's API answers, read into our words."""

import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.peers import reading
from bot.alerts.peers.model import ClusterState, NewSilence, PeerState, SilenceState, Timing
from bot.core.errors import BrokenError
from bot.core.matchers import Matcher, MatchOp
from tests.support.alerts import NOON, at

READERS = (reading.read_alerts, reading.read_groups, reading.read_silences, reading.read_silence,
           reading.read_silence_id, reading.read_status)  # fmt: skip

FIELDS = (
    "fingerprint", "labels", "annotations", "startsAt", "endsAt", "status", "state", "receivers", "name", "id",
    "matchers", "value", "uptime", "cluster", "config", "original", "versionInfo", "version", "silencedBy",
    "silenceID", "alerts", "receiver",
)  # fmt: skip

trees = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([NOON.isoformat(), "active"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS) | st.text(),
            inner,
            max_size=8,
        )
    ),
    max_leaves=20,
)
words = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
matchers = st.builds(
    Matcher,
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20),
    st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]),
    words,
) | st.builds(
    Matcher,
    st.from_regex("[a-z_]{1,8}", fullmatch=True),
    st.sampled_from([MatchOp.REGEX, MatchOp.NOT_REGEX]),
    st.sampled_from([".+", "a|b", "prod-[0-9]+", ""]),
)


def recorded(name: str):
    folder = os.environ.get("MACHINE_TEST_FIXTURES")
    if not folder:
        pytest.skip("MACHINE_TEST_FIXTURES does not name the folder of recorded bodies")
    return reading.read_json((Path(folder) / "alertmanager" / "api" / name).read_bytes())


def an_answer(**fields):
    return {"fingerprint": "f00", "startsAt": "2026-11-21T12:00:00.123456789Z", **fields}


def test_a_recorded_list_of_alerts_is_read():
    alerts = reading.read_alerts(recorded("alerts.json"))
    first = alerts[0]
    assert len(alerts) == len({alert.fingerprint for alert in alerts}) > 500
    assert first.receivers == ("big500",)
    assert first.state is PeerState.ACTIVE
    assert not first.is_muted
    assert first.muted_by is None


def test_a_recorded_silenced_alert_says_by_what():
    (alert,) = reading.read_alerts(recorded("alerts-silenced.json"))
    assert alert.silenced_by == ("5ae2a3cd-3f6c-4acb-a504-a0420a5a8c71",)
    assert alert.is_muted


def test_a_recorded_inhibited_alert_says_by_what():
    cause, effect = reading.read_alerts(recorded("alerts-inhibited.json"))
    assert effect.inhibited_by == (cause.fingerprint,)
    assert effect.is_muted
    assert not cause.is_muted


def test_recorded_groups_have_receiver_and_labels():
    (group,) = reading.read_groups(recorded("alerts-groups-filtered.json"))
    assert (group.receiver, len(group.alerts)) == ("group", 5)
    assert group.labels == {"alertname": "KubePodCrashLooping", "namespace": "argocd"}


def test_a_recorded_silence_is_read():
    (silence,) = reading.read_silences(recorded("silences.json"))
    assert silence.conditions == ('scenario="silenced"', 'alertname=~"Silenced.*"')
    assert silence.ends_at - silence.starts_at == timedelta(hours=1)
    assert silence.state is SilenceState.ACTIVE


def test_recorded_expired_silences_are_read():
    states = {silence.state for silence in reading.read_silences(recorded("silences-after-expire.json"))}
    assert states == {SilenceState.EXPIRED}


def test_a_recorded_status_tells_of_the_configured_times():
    status = reading.read_status(recorded("status.json"))
    assert status.cluster is ClusterState.DISABLED
    assert status.version == "0.25.0"
    assert status.started_at == datetime(2026, 11, 21, 6, 5, 45, 418000, UTC)
    assert status.timing == Timing(
        resolve_timeout=timedelta(seconds=40),
        group_wait=timedelta(seconds=1),
        group_interval=timedelta(minutes=1),
    )


def test_a_status_without_anything_has_the_defaults():
    status = reading.read_status({})
    assert status.cluster is ClusterState.UNKNOWN
    assert status.started_at is None
    assert status.timing == Timing()


@pytest.mark.parametrize(
    ("config", "mutes"),
    [
        ("route:\n  routes:\n  - mute_time_intervals:\n    - nights\n", True),
        ("route:\n  routes:\n  - receiver: a\n    active_time_intervals:\n    - days\n", True),
        ("route:\n  receiver: a\nmute_time_intervals:\n- name: nights\n", False),
    ],
)
def test_a_route_that_is_quiet_at_times_is_noticed(config, mutes):
    assert reading.read_status({"config": {"original": config}}).timing.mutes_by_time is mutes


def test_unknown_fields_are_ignored_and_absent_ones_have_defaults():
    (alert,) = reading.read_alerts(
        [an_answer(routeLabels={"a": "b"}, status={"state": "novel", "mutedBy": []})]
    )
    assert alert.state is PeerState.ACTIVE
    assert alert.muted_by == ()
    assert alert.updated_at == alert.starts_at


def test_one_alert_that_cannot_be_read_spoils_the_list():
    with pytest.raises(BrokenError, match="fingerprint"):
        reading.read_alerts([an_answer(), {"startsAt": "2026-11-21T12:00:00Z"}])


def test_a_matcher_that_only_re2_knows_is_kept_as_it_is_written():
    silence = reading.read_silence(
        {
            "id": "x",
            "startsAt": "2026-11-21T12:00:00Z",
            "endsAt": "2026-11-21T13:00:00Z",
            "matchers": [
                {"name": "pod", "value": r"\pL+", "isRegex": True},
                {"name": "job", "value": "a", "isRegex": False, "isEqual": False},
            ],
        }
    )
    assert silence.conditions == ('job!="a"', 'pod=~"\\\\pL+"')


def test_nul_and_lone_surrogates_do_not_reach_a_database():
    tree = reading.read_json(rb'{"a\u0000": ["\ud800x"]}')
    assert tree == {"a": ["\ufffdx"]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'"silence not found"\n', "silence not found"),
        (b'{"code":612,"message":"matchers in body"}', "matchers in body"),
        (b"", ""),
        (b"<html>", "<html>"),
        (b"[1]", ""),
    ],
)
def test_a_refusal_is_read_however_it_is_wrapped(body, said):
    assert reading.read_refusal(body) == said


@given(tree=trees)
def test_any_answer_is_read_or_broken(tree):
    for read in READERS:
        with suppress(BrokenError):
            read(tree)


@given(body=st.binary(max_size=200))
def test_any_bytes_are_read_or_broken(body):
    with suppress(BrokenError):
        reading.read_json(body)
    assert isinstance(reading.read_refusal(body), str)


@given(
    conditions=st.lists(matchers, min_size=1, max_size=4),
    comment=words,
    by=words,
    minutes=st.integers(1, 10**6),
)
def test_a_silence_survives_the_way_through_the_api(conditions, comment, by, minutes):
    new = NewSilence(
        matchers=tuple(conditions), starts_at=NOON, ends_at=at(minutes), created_by=by, comment=comment
    )
    answer = json.loads(json.dumps({"id": "x", "status": {"state": "active"}, **reading.write_silence(new)}))
    silence = reading.read_silence(answer)
    assert silence.matchers == new.matchers
    assert not silence.unreadable
    assert (silence.starts_at, silence.ends_at) == (new.starts_at, new.ends_at)
    assert (silence.created_by, silence.comment) == (by, comment)
