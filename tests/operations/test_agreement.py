"""Whatever happens in whatever order, nothing begins twice or unasked, and the end is the system's."""

import asyncio
import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.errors import RefusedError, UnavailableError
from bot.database.engine import Database
from bot.operations.model import Operation, OperationId, State
from tests.support.operating import ADA, BOB, CY, EVE, Operating, a_plan, a_policy, open_operating

PEOPLE = (ADA, BOB, CY, EVE)
SUBJECTS = ("app:argocd/shop", "app:argocd/cart")
ENDS = (State.SUCCEEDED, State.FAILED, State.SUPERSEDED, State.LOST)


@dataclass
class Story:
    """What happens, over a real database; who agreed is noted beside."""

    world: Operating
    names: list[OperationId] = field(default_factory=list)
    confirmed: dict[str, int] = field(default_factory=dict)
    """How many had to approve when it was confirmed."""
    states: dict[str, list[State]] = field(default_factory=dict)

    async def happen(self, what: str, which: int) -> None:
        world, system, by = self.world, self.world.system, PEOPLE[which % 4]
        name = self.names[which % len(self.names)] if self.names else None
        with contextlib.suppress(RefusedError):
            match what:
                case "is proposed":
                    self.names.append(await world.propose(a_plan(subject=SUBJECTS[which % 2]), by=by))
                case "is confirmed" if name:
                    await world.operations.confirm(name, by=(await world.get(name)).asked_by)
                case "is approved" if name:
                    await world.operations.approve(name, by=by)
                case "is declined" if name:
                    await world.operations.decline(name, by=by)
                case "is cancelled" if name:
                    await world.operations.act(name, "cancel", by=by)
                case "goes on" if name in system.begun and not system.begun[name].state.is_final:
                    system.show(name, fraction=which / 10)
                case "ends there" if name in system.begun and not system.begun[name].state.is_final:
                    system.show(name, ENDS[which % 4])
                case "loses an answer":
                    system.lose_next_answer = True
                case "fails once":
                    system.fail_next.append((UnavailableError("Once."), ZeroDivisionError())[which % 2])
                case "goes away":
                    system.down = True
                case "comes back":
                    system.down = False
                case "we restart":
                    self.world = world.restarted()
                case "the policy changes":
                    world.access.use(a_policy(approvals=which % 3, may=(("argocd:*",), ("x",))[which == 5]))
                case "we step":
                    await world.operations.step()
                case "time passes":
                    await world.later(timedelta(minutes=which * which))
        await self.look()

    async def look(self) -> None:
        """Check what must hold at every moment."""
        system = self.world.system
        assert len(system.starts) == len(set(system.starts)), "something began twice"
        active = await self.world.operations.list_active()
        assert len({each.plan.subject for each in active}) == len(active)
        for name in self.names:
            operation = await self.world.get(name)
            self._note(operation)
            if name in system.starts:
                assert operation.confirmed_at is not None
                assert len({each.by.id for each in operation.approvals} - {operation.asked_by.id}) >= (
                    operation.approvals_needed
                )

    def _note(self, operation: Operation) -> None:
        seen = self.states.setdefault(operation.id, [operation.state])
        if seen[-1] is not operation.state:
            assert not seen[-1].is_final, "what was over went on"
            seen.append(operation.state)

    async def end(self) -> None:
        """Let everything be seen, and everything there come to its end."""
        system = self.world.system
        system.down, system.lose_next_answer, system.fail_next[:] = False, False, []
        for _ in range(3):
            await self.world.later(timedelta(minutes=31))
        for name, seen in list(system.begun.items()):
            if not seen.state.is_final:
                system.show(name, State.SUCCEEDED)
        for _ in range(2):
            await self.world.later(timedelta(minutes=1))
        await self.look()

    async def assert_agreement(self) -> None:
        system = self.world.system
        assert await self.world.operations.list_active() == []
        for name in self.names:
            operation = await self.world.get(name)
            if name in system.begun:
                assert operation.state is system.begun[name].state
            elif operation.confirmed_at is not None:
                assert operation.state in {State.CANCELLED, State.FAILED}
                assert operation.outcome
            told = [
                entry.detail["state"] for entry in await self.world.entries(name) if "state" in entry.detail
            ]
            assert len(told) == len(set(told)), "a state was told twice"
            if operation.confirmed_at is not None:
                assert told[-1] == operation.state.value
                card = await self.world.card(name)
                assert card.wanted > 0


WHAT = st.sampled_from(
    (
        "is proposed",
        "is confirmed",
        "is confirmed",
        "is approved",
        "is approved",
        "is declined",
        "is cancelled",
        "goes on",
        "ends there",
        "loses an answer",
        "fails once",
        "goes away",
        "comes back",
        "we restart",
        "the policy changes",
        "we step",
        "we step",
        "time passes",
    )
)


@pytest.mark.timeout(240)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=st.lists(st.tuples(WHAT, st.integers(0, 5)), min_size=12, max_size=40))
def test_any_interleaving_begins_at_most_once_and_ends_as_the_system_says(migrated_sqlite, events):
    async def tell(path: Path) -> None:
        shutil.copy(migrated_sqlite, path)
        async with Database(f"sqlite+aiosqlite:///{path}") as database:
            story = Story(await open_operating(database))
            await story.happen("is proposed", 0)
            for what, which in events:
                await story.happen(what, which)
            await story.end()
            await story.assert_agreement()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(tell(Path(folder) / "machine.db"))


@pytest.mark.parametrize("clicks", range(3))
async def test_clicks_at_the_same_moment_begin_it_once(world, system, operations, clicks):
    world.access.use(a_policy(approvals=clicks))
    name = await world.propose()
    await asyncio.gather(*(operations.confirm(name, by=ADA) for _ in range(5)))
    await asyncio.gather(
        *(operations.approve(name, by=by) for by in (BOB, CY, BOB, CY) if clicks),
        operations.step(),
        return_exceptions=True,
    )
    await world.settle()

    assert system.starts == [name]
    told = [entry.detail.get("state") for entry in await world.entries(name)]
    assert told.count("started") == 1
