"""What entries are called; whatever they hold, the line is safe and bounded."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.text import units
from bot.core.actor import THE_MACHINE, Actor, ActorKind
from bot.journal.changes import Changed, Ending
from bot.journal.words import LONGEST_LINE, change_line, change_words
from tests.support.clock import NOON
from tests.support.people import a_person

ADA = a_person("Ada", user="111")
OLD = "4f1c2ab" + "0" * 33
NEW = "9be01d7" + "0" * 33
SHOP = "app:argocd/shop"


def a_change(action, *, by=ADA, target=SHOP, ending=Ending.DONE, **detail):
    named = {name.rstrip("_"): value for name, value in detail.items()}
    return Changed(at=NOON, actor=by, action=action, target=target, detail=named, ending=ending)


TONIGHT = (NOON + timedelta(hours=2)).isoformat()
NEXT_WEEK = (NOON + timedelta(days=7)).isoformat()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            a_change("argocd:sync", from_=OLD, to=NEW),
            "<@111> synced **shop** `4f1c2ab` → `9be01d7`",
        ),
        (a_change("argocd:sync", from_=NEW, to=NEW), "<@111> synced **shop** `9be01d7`"),
        (a_change("argocd:sync", to="v1.2.3"), "<@111> synced **shop** → `v1.2.3`"),
        (
            a_change("argocd:sync", to=NEW, ending=Ending.RUNNING),
            "<@111> is syncing **shop** → `9be01d7`",
        ),
        (
            a_change("argocd:sync", to=NEW, ending=Ending.FAILED),
            "<@111> tried to sync **shop** → `9be01d7`: it failed",
        ),
        (
            a_change("argocd:rollback", ending=Ending.LOST),
            "<@111> tried to roll back **shop**: how it ended is not known",
        ),
        (
            a_change("argocd:synced", by=THE_MACHINE, from_=OLD, to=NEW, how="auto-sync"),
            "Argo CD synced **shop** `4f1c2ab` → `9be01d7` (auto-sync)",
        ),
        (
            a_change("argocd:synced", by=THE_MACHINE, by_="admin", to=NEW, how="in Argo CD"),
            "**admin** synced **shop** → `9be01d7` (in Argo CD)",
        ),
        (a_change("argocd:deployed", by=THE_MACHINE, to=NEW), "Argo CD deployed **shop** → `9be01d7`"),
        (a_change("secrets:rotate", target="secret:shop/db"), "<@111> rotated **db**"),
        (a_change("secrets:sync", by=THE_MACHINE, target="secret:shop/db"), "External Secrets synced **db**"),
        (
            a_change("workloads:scale", target="workload:shop/api", from_=2, to=5),
            "<@111> scaled **api** `2` → `5`",
        ),
        (
            a_change("alerts:silence", target="incident:7", matchers='alertname="DiskFull"', until=TONIGHT),
            f'<@111> silenced `alertname="DiskFull"` until <t:{int(NOON.timestamp()) + 7200}:t>',
        ),
        (
            a_change("alerts:silence", matchers="a=b", until=NEXT_WEEK, replaces=True),
            f"<@111> changed the silence of `a=b` until <t:{int(NOON.timestamp()) + 7 * 86_400}:f>",
        ),
        (a_change("alerts:silence", matchers="a=b", until="whenever"), "<@111> silenced `a=b`"),
        (
            a_change("alerts:silence", by=THE_MACHINE, matchers="a=b", by_="bob", how="in Alertmanager"),
            "**bob** silenced `a=b` (in Alertmanager)",
        ),
        (a_change("alerts:unsilence", matchers="a=b"), "<@111> ended the silence of `a=b`"),
        (a_change("zoo:feed", target="server:lion"), "<@111> used `zoo:feed` on **lion**"),
        (a_change("zoo:feed", target=""), "<@111> used `zoo:feed`"),
        (a_change("zoo:feed", title="Feed the lion"), "<@111>: Feed the lion"),
        (
            a_change("zoo:feed", title="Feed the lion", ending=Ending.CANCELLED),
            "<@111>: Feed the lion (it was cancelled)",
        ),
        (a_change("argocd:sync", by=a_person("Eve", user="x"), target=""), "**Eve** synced **something**"),
        (
            a_change("zoo:opened", by=Actor(ActorKind.SYSTEM, "zoo", "The Zoo"), target=""),
            "The Zoo used `zoo:opened`",
        ),
    ],
)
def test_a_change_is_told_in_words(changed, words):
    assert change_words(changed) == words


def test_a_line_says_when_and_leads_to_the_card():
    changed = Changed(at=NOON, actor=ADA, action="argocd:sync", target=SHOP, namespace="shop")
    url = "https://discord.com/channels/1/2/3"
    moment = f"<t:{int(NOON.timestamp())}:R>"
    assert change_line(changed, url=url) == f"{moment} <@111> synced **shop** · [card]({url})"
    assert change_line(changed, says_where=True) == f"{moment} <@111> synced **shop** in `shop`"
    failed = replace(changed, ending=Ending.FAILED)
    assert change_words(failed, says_where=True) == "<@111> tried to sync **shop** in `shop`: it failed"


def test_an_app_or_a_namespace_names_a_change_without_a_thing():
    changed = Changed(at=NOON, actor=ADA, action="argocd:sync", app="argocd/shop", namespace="web")
    assert change_words(changed) == "<@111> synced **shop**"


HOSTILE = "@everyone `*[x](https://evil.example)\n# <@&1>" * 20
texts = st.one_of(st.text(max_size=200), st.just(HOSTILE))
actions = st.one_of(texts, st.sampled_from(["argocd:sync", "alerts:silence", "alerts:unsilence", "x:y"]))
details = st.dictionaries(
    st.sampled_from(["from", "to", "by", "how", "matchers", "until", "title", "replaces"]),
    st.one_of(texts, st.none(), st.booleans(), st.integers(), st.just(TONIGHT)),
)
changes = st.builds(
    Changed,
    at=st.just(NOON),
    actor=st.builds(Actor, st.sampled_from(ActorKind), texts, texts),
    action=actions,
    target=texts,
    detail=details,
    ending=st.sampled_from(Ending),
    namespace=st.none() | texts,
    app=st.none() | texts,
)


@given(changes)
def test_whatever_an_entry_holds_its_line_is_one_short_safe_line(changed):
    line = change_line(changed, url="https://discord.com/channels/" + "9/" * 33, says_where=True)
    assert units(line) <= LONGEST_LINE
    assert "\n" not in line
    outside_code = re.sub(r"\\.|`[^`]*`", "", line)
    assert "@everyone" not in outside_code
    assert "<@&" not in outside_code
    assert "](https://evil" not in outside_code
