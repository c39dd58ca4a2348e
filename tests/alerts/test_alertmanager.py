import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.alerts import payload
from bot.alerts.alertmanager import derive_reason, parse
from bot.alerts.inbox.model import QuarantineReason, UnreadableError
from bot.alerts.model.alert import AlertStatus
from bot.alerts.model.applying import Change
from bot.alerts.model.notification import Notification
from tests.support.alerts import NOON, a_body, an_alert, an_entry, at


def read(body: bytes) -> Notification:
    return parse(body, source="main")


def without(*fields: str, **entry_fields: object) -> bytes:
    """Make a body that lacks top-level fields, with one alert whose None fields are absent."""
    entry = {name: value for name, value in {**an_entry(), **entry_fields}.items() if value is not None}
    body = json.loads(a_body(entry))
    return json.dumps({name: value for name, value in body.items() if name not in fields}).encode()


def refusal(body: bytes) -> QuarantineReason:
    with pytest.raises(UnreadableError) as refused:
        read(body)
    return refused.value.reason


# What is read


def test_a_body_is_read_whole():
    entry = an_entry(
        pod="checkout-7d9f", annotations={"summary": "It crashes"}, since="2026-11-21T11:58:00.508Z"
    )
    told = read(
        a_body(entry, truncated=7, notification_reason="first notification", routeLabels={"team": "a"})
    )
    assert told.source == "main"
    assert told.receiver == "discord"
    assert told.group_key == '{}:{alertname="KubePodCrashLooping"}'
    assert told.group_labels == {"alertname": "KubePodCrashLooping"}
    assert told.external_url == "https://alertmanager.example.org"
    assert (told.truncated, told.reason, told.route_labels) == (7, "first notification", {"team": "a"})
    (alert,) = told.alerts
    assert alert.is_firing
    assert alert.fingerprint == entry["fingerprint"]
    assert alert.labels["pod"] == "checkout-7d9f"
    assert alert.annotations == {"summary": "It crashes"}
    assert alert.starts_at == datetime(2026, 11, 21, 11, 58, 0, 508_000, tzinfo=UTC)
    assert alert.ends_at is None
    assert alert.generator_url == "https://prometheus.example.org/graph?g0.expr=up"


def test_a_resolved_alert_has_its_end():
    (alert,) = read(a_body(an_entry(status="resolved", until="2026-11-21T12:05:00Z"))).alerts
    assert alert.status is AlertStatus.RESOLVED
    assert alert.ends_at == at(5)


def test_a_resolved_alert_without_an_end_ended_when_it_began():
    (alert,) = read(a_body(an_entry(status="resolved"))).alerts
    assert alert.ends_at == alert.starts_at == NOON


def test_a_firing_alert_has_no_end_whatever_it_says():
    (alert,) = read(a_body(an_entry(until="2026-11-21T14:00:00Z"))).alerts
    assert alert.ends_at is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-21T12:00:00.123456789Z", datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-11-21T13:00:00+01:00", NOON),
        ("2026-11-21T12:00:00", NOON),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_read_to_the_microsecond_in_utc(written, meant):
    assert read(a_body(an_entry(since=written))).alerts[0].starts_at == meant


@pytest.mark.parametrize("written", ["soon", "9999-12-31T23:59:59-14:00", "1795241157"])
def test_what_is_no_time_is_refused(written):
    assert refusal(a_body(an_entry(since=written))) is QuarantineReason.WRONG_TYPES


def test_a_quoted_receiver_is_unquoted():
    assert read(a_body(receiver=r"team\.a \(night\)")).receiver == "team.a (night)"


def test_unknown_fields_are_ignored():
    assert read(a_body({**an_entry(), "values": {"A": 1}}, orgId=1, message=None)).alerts


# What is absent


def test_a_body_of_an_old_sender_is_read():
    told = read(without("groupLabels", "commonLabels", "commonAnnotations", "externalURL", "truncatedAlerts"))
    assert (told.group_labels, told.external_url, told.truncated, told.reason) == ({}, "", 0, None)


def test_a_body_without_a_version_is_read_if_it_holds_alerts():
    assert read(without("version")).alerts


def test_an_absent_group_key_is_made_of_the_labels():
    def key(namespace: str) -> str:
        return read(a_body(group_labels={"namespace": namespace}, group_key="")).group_key

    assert key("prod") == key("prod")
    assert key("prod") != key("test")


