"""A process of the bot that tells what happens to Applications without it."""

from datetime import timedelta

from bot.argocd.news import CARD, NewsDesk
from bot.argocd.stories import NewsPolicy, Route
from bot.cards.store import find_card
from bot.core.loops import AT_ONCE
from tests.support.argo_desk import GITOPS
from tests.support.clock import NOON

EVERYTHING = NewsPolicy(routes=(Route(channel_id=GITOPS),))
LONG_AGO = NOON - timedelta(days=1)


class Newsroom:
    """A process of the bot that watches what happens."""

    def __init__(self, desk, policy=EVERYTHING):
        self.desk = desk
        self.policy = policy
        self.before = 0
        self.news = NewsDesk(
            desk.leading, desk.cards, desk.journal, desk.argo, clock=desk.clock, policy=lambda: self.policy
        )

    async def look(self, times=1):
        """Let time go by; Argo CD and then the bot look."""
        for _ in range(times):
            await self.desk.stage.step()
            await self.see()

    async def see(self):
        """Have the bot alone look, at what was written so far."""
        await self.desk.catch_up()
        while await self.news.step() == AT_ONCE:
            pass

    async def began(self):
        """Forget what was noted while everything was made ready."""
        await self.look()
        self.before = len(await self.entries())

    async def entries(self):
        return [entry for entry in await self.desk.entries() if entry.action == "argocd:synced"]

    async def notes(self):
        """The syncs that were noted since, as who and what became of it."""
        return [
            (entry.detail.get("by") or entry.detail.get("how"), entry.outcome.value, entry.app)
            for entry in (await self.entries())[self.before :]
        ]

    async def noted(self, name="shop"):
        """The syncs of one Application, as they stand in the journal: when, who, from and to what."""
        async with self.desk.leading.reading() as tx:
            found = await self.desk.journal.list_changes(tx, apps=[f"argocd/{name}"], since=LONG_AGO)
        return [
            (one.at, one.entry.detail.get("by"), one.entry.detail.get("from"), one.entry.detail["to"])
            for one in reversed(found)
        ]

    async def story(self, number=1):
        return await self.news.get(number)

    async def card(self, number=1, channel=GITOPS, kind=CARD):
        async with self.desk.leading.reading() as tx:
            return await find_card(tx, kind, str(number), channel)
