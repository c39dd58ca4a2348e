"""When many Applications go wrong at once, the first have cards of their own and the others share one."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from bot.argocd import store
from bot.argocd.crowds import CARD as CROWD
from bot.argocd.crowds import CrowdCards
from bot.argocd.news import CARD as STORY
from bot.argocd.stories import MOST_ALONE, TOGETHER_WITHIN, News, Route, is_crowded
from bot.cards import store as cards_store
from bot.cards.store import find_card
from bot.core.matchers import parse_matchers
from tests.support.argo_desk import GITOPS
from tests.support.argo_news import EVERYTHING, Newsroom
from tests.support.clock import NOON

AT_ONCE = replace(EVERYTHING, settle=timedelta(0))
FIRST = [str(number) for number in range(1, MOST_ALONE + 1)]
HEALTHY = {"status": "Healthy"}
WELL = {"health": HEALTHY, "sync": {"status": "Synced"}}
DRIFTED = {"health": HEALTHY, "sync": {"status": "OutOfSync"}}
WHY = "connection *refused*"
BROKEN = {
    "health": HEALTHY,
    "sync": {"status": "Unknown"},
    "conditions": [{"type": "ComparisonError", "message": WHY}],
}


@pytest.fixture
async def crowded(stage, room):
    """A room whose Applications begin to be wrong once they are told to."""
    room.policy = AT_ONCE
    await room.see()
    return Gathering(stage, room)


class Gathering:
    def __init__(self, stage, room):
        self.stage = stage
        self.room = room

    async def are(self, numbers, status):
        """Have Applications of these numbers be so, and the bot see it."""
        for number in numbers:
            self.stage.put(f"app-{number:02}", status=status)
        await self.room.see()

    async def later(self, minutes):
        self.room.desk.clock.advance(timedelta(minutes=minutes))

    async def cards(self, kind):
        """The keys of all cards of a kind, in the order in which they came to be wanted."""
        table = cards_store.card
        async with self.room.desk.leading.reading() as tx:
            rows = await tx.execute(select(table.c.key).where(table.c.kind == kind).order_by(table.c.id))
            return [row.key for row in rows]

    async def versions(self):
        async with self.room.desk.leading.reading() as tx:
            return (await tx.execute(select(func.sum(cards_store.card.c.wanted)))).scalar_one()

    async def shown(self, number=11):
        rendered = await CrowdCards(self.room.desk.leading).render(str(number), GITOPS)
        texts = (item.content for item in rendered.view.walk_children() if hasattr(item, "content"))
        return "\n".join(texts).splitlines()


@pytest.mark.parametrize(
    ("minutes", "crowded"),
    [
        pytest.param([0] * (MOST_ALONE - 1), False, id="few"),
        pytest.param([0] * MOST_ALONE, True, id="many"),
        pytest.param([9] * MOST_ALONE, True, id="many-within-a-while"),
        pytest.param([0] * (MOST_ALONE - 1) + [10], False, id="one-of-them-long-ago"),
    ],
)
def test_it_is_crowded_once_many_began_lately(minutes, crowded):
    assert is_crowded([NOON - timedelta(minutes=each) for each in minutes], now=NOON) is crowded


async def test_the_eleventh_and_all_after_it_share_a_card(crowded):
    await crowded.are(range(10), BROKEN)
    assert await crowded.cards(CROWD) == []
    await crowded.are(range(10, 13), BROKEN)
    assert await crowded.cards(STORY) == FIRST
    assert await crowded.cards(CROWD) == ["11"]
    heading, _, why, says, *named = await crowded.shown()
    assert heading == "### 3 Applications · BROKEN 3"
    assert (why, says) == (r"> connection \*refused\*", "-# what Argo CD says of 3 of them")
    assert [line.partition(" ")[0] for line in named] == ["**app-10**", "**app-11**", "**app-12**"]
    assert (await crowded.room.story(12)).wrong == {News.ERROR}


async def test_what_went_wrong_while_the_bot_was_away_is_told_together_as_well(crowded):
    since = (crowded.stage.clock.now() - timedelta(hours=3)).isoformat().replace("+00:00", "Z")
    long_ill = {"health": {"status": "Degraded", "lastTransitionTime": since}, "sync": {"status": "Synced"}}
    await crowded.are(range(12), long_ill)
    assert (await crowded.room.story(11)).opened_at < crowded.stage.clock.now() - TOGETHER_WITHIN
    assert (await crowded.cards(STORY), await crowded.cards(CROWD)) == (FIRST, ["11"])


async def test_a_card_says_when_all_are_well_again(crowded):
    await crowded.are(range(13), BROKEN)
    await crowded.later(20)
    await crowded.are([10], WELL)
    heading, facts, *_ = await crowded.shown()
    assert heading == "### 2 of 3 Applications · BROKEN 2"
    assert facts.startswith("-# since")
    assert " · 1 well again · " in facts
    await crowded.later(3)
    await crowded.are(range(13), WELL)
    heading, facts = await crowded.shown()
    assert heading == "### ALL WELL AGAIN · 3 Applications"
    assert facts.endswith(", after 23 min")
    assert await crowded.cards(CROWD) == ["11"]


async def test_kinds_of_trouble_are_counted_apart(crowded):
    await crowded.are(range(11), BROKEN)
    await crowded.are(range(11, 14), DRIFTED)
    assert "### 4 Applications · BROKEN 1 · OUT OF SYNC 3" in await crowded.shown()
    await crowded.are([11], {**DRIFTED, "conditions": BROKEN["conditions"]})
    assert "### 4 Applications · BROKEN 2 · OUT OF SYNC 2" in await crowded.shown()


async def test_those_that_are_deleted_are_no_trouble_any_more(crowded):
    await crowded.are(range(12), BROKEN)
    for number, heading in (
        (10, "### 1 of 2 Applications · BROKEN 1"),
        (11, "### ALL DELETED · 2 Applications"),
    ):
        name = f"app-{number:02}"
        crowded.stage.patch({"metadata": {"finalizers": None}}, name)
        crowded.stage.server.delete("Application", "argocd", name)
        await crowded.room.see()
        assert heading in await crowded.shown()


async def test_each_channel_has_its_own_crowd(crowded):
    crowded.room.policy = replace(
        AT_ONCE, routes=(Route(matchers=parse_matchers('app=~"app-[34].*"'), channel_id=7), *AT_ONCE.routes)
    )
    await crowded.are(range(11), BROKEN)
    await crowded.are(range(30, 41), BROKEN)
    async with crowded.room.desk.leading.reading() as tx:
        for number, channel in ((11, GITOPS), (22, 7)):
            assert await find_card(tx, CROWD, str(number), channel) is not None
    assert await crowded.cards(CROWD) == ["11", "22"]


async def test_what_was_told_alone_goes_on_alone_and_a_crowd_stays_one(crowded):
    await crowded.are(range(12), BROKEN)
    await crowded.are(range(12), WELL)
    await crowded.later(5)
    await crowded.are(range(12), BROKEN)
    await crowded.are([0, 10], DRIFTED)
    assert (await crowded.cards(STORY), await crowded.cards(CROWD)) == (FIRST, ["11"])
    assert (await crowded.room.story(1)).wrong == {News.DRIFTED}
    assert "### 2 Applications · BROKEN 1 · OUT OF SYNC 1" in await crowded.shown()


async def test_a_restart_posts_nothing_again_and_goes_on(crowded):
    await crowded.are(range(12), BROKEN)
    versions = await crowded.versions()
    async with crowded.room.desk.restarted() as other:
        again = Gathering(crowded.stage, Newsroom(other, AT_ONCE))
        await again.room.see()
        assert await again.versions() == versions
        await again.are([12], BROKEN)
        assert (await again.cards(STORY), await again.cards(CROWD)) == (FIRST, ["11"])
        await again.are(range(13), WELL)
        assert "### ALL WELL AGAIN · 3 Applications" in await again.shown()


async def test_what_goes_wrong_one_after_the_other_has_cards(crowded):
    await crowded.are(range(MOST_ALONE), BROKEN)
    await crowded.later(10)
    await crowded.are([10], BROKEN)
    assert len(await crowded.cards(STORY)) == MOST_ALONE + 1
    assert await crowded.cards(CROWD) == []


async def test_what_is_over_crowds_nobody(crowded):
    await crowded.are(range(5), BROKEN)
    await crowded.are(range(5), WELL)
    await crowded.are(range(5, 15), BROKEN)
    assert await crowded.cards(CROWD) == []


async def test_the_next_time_is_another_crowd(crowded):
    await crowded.are(range(12), BROKEN)
    await crowded.later(60)
    await crowded.are(range(12, 24), BROKEN)
    assert len(await crowded.cards(STORY)) == 2 * MOST_ALONE
    assert await crowded.cards(CROWD) == ["11", "23"]


async def test_a_card_that_is_shown_is_edited_after_a_while(crowded):
    await crowded.are(range(11), BROKEN)
    card = await crowded.room.card(11, kind=CROWD)
    assert card.retry_at is None
    async with crowded.room.desk.leading.transaction() as tx:
        await cards_store.mark_live(tx, card.id, message_id=5, version=card.wanted)
    await crowded.are([11], BROKEN)
    due = (await crowded.room.card(11, kind=CROWD)).retry_at
    assert due == crowded.stage.clock.now() + timedelta(seconds=5)
    await crowded.later(0.05)
    await crowded.are([12], BROKEN)
    assert (await crowded.room.card(11, kind=CROWD)).retry_at == due


async def test_the_card_of_a_crowd_is_forgotten_with_its_last_story(crowded):
    await crowded.are(range(12), BROKEN)
    await crowded.are(range(11), WELL)
    tomorrow = crowded.stage.clock.now() + timedelta(days=1)
    async with crowded.room.desk.leading.transaction() as tx:
        assert await store.purge_stories(tx, closed_before=tomorrow, limit=50) == (list(range(1, 12)), [])
    await crowded.are([11], WELL)
    async with crowded.room.desk.leading.transaction() as tx:
        assert await store.purge_stories(tx, closed_before=tomorrow, limit=50) == ([12], [11])