def test_absent_and_empty_lists_of_alerts_are_none():
    assert read(without("alerts")).alerts == ()
    assert read(a_body(alerts=None)).alerts == ()


def test_an_absent_fingerprint_is_made_of_the_labels():
    (alert,) = read(without(fingerprint=None)).alerts
    assert alert.fingerprint == an_alert().fingerprint


def test_an_absent_status_is_that_of_the_group_and_an_unknown_one_fires():
    assert read(without("status", status=None)).alerts[0].is_firing
    assert read(without(status="suppressed")).alerts[0].is_firing
    body = json.loads(without(status=None))
    assert not read(json.dumps({**body, "status": "resolved"}).encode()).alerts[0].is_firing


def test_an_alert_without_a_start_began_when_it_arrived():
    assert parse(without(startsAt=None), source="main", received_at=at(3)).alerts[0].starts_at == at(3)


# What is odd


def test_of_too_many_alerts_firing_ones_are_kept_and_the_rest_counts_as_cut_off(monkeypatch):
    monkeypatch.setattr(payload, "MOST_ALERTS", 2)  # making 20,001 of them would take a second
    resolved = [an_entry(pod=f"gone-{n}", status="resolved") for n in range(3)]
    told = read(a_body(*resolved, an_entry(pod="burning"), truncated=1))
    assert [alert.labels["pod"] for alert in told.alerts] == ["burning", "gone-0"]
    assert told.truncated == 3


def test_what_no_database_stores_is_taken_out():
    told = read(a_body(an_entry(note="a\x00b\ud800c", emoji="🔥"), receiver="x\x00"))
    assert told.receiver == "x"
    assert told.alerts[0].labels["note"] == "ab\ufffdc"
    assert told.alerts[0].labels["emoji"] == "🔥"


def test_bytes_that_are_no_text_hide_no_alert():
    body = a_body(an_entry(note="PLACE")).replace(b"PLACE", b"a\xed\xa0\x80\xffb")
    assert read(body).alerts[0].labels["note"].startswith("a\ufffd")


def test_the_last_of_two_equal_keys_counts():
    assert read(b'{"receiver":"a","receiver":"b","version":"4"}').receiver == "b"


@pytest.mark.parametrize(
    ("written", "count"), [("-3", 0), ("7", 7), ("2.0", 2), ("1" * 6000, 2**31 - 1), ("1e400", 2**31 - 1)]
)
def test_a_count_is_a_number_within_bounds(written, count):
    assert read(f'{{"version":"4","truncatedAlerts":{written}}}'.encode()).truncated == count


# What is refused


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", QuarantineReason.NOT_JSON),
        (b"payload=%7B%7D", QuarantineReason.NOT_JSON),
        (a_body()[:-1], QuarantineReason.NOT_JSON),
        (a_body(version="1"), QuarantineReason.NOT_VERSION_4),
        (a_body(version=["4"]), QuarantineReason.NOT_VERSION_4),
        (b'{"text": "a payload of their own"}', QuarantineReason.NOT_VERSION_4),
        (b"[" * 100_000 + b"]" * 100_000, QuarantineReason.TOO_DEEP),
        (b'{"version":"4","x":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001, QuarantineReason.TOO_DEEP),
        (b"[]", QuarantineReason.WRONG_TYPES),
        (b'"version 4"', QuarantineReason.WRONG_TYPES),
        (b"null", QuarantineReason.WRONG_TYPES),
        (a_body(alerts={}), QuarantineReason.WRONG_TYPES),
        (a_body(alerts=["x"]), QuarantineReason.WRONG_TYPES),
        (a_body(receiver=7), QuarantineReason.WRONG_TYPES),
        (a_body(groupLabels=[]), QuarantineReason.WRONG_TYPES),
        (a_body(truncatedAlerts="7"), QuarantineReason.WRONG_TYPES),
        (b'{"version":"4","truncatedAlerts":NaN}', QuarantineReason.WRONG_TYPES),
        (without(labels={"pod": 7}), QuarantineReason.WRONG_TYPES),
        (without(labels={"pod": None}), QuarantineReason.WRONG_TYPES),
        (without(annotations="x"), QuarantineReason.WRONG_TYPES),
        (without(startsAt=1795241157), QuarantineReason.WRONG_TYPES),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_reason(body, reason):
    assert refusal(body) is reason


def test_alerts_straight_from_prometheus_are_recognised_and_explained():
    entry = {name: value for name, value in an_entry().items() if name not in {"status", "fingerprint"}}
    with pytest.raises(UnreadableError, match="Let Prometheus send to Alertmanager") as refused:
        read(json.dumps([entry, entry]).encode())
    assert refused.value.reason is QuarantineReason.RAW_PROMETHEUS


# Why it came


@pytest.mark.parametrize("change", Change)
def test_each_change_has_a_reason_in_the_words_of_alertmanager(change):
    assert derive_reason(change) in {
        "first notification",
        "new alerts added",
        "some alerts resolved",
        "all alerts resolved",
        "repeat interval elapsed",
    }


def test_whether_alerts_joined_or_left_makes_the_reason():
    assert derive_reason(Change.ALERTS_CHANGED, (an_alert(), an_alert(until=at(5)))) == "new alerts added"
    assert derive_reason(Change.ALERTS_CHANGED, (an_alert(until=at(5)),)) == "some alerts resolved"


# Laws

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "version", "status", "receiver", "alerts", "groupKey", "groupLabels", "truncatedAlerts", "labels",
        "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint", "externalURL", "routeLabels",
    ]
)  # fmt: skip
NEARLY = st.dictionaries(
    FIELDS,
    JSON | st.lists(st.dictionaries(FIELDS, JSON | st.datetimes().map(str), max_size=6), max_size=3),
    max_size=8,
).map(lambda fields: {**fields, "version": "4"})


