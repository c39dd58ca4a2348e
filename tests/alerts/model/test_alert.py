from bot.alerts.model.alert import common, in_order
from tests.support.alerts import an_alert, at


def test_firing_alerts_stand_first_the_longest_firing_before_all():
    new, old = an_alert(pod="new", since=at(3)), an_alert(pod="old", since=at(1))
    gone, long_gone = an_alert(pod="gone", until=at(9)), an_alert(pod="long-gone", until=at(5))
    assert in_order([long_gone, new, gone, old]) == (old, new, gone, long_gone)


def test_common_items_are_those_of_all():
    assert common([{"a": "1", "b": "2"}, {"a": "1", "b": "3"}, {"a": "1"}]) == {"a": "1"}
    assert common([]) == {}
    assert common([{"a": "1"}, {"b": "1"}, {"a": "1"}]) == {}


def test_alerts_of_the_same_moment_stand_in_the_order_of_their_fingerprints():
    firing = [an_alert(fingerprint=name) for name in "ab"]
    resolved = [an_alert(fingerprint=name, until=at(5)) for name in "cd"]
    assert in_order([*reversed(resolved), *reversed(firing)]) == (*firing, *resolved)
