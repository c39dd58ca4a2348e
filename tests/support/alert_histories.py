"""Alerts that were told at some time or other, for laws about any history."""

from hypothesis import strategies as st

from bot.alerts.model.alert import Alert
from tests.support.alerts import an_alert, at

FINGERPRINTS = ("aaaa", "bbbb", "cccc")
SEVERITIES = ("critical", "warning", "info", "odd")


@st.composite
def alerts(draw: st.DrawFn, fingerprints: tuple[str, ...] = FINGERPRINTS) -> Alert:
    """Draw an alert that fires or is over, told at any time."""
    fingerprint = draw(st.sampled_from(fingerprints))
    start = draw(st.integers(-10, 10))
    length = draw(st.none() | st.integers(0, 10))
    return an_alert(
        fingerprint=fingerprint,
        since=at(start),
        until=None if length is None else at(start + length),
        severity=draw(st.sampled_from(SEVERITIES)),
        annotations={"summary": draw(st.sampled_from("xy"))},
    )
