from hypothesis import given
from hypothesis import strategies as st

from bot.alerts.model.merging import merge_alert
from tests.support.alert_histories import alerts
from tests.support.alerts import an_alert, at


def test_an_unknown_alert_is_what_was_told():
    assert merge_alert(None, an_alert()) == an_alert()


def test_a_firing_alert_keeps_its_earliest_start():
    earlier, later = an_alert(since=at(0)), an_alert(since=at(1))
    assert merge_alert(earlier, later).starts_at == at(0)
    assert merge_alert(later, earlier).starts_at == at(0)


def test_a_firing_alert_takes_the_latest_annotations():
    told = an_alert(annotations={"summary": "91 %"})
    assert merge_alert(an_alert(annotations={"summary": "90 %"}), told).annotations == {"summary": "91 %"}


def test_a_firing_entry_after_a_resolved_one_with_the_same_start_fires_again():
    assert merge_alert(an_alert(until=at(5)), an_alert()) == an_alert()


def test_a_firing_alert_that_is_told_resolved_is_resolved():
    assert merge_alert(an_alert(), an_alert(until=at(5))) == an_alert(until=at(5))


def test_a_resolved_entry_of_an_older_episode_resolves_nothing():
    fires_again = an_alert(since=at(10))
    assert merge_alert(fires_again, an_alert(since=at(0), until=at(5))) == fires_again


def test_a_resolved_alert_keeps_the_earliest_start_of_its_episode():
    resolved = merge_alert(an_alert(since=at(0)), an_alert(since=at(1), until=at(5)))
    assert resolved == an_alert(since=at(0), until=at(5))


def test_of_two_ends_the_later_one_counts_in_whichever_order_they_come():
    first, second = an_alert(since=at(0), until=at(5)), an_alert(since=at(10), until=at(15))
    assert merge_alert(first, second) == second
    assert merge_alert(second, first) == second


def test_the_later_end_of_the_same_episode_counts():
    short, long = an_alert(since=at(0), until=at(5)), an_alert(since=at(1), until=at(9))
    assert merge_alert(short, long) == an_alert(since=at(0), until=at(9))


@given(st.none() | alerts(("aaaa",)), alerts(("aaaa",)))
def test_merging_is_idempotent(known, told):
    once = merge_alert(known, told)
    assert merge_alert(once, told) == once


@given(alerts(("aaaa",)), alerts(("aaaa",)))
def test_of_two_resolved_entries_the_later_end_counts_in_either_order(known, told):
    if not known.is_firing and not told.is_firing:
        latest = max(alert.ends_at for alert in (known, told))
        assert merge_alert(known, told).ends_at == merge_alert(told, known).ends_at == latest