def reads_or_refuses(body: bytes) -> None:
    try:
        told = read(body)
    except UnreadableError:
        return
    for alert in told.alerts:
        assert alert.starts_at.tzinfo is UTC
        assert (alert.ends_at is None) is alert.is_firing
        for name, value in (*alert.labels.items(), *alert.annotations.items()):
            assert "\x00" not in name + value
            (name + value).encode()


@given(st.binary())
@example(b"\xff\xfe{\x00}\x00")
def test_arbitrary_bytes_are_read_or_refused(body):
    reads_or_refuses(body)


@given(JSON)
def test_arbitrary_json_is_read_or_refused(tree):
    reads_or_refuses(json.dumps(tree).encode())


@given(NEARLY)
def test_what_nearly_is_a_body_is_read_or_refused(tree):
    reads_or_refuses(json.dumps(tree).encode())


@given(st.data())
def test_a_mutated_body_is_read_or_refused(data):
    body = bytearray(a_body(an_entry(pod="a\x00\ud800"), an_entry(status="resolved")))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.sampled_from(["drop", "set", "double"]))
        if change == "set":
            body[place] = data.draw(st.integers(0, 255))
        elif change == "drop":
            del body[place : place + data.draw(st.integers(1, 40))]
        else:
            body[place:place] = body[place : place + data.draw(st.integers(1, 40))]
        if not body:
            break
    reads_or_refuses(bytes(body))


# Real bodies


def recordings() -> Path:
    folder = os.environ.get("MACHINE_TEST_FIXTURES")
    if not folder:
        pytest.skip("MACHINE_TEST_FIXTURES does not name the folder of recorded bodies")
    return Path(folder) / "alertmanager" / "webhook"


def test_every_recorded_body_is_read_with_the_counts_of_its_index():
    folder = recordings()
    index = json.loads((folder / "index.json").read_text())
    assert index
    for recorded in index:
        told = read((folder.parent / recorded["file"]).read_bytes())
        assert len(told.alerts) == recorded["alerts"], recorded["file"]
        assert len(told.firing) == recorded["firing"], recorded["file"]
        assert told.truncated == recorded["truncatedAlerts"], recorded["file"]
        assert told.group_key == recorded["groupKey"], recorded["file"]
        assert all(len(alert.fingerprint) == 16 for alert in told.alerts)


@given(data=st.data())
def test_a_recorded_body_with_a_hole_is_read_or_refused(data):
    body = (recordings() / "hostile-labels.json").read_bytes()
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(start + 200, len(body))))
    reads_or_refuses(body[:start] + body[end:])


@pytest.mark.bench
def test_five_hundred_alerts_are_read_in_five_milliseconds():
    body = a_body(*(an_entry(pod=f"checkout-{n}", annotations={"summary": "x" * 300}) for n in range(500)))
    best = min(_seconds(body) for _ in range(20))
    print(f"{len(body):,} bytes with 500 alerts: {best * 1000:.1f} ms")
    assert best <= 0.005


def _seconds(body: bytes) -> float:
    started = time.perf_counter()
    read(body)
    return time.perf_counter() - started
