"""What people ask about Applications and have done with them."""

from bot.argocd.views import (
    Differences,
    Grown,
    Listing,
    Past,
    Refreshed,
    SetListing,
    SetRefreshed,
    SetStanding,
    Standing,
    Suggestion,
    Wanted,
)
from bot.core.actor import Actor
from bot.operations.model import Operation


class ArgoCd:
    """The use cases. `name` is `<namespace>/<name>`, or a name that only one has; access is checked here."""

    async def list_applications(self, wanted: Wanted, *, by: Actor) -> Listing:
        """Return the Applications that fit and that the asker may see, those that need somebody first."""
        raise NotImplementedError

    async def status(self, name: str, *, by: Actor) -> Standing:
        """Return everything about an Application, read at this moment."""
        raise NotImplementedError

    async def tree(self, name: str, *, by: Actor) -> Grown:
        """Return an Application with all that it applies, by wave."""
        raise NotImplementedError

    async def history(self, name: str, *, by: Actor) -> Past:
        """Return what was deployed, newest first."""
        raise NotImplementedError

    async def diff(self, name: str, *, by: Actor) -> Differences:
        """Return what a sync would change."""
        raise NotImplementedError

    async def refresh(self, name: str, *, hard: bool = False, by: Actor) -> Refreshed:
        """Have Argo CD compare again, and wait for it, at most a minute."""
        raise NotImplementedError

    async def propose_sync(
        self,
        name: str,
        *,
        by: Actor,
        channel_id: int,
        revision: str = "",
        prune: bool = False,
        dry_run: bool = False,
        resources: str = "",
    ) -> Operation:
        """Return a sync to confirm; `resources` are names as completion gives them, with commas between.

        Raises:
            RefusedError: It cannot be synced now, or not so; the text says why.
        """
        raise NotImplementedError

    async def propose_tree_sync(
        self, name: str, *, by: Actor, channel_id: int, prune: bool = False
    ) -> Operation:
        """Return the sync of an Application and of all below it, wave by wave, to confirm."""
        raise NotImplementedError

    async def propose_rollback(
        self, name: str, history_id: str, *, by: Actor, channel_id: int, prune: bool = False
    ) -> Operation:
        """Return a rollback to confirm; `history_id` is a number of the history."""
        raise NotImplementedError

    async def terminate(self, name: str, *, by: Actor, channel_id: int) -> Operation:
        """End the sync that runs: ours at once, which is returned; somebody else's is returned to confirm."""
        raise NotImplementedError

    async def list_sets(self, *, by: Actor) -> SetListing:
        """Return the ApplicationSets that the asker may see."""
        raise NotImplementedError

    async def set_status(self, name: str, *, by: Actor) -> SetStanding:
        """Return everything about an ApplicationSet."""
        raise NotImplementedError

    async def refresh_set(self, name: str, *, by: Actor) -> SetRefreshed:
        """Have an ApplicationSet make its Applications anew, and wait for it, at most a minute."""
        raise NotImplementedError

    def complete(self, typed: str, *, by: Actor, action: str = "argocd:status") -> list[Suggestion]:
        """Return Applications that fit what was typed, the best first; at most 25. Nothing is requested."""
        raise NotImplementedError

    def complete_project(self, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return projects."""
        raise NotImplementedError

    def complete_set(self, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return ApplicationSets."""
        raise NotImplementedError

    def complete_resources(self, name: str, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return resources of an Application for what comes after the last comma."""
        raise NotImplementedError

    def complete_history(self, name: str, typed: str, *, by: Actor) -> list[Suggestion]:
        """Return entries of the history that one can roll back to, newest first."""
        raise NotImplementedError
