"""Whatever the record holds, Discord takes the message."""

from datetime import timedelta

import pytest

from bot.access.model import Decision, Grant, Reason
from bot.chat.layout import problems
from bot.core.status import StatusLine
from bot.journal.changes import Changed, Ending
from bot.journal.model import Recorded
from bot.oversight.card import (
    NEWEST,
    YOU,
    changes_asked_for,
    page_asked_for,
    render_about,
    render_access,
    render_audit,
    render_changes,
    render_head_explained,
    render_status,
)
from bot.oversight.model import (
    About,
    AccessAnswer,
    AuditPage,
    AuditQuestion,
    ChangesPage,
    ChangesQuestion,
    Status,
)
from tests.support.clock import NOON
from tests.support.journal import an_entry
from tests.support.people import a_person

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


def a_page_of(*changes, where="shop", page=0, pages=1, is_all=True):
    question = ChangesQuestion(where, NOON - timedelta(hours=1))
    url = "https://discord.com/channels/1136200000000000000/1136200000000000001/1136200000000000002"
    return ChangesPage(
        question, tuple((change, url) for change in changes), len(changes), is_all, page, pages
    )


@pytest.mark.parametrize("ending", list(Ending))
@pytest.mark.parametrize("action", ["argocd:sync", "alerts:silence", "x:y"])
def test_a_page_of_changes_fits_and_shows_every_one(action, ending):
    change = Changed(
        at=NOON,
        actor=a_person(HOSTILE, user="x"),
        action=action,
        target=f"app:{HOSTILE}",
        detail=dict.fromkeys(("from", "to", "by", "how", "matchers", "until"), HOSTILE),
        ending=ending,
        namespace=HOSTILE,
    )
    view = render_changes(a_page_of(*[change] * 10, where=HOSTILE[:100], pages=3, is_all=False))
    assert problems(view) == []
    assert text_of(view).count("<t:") == 11
    assert "more than 10 changes" in text_of(view)


def test_the_buttons_of_changes_ask_for_the_pages_around():
    view = render_changes(a_page_of(where="app:argocd/shop", page=1, pages=3))
    keys = [item.item.custom_id.split(":", 2)[2] for item in view.walk_children() if hasattr(item, "item")]
    question = ChangesQuestion("app:argocd/shop", NOON - timedelta(hours=1))
    assert [changes_asked_for(key) for key in keys] == [(question, 0), (question, 2)]


def test_a_place_too_long_for_a_button_has_none():
    view = render_changes(a_page_of(where="x" * 100, pages=3))
    assert not [item for item in view.walk_children() if hasattr(item, "item")]


def test_times_say_the_day_where_changes_are_older():
    change = Changed(at=NOON - timedelta(minutes=5), actor=a_person(), action="argocd:sync")
    assert ":t> <@" in text_of(render_changes(a_page_of(change)))
    later = Changed(at=NOON + timedelta(days=2), actor=a_person(), action="argocd:sync")
    assert ":t> <@" not in text_of(render_changes(a_page_of(later, change)))
