"""Errors, sorted by what their reader should do next rather than by where they arose.

The text of every `MachineError` is safe to show to a person: it holds no token,
no secret value and no raw text from outside.
"""


class MachineError(Exception):
    """Something went wrong that has a sentence for the person who reads it."""


class RefusedError(MachineError):
    """The asker can change something: they are told privately, and it is logged at info."""


class NotAllowedError(RefusedError):
    """The policy does not let this person do this; the text names the missing grant."""


class NotFoundError(RefusedError):
    """The thing that was named does not exist (any more)."""


class InvalidError(RefusedError):
    """What was given cannot be understood; the text says what was expected."""


class ConflictError(RefusedError):
    """Somebody else holds it or was faster; the text says who."""


class UnavailableError(MachineError):
    """A system outside is down or slow: may be retried, logged once down and once back."""


class BrokenError(MachineError):
    """A system outside answers nonsense or forbids us: not retried, logged at error."""


class LostLeadershipError(MachineError):
    """Another process leads now: the leading stack of this one must stop at once."""
