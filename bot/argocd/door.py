"""Finds the Application that somebody names, and checks that they may: every use case comes through here."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from bot.access.service import Access
from bot.argocd.cluster import ArgoCluster, Fresh
from bot.argocd.model import Application, access_targets
from bot.argocd.search import Index
from bot.argocd.sets import ApplicationSet
from bot.chat.text import code
from bot.core.actor import Actor
from bot.core.errors import InvalidError, NotAllowedError, NotFoundError
from bot.database.engine import Database
from bot.journal.model import Entry, Outcome
from bot.journal.service import Journal
from bot.kube.model import NotInstalledError, ObjectKey

_MOST_NAMED: Final = 5
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}")


class Door:
    """Names in, Applications out, for those who may."""

    def __init__(self, database: Database, access: Access, journal: Journal, argo: ArgoCluster) -> None:
        """Take the leading database, the policy, and the Applications that are watched."""
        self._database = database
        self._access = access
        self._journal = journal
        self._argo = argo
        self.index = Index()
        """The names of all Applications."""
        argo.applications.on_change(self._changed)

    def _changed(self, key: ObjectKey, old: Application | None, new: Application | None) -> None:
        if new is None:
            self.index.remove(key)
        elif old is None or old.project != new.project:
            self.index.put(key, beside=new.project)

    def resolve(self, name: str) -> ObjectKey:
        """Return the Application that is meant by `<namespace>/<name>`, or by a name that only one has.

        It need not exist: one that was created a moment ago may not be known yet.

        Raises:
            InvalidError: Several have this name.
            NotFoundError: None can.
        """
        typed = name.strip()
        namespace, _, short = typed.rpartition("/")
        if namespace:
            return self._possible(ObjectKey(namespace, short))
        found = self.index.find_named(short)
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(code(str(key)) for key in found[:_MOST_NAMED])
            raise InvalidError(f"Several Applications are called {code(short)}: say which, {names}.")
        return self._possible(ObjectKey(self._argo.home, short))

    def _possible(self, key: ObjectKey) -> ObjectKey:
        places = self._argo.namespaces
        if not _NAME.fullmatch(key.name) or (places and key.namespace not in places):
            raise self._unknown(key)
        return key

    def _unknown(self, key: ObjectKey) -> NotFoundError:
        names = [each.name for each in self._argo.applications.keys()]  # noqa: SIM118 - it is no dict
        close = get_close_matches(key.name, names, n=1)
        nearest = f" Did you mean {code(close[0])}?" if close else ""
        return NotFoundError(f"There is no Application {code(str(key))}.{nearest}")

    async def read(self, name: str, *, by: Actor, action: str) -> Fresh:
        """Return an Application as it is at this moment, for somebody who may do the action to it.

        Raises:
            NotFoundError: There is none; the text says which name is nearest.
            NotAllowedError: They may not.
        """
        key = self.resolve(name)
        try:
            fresh = await self._argo.read(key)
        except NotInstalledError:
            raise
        except NotFoundError as error:
            raise self._unknown(key) from error
        detail = fresh.detail
        await self.allow(
            by, action, access_targets(detail.application, detail.labels), about=detail.application
        )
        return fresh

    def may(self, by: Actor, action: str, application: Application) -> bool:
        """Tell whether somebody may, as far as what is kept of the Application says; for lists."""
        return self._access.decide(by, action, access_targets(application)).allowed

    def approvals(self, by: Actor, action: str, application: Application) -> int:
        """Return how many others must approve, as far as what is kept of the Application says."""
        return self._access.decide(by, action, access_targets(application)).approvals

    def may_at_all(self, by: Actor, action: str) -> bool:
        """Tell whether there is anything to which somebody may do the action."""
        return self._access.decide(by, action).allowed

    async def allow(
        self, by: Actor, action: str, targets: Sequence[str] = (), *, about: Application | None = None
    ) -> None:
        """Let somebody pass, or write down that they were refused.

        Raises:
            NotAllowedError: They may not; the text names the missing grant.
        """
        try:
            self._access.check(by, action, targets)
        except NotAllowedError as refusal:
            await self.refuse(by, action, str(refusal), about=about)
            raise

    async def refuse(self, by: Actor, action: str, reason: str, *, about: Application | None = None) -> None:
        """Write down that somebody was refused."""
        async with self._database.transaction() as tx:
            await self._journal.append(
                tx, entry_about(about, by=by, action=action, outcome=Outcome.REFUSED, reason=reason)
            )

    async def record(self, entry: Entry) -> None:
        """Write down what somebody did."""
        async with self._database.transaction() as tx:
            await self._journal.append(tx, entry)


def entry_about(
    application: Application | None,
    *,
    by: Actor,
    action: str,
    outcome: Outcome = Outcome.DONE,
    reason: str = "",
    **detail: str,
) -> Entry:
    """Return an entry about an Application, or about none in particular."""
    if application is None:
        return Entry(actor=by, action=action, outcome=outcome, reason=reason, detail=detail)
    return Entry(
        actor=by,
        action=action,
        target=f"app:{application.key}",
        outcome=outcome,
        reason=reason,
        detail=detail,
        namespace=application.destination.namespace or None,
        app=str(application.key),
    )


def set_targets(application_set: ApplicationSet) -> tuple[str, ...]:
    """Return what grants can name to mean an ApplicationSet: its project, and its own name as an app's."""
    return (f"app:{application_set.key}", f"project:{application_set.project}")
