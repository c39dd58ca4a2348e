"""Whatever the record holds, Discord takes the message."""

import pytest

from bot.access.model import Decision, Grant, Reason
from bot.chat.layout import problems
from bot.core.status import StatusLine
from bot.journal.model import Recorded
from bot.oversight.card import (
    NEWEST,
    YOU,
    page_asked_for,
    render_about,
    render_access,
    render_audit,
    render_head_explained,
    render_status,
)
from bot.oversight.model import About, AccessAnswer, AuditPage, AuditQuestion, Status
from tests.support.clock import NOON
from tests.support.journal import an_entry

HOSTILE = "@everyone `*[x](https://evil.example)" * 40


def text_of(view):
    return "\n".join(item.content for item in view.walk_children() if hasattr(item, "content"))


@pytest.mark.parametrize("count", [0, 1, 10])
def test_a_page_of_the_record_fits(count):
    entry = an_entry(target=HOSTILE, reason=HOSTILE, action=HOSTILE)
    entries = tuple(Recorded(n, NOON, entry, n, "hash") for n in range(count, 0, -1))
    view = render_audit(AuditPage(AuditQuestion("1" * 19, "alerts:*", NOON), entries, 99, False, 5))
    assert problems(view) == []
    outside_code = "".join(text_of(view).split("`")[::2])
    assert "@everyone" not in outside_code
    assert "](https" not in outside_code


def test_a_button_asks_for_what_the_page_showed():
    question = AuditQuestion("123", "alerts:*ack", NOON)
    view = render_audit(AuditPage(question, (), 0, is_newest=False, older_than=77))
    keys = [item.item.custom_id.split(":", 2)[2] for item in view.walk_children() if hasattr(item, "item")]
    assert [page_asked_for(key) for key in keys] == [(question, None), (question, 77)]
    assert keys[0].startswith(NEWEST)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_decision_has_words(reason):
    grant = Grant(name="access.grants[0]", may=("*",), users=frozenset({"5"}), approvals=2)
    decision = Decision(reason=reason, grant=grant, approvals=2)
    view = render_access(AccessAnswer("alerts:ack", HOSTILE, (grant,) * 200, decision), subject="<@5>")
    assert problems(view) == []
    assert ("may not" in text_of(view)) is not reason.allows


def test_the_asker_is_told_what_is_missing():
    decision = Decision(reason=Reason.NO_GRANT, missing="ask for a grant")
    assert "**You may not**: ask for a grant." in text_of(
        render_access(AccessAnswer("alerts:ack", "", (), decision), subject=YOU)
    )


def test_without_a_policy_it_says_so():
    decision = Decision(reason=Reason.NO_POLICY)
    shown = text_of(render_access(AccessAnswer("alerts:ack", "", None, decision), subject=YOU))
    assert "only administrators" in shown


def test_status_and_the_rest_fit():
    lines = tuple(StatusLine(HOSTILE, ok=False, text=HOSTILE, since=NOON) for _ in range(50))
    about = About("0.1.0", NOON, (("Source", "https://example.org"), ("Bad", "javascript:x")))
    for view in (render_status(Status(lines)), render_about(about), render_head_explained()):
        assert problems(view) == []
    assert "[Source](https://example.org)" in text_of(render_about(about))
    assert "javascript" not in text_of(render_about(about))
