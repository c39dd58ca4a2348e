import pytest

from bot.alerts.model.severity import Severity, SeverityWords


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("critical", Severity.CRITICAL),
        ("PAGE", Severity.CRITICAL),
        (" Critical ", Severity.CRITICAL),
        ("warning", Severity.WARNING),
        ("info", Severity.INFO),
        ("none", Severity.INFO),
        ("", Severity.WARNING),
        ("purple", Severity.WARNING),
    ],
)
def test_a_severity_word_has_a_meaning_and_an_unknown_one_is_a_warning(word, severity):
    assert SeverityWords().of({"severity": word}) is severity


def test_an_alert_without_the_label_is_a_warning():
    assert SeverityWords().of({}) is Severity.WARNING


def test_the_label_and_its_words_can_be_others():
    words = SeverityWords(label="priority", critical=frozenset({"p1"}))
    assert words.of({"priority": "P1"}) is Severity.CRITICAL


def test_nothing_has_no_severity():
    assert SeverityWords().worst(()) is None
