from dataclasses import replace

import pytest

from bot.alerts.model.notification import delivery_key, labels_key
from tests.support.alerts import a_notification, an_alert, at


def test_the_order_of_alerts_and_their_annotations_make_no_other_delivery():
    first, second = an_alert(pod="a"), an_alert(pod="b")
    noted = replace(first, annotations={"summary": "x"})
    assert delivery_key(a_notification(first, second)) == delivery_key(a_notification(second, noted))


@pytest.mark.parametrize(
    "other",
    [
        a_notification(receiver="else"),
        a_notification(group_key="else"),
        a_notification(truncated=1),
        a_notification(an_alert(since=at(1))),
        a_notification(an_alert(until=at(5))),
        a_notification(an_alert(pod="a")),
    ],
)
def test_what_matters_makes_another_delivery(other):
    assert delivery_key(other) != delivery_key(a_notification())


def test_equal_labels_have_equal_keys():
    assert labels_key({"a": "1", "b": "2"}) == labels_key({"b": "2", "a": "1"})
    assert labels_key({"a": "1"}) != labels_key({"a": "2"})
