"""Stories that are told together: what is wrong stands on the card, and every name in the attached list."""

from datetime import timedelta

from bot.argocd.card.crowds import render_crowd
from bot.argocd.stories import Happening, News, Story, crowd_of
from bot.chat import layout
from bot.kube.model import ObjectKey
from tests.support.clock import NOON


def a_story(number, *wrong, name="", closed=None, last=News.ERROR, **facts):
    return Story(
        id=number,
        key=ObjectKey("argocd", name or f"app-{number}"),
        channel_id=1,
        opened_at=NOON,
        closed_at=closed,
        happenings=(Happening(news=last, at=NOON),),
        wrong=frozenset(wrong),
        facts=facts,
        crowd=1,
    )


def shown(rendered):
    return [line for item in rendered.view.walk_children() for line in _lines(item)]


def _lines(item):
    return item.content.splitlines() if hasattr(item, "content") else ()


def test_the_worst_are_named_first_with_all_that_is_wrong():
    stories = [a_story(1, News.DRIFTED), a_story(2, News.ERROR, News.DRIFTED), a_story(3, News.SYNC_FAILED)]
    heading, _, *named = shown(render_crowd(crowd_of(1, stories)))
    assert heading == "### 3 Applications · SYNC FAILED 1 · BROKEN 1 · OUT OF SYNC 1"
    assert [line.rpartition(" · ")[0] for line in named] == [
        "**app-3** SYNC FAILED",
        "**app-2** BROKEN · OUT OF SYNC",
        "**app-1** OUT OF SYNC",
    ]


def test_the_most_frequent_message_is_said_once_and_others_in_the_list():
    stories = [a_story(number, News.ERROR, error="nobody *answers*") for number in range(1, 15)]
    stories.append(a_story(15, News.SYNC_FAILED, message="quota exceeded"))
    rendered = render_crowd(crowd_of(1, stories))
    text = shown(rendered)
    assert text[2:4] == [r"> nobody \*answers\*", "-# what Argo CD says of 14 of them"]
    assert text[-1] == "-# and 3 more in the attached list"
    (file,) = rendered.files
    listed = file.content.decode().splitlines()
    assert sum("nobody *answers*" in line for line in listed) == 1
    assert [line.endswith("  quota exceeded") for line in listed if "app-15 " in line] == [True]
    assert len(listed) == 3 + 15


def test_few_need_no_list():
    assert render_crowd(crowd_of(1, [a_story(each, News.ERROR) for each in range(12)])).files == ()


def test_one_that_is_told_again_counts_once():
    stories = [a_story(1, closed=NOON), a_story(2, News.ERROR, name="app-1")]
    assert shown(render_crowd(crowd_of(1, stories)))[0] == "### 1 Application · BROKEN 1"


def test_what_was_deleted_is_not_called_well():
    ended = NOON + timedelta(minutes=23)
    stories = [
        a_story(1, closed=ended, last=News.WELL),
        a_story(2, closed=NOON, last=News.DELETED),
    ]
    heading, facts = shown(render_crowd(crowd_of(1, stories)))
    assert heading == "### ALL WELL AGAIN · 2 Applications"
    assert facts.endswith("after 23 min · 1 deleted")
    assert shown(render_crowd(crowd_of(1, stories[1:])))[0] == "### ALL DELETED · 1 Application"


def test_thousands_with_the_longest_names_fit_into_a_message():
    stories = [
        a_story(number, *News, name=f"{'*' * 240}{number}", error="_" * 4000) for number in range(5000)
    ]
    rendered = render_crowd(crowd_of(1, stories))
    assert layout.problems(rendered.view) == []
    (file,) = rendered.files
    assert file.content.count(b"*" * 240) == 5000
    assert len(file.content) < 8_000_000
