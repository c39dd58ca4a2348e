"""The next request goes when Discord takes it: not before, and not by a constant of ours."""

import json

import pytest

from bot.chat.pacing import Answer, Pacing, Verb

CHANNEL = 7


class Stopwatch:
    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def watch():
    return Stopwatch()


@pytest.fixture
def pacing(watch):
    return Pacing(watch)


def an_answer(
    method="POST", path=f"/api/v10/channels/{CHANNEL}/messages", status=200, *, left=None, reset=None, **more
):
    headers = {"Via": "1.1 google"} | more.get("headers", {})
    if left is not None:
        headers |= {"X-RateLimit-Remaining": str(left), "X-RateLimit-Reset-After": str(reset)}
    return Answer(method, path, status, headers, more.get("body", b""))


def a_429(retry_after, *, method="PATCH", path=f"/api/v10/channels/{CHANNEL}/messages/9", everywhere=False):
    body = json.dumps({"retry_after": retry_after, "global": everywhere}).encode()
    return an_answer(method, path, 429, body=body)


def test_nothing_is_waited_for_before_discord_says_so(pacing):
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == 0


def test_an_exhausted_bucket_waits_for_its_reset(pacing, watch):
    pacing.learn(an_answer(left=1, reset=5))
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == 0
    pacing.learn(an_answer(left=0, reset=4.2))
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == pytest.approx(4.2)
    watch.seconds += 4.3
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == 0


@pytest.mark.parametrize(
    ("method", "path", "verb"),
    [
        ("POST", "/api/v10/channels/7/messages", Verb.CREATE),
        ("PATCH", "/api/v10/channels/7/messages/9", Verb.EDIT),
        ("DELETE", "/api/v10/channels/7/messages/9", Verb.DELETE),
        ("GET", "/api/v10/channels/7/messages/9", Verb.READ),
        ("POST", "/api/v10/channels/7/messages/9/threads", Verb.THREAD),
        ("PATCH", "/api/v10/channels/7", Verb.CHANGE),
        ("GET", "/api/v10/channels/7", None),
        ("POST", "/api/v10/channels/7/messages/bulk-delete", None),
    ],
)
def test_each_path_is_paced_as_what_it_does(method, path, verb):
    assert an_answer(method, path).verb == (verb and (CHANNEL, verb))


def test_each_verb_and_channel_has_its_own_pace(pacing):
    pacing.learn(an_answer(left=0, reset=4))
    assert pacing.ready_in(CHANNEL, Verb.EDIT) == 0
    assert pacing.ready_in(CHANNEL + 1, Verb.CREATE) == 0


@pytest.mark.parametrize(
    ("method", "tail", "verb"),
    [
        ("POST", "", Verb.CREATE),
        ("PATCH", "/9", Verb.EDIT),
        ("DELETE", "/9", Verb.DELETE),
        ("GET", "", Verb.READ),
    ],
)
def test_requests_are_told_apart_by_their_path(pacing, method, tail, verb):
    pacing.learn(an_answer(method, f"/api/v10/channels/{CHANNEL}/messages{tail}", left=0, reset=2))
    assert [v for v in Verb if pacing.ready_in(CHANNEL, v) > 0] == [verb]


def test_other_requests_pace_nothing(pacing):
    pacing.learn(an_answer("POST", "/api/v10/interactions/1/token/callback", left=0, reset=9))
    assert not any(pacing.ready_in(CHANNEL, verb) for verb in Verb)


def test_an_edit_limit_that_no_header_tells_is_learnt_from_its_429(pacing):
    pacing.learn(a_429(5.5))
    assert pacing.ready_in(CHANNEL, Verb.EDIT) == pytest.approx(5.5)
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == 0


def test_a_global_limit_holds_everything(pacing):
    pacing.learn(a_429(3, everywhere=True))
    assert pacing.ready_in(CHANNEL + 5, Verb.CREATE) == pytest.approx(3)


def test_a_429_from_the_edge_keeps_everything_still_for_long(pacing):
    pacing.learn(Answer("POST", f"/channels/{CHANNEL}/messages", 429, {}, b"<html>"))
    assert pacing.ready_in(CHANNEL + 5, Verb.EDIT) == pytest.approx(300)


def test_a_late_answer_does_not_shorten_a_wait(pacing):
    pacing.learn(an_answer(left=0, reset=5))
    pacing.learn(an_answer(left=1, reset=5))
    pacing.learn(an_answer(left=0, reset=1))
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == pytest.approx(5)


def test_it_holds_for_our_own_reasons_too(pacing):
    pacing.hold(CHANNEL, "create", 2)
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == pytest.approx(2)


def test_channels_of_long_ago_are_forgotten(pacing, watch):
    for channel in range(1100):
        pacing.hold(channel, Verb.EDIT, 1)
        watch.seconds += 0.1
    assert len(pacing._free_at) <= 1024


@pytest.mark.parametrize("headers", [{"X-RateLimit-Remaining": "0"}, {"X-RateLimit-Remaining": "x"}, {}])
def test_odd_headers_are_taken_as_no_limit(pacing, headers):
    pacing.learn(an_answer(headers=headers))
    assert pacing.ready_in(CHANNEL, Verb.CREATE) == 0


def a_limit(limit, left, reset):
    headers = {"X-RateLimit-Limit": str(limit)}
    return an_answer(left=left, reset=reset, headers=headers)


def test_until_a_limit_is_stated_the_rate_is_a_cautious_guess(pacing):
    pacing.learn(an_answer(left=3, reset=4))
    assert pacing.rate(CHANNEL, Verb.CREATE) == 1


def test_the_rate_is_that_of_the_whole_window_whenever_it_is_stated(pacing):
    pacing.learn(a_limit(5, 2, 1.5))
    pacing.learn(a_limit(5, 4, 5))
    pacing.learn(a_limit(5, 0, 0.2))
    assert pacing.rate(CHANNEL, Verb.CREATE) == pytest.approx(1)
    assert pacing.rate(CHANNEL, Verb.EDIT) == 1


def test_a_changed_limit_is_learnt_anew(pacing):
    pacing.learn(a_limit(5, 4, 5))
    pacing.learn(a_limit(10, 9, 2))
    assert pacing.rate(CHANNEL, Verb.CREATE) == pytest.approx(5)


@pytest.mark.parametrize(("limit", "reset"), [("x", "5"), ("0", "5"), ("5", "0"), ("5", "-1"), ("nan", "5")])
def test_a_limit_that_makes_no_sense_is_no_limit(pacing, limit, reset):
    pacing.learn(a_limit(limit, 4, reset))
    assert pacing.rate(CHANNEL, Verb.CREATE) == 1
