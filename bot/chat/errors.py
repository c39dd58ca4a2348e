"""What can go wrong with a message at Discord, sorted by what the sender of messages does next."""

from bot.core.errors import BrokenError, ConflictError, NotFoundError, UnavailableError


class MessageGoneError(NotFoundError):
    """The message was deleted: post it again."""


class ChannelGoneError(BrokenError):
    """The channel doesn't exist (any more): use another one."""

    def __init__(self, channel_id: int) -> None:
        super().__init__(f"The channel {channel_id} does not exist in Discord.")
        self.channel_id = channel_id


class ChannelForbiddenError(BrokenError):
    """The bot lacks a permission in the channel: use another one, and say so."""

    def __init__(self, channel_id: int) -> None:
        super().__init__(f"Discord does not let the bot write in the channel {channel_id}.")
        self.channel_id = channel_id


class MessageRejectedError(BrokenError):
    """Discord refuses the message as it is: the same one will never be taken."""


class EditLimitedError(UnavailableError):
    """Discord takes no more for now, and has done nothing: try again after `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"Discord's rate limit allows the next request in {retry_after:.1f} s.")
        self.retry_after = retry_after


class ThreadArchivedError(UnavailableError):
    """The thread is archived: take it out of the archive, then try again."""

    def __init__(self, thread_id: int) -> None:
        super().__init__(f"The thread {thread_id} is archived.")
        self.thread_id = thread_id


class ThreadLockedError(UnavailableError):
    """A moderator locked the thread: only who may manage threads writes in it, or opens it."""

    def __init__(self, thread_id: int) -> None:
        super().__init__(f"The thread {thread_id} is locked.")
        self.thread_id = thread_id


class ThreadExistsError(ConflictError):
    """The message has a thread already; its id is the message's."""


class DiscordUnavailableError(UnavailableError):
    """Discord is down, slow or unreachable."""

    def __init__(self, why: str, *, outcome_unknown: bool, retry_after: float | None = None) -> None:
        super().__init__(f"Discord cannot be reached: {why}.")
        self.outcome_unknown = outcome_unknown
        """Whether Discord may have done what was asked, although it did not say so."""
        self.retry_after = retry_after
        """Seconds for which asking again does harm, when Discord said so."""
