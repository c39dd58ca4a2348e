"""How often Python looks for garbage that holds itself: seldom, because nothing else happens meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 10_000
"""So many more objects than went: an alert of a large delivery is hundreds, and the usual 700 are one."""
_ROUNDS = 20
"""Of the young before the middle-aged, and of those before everything."""


def collect_rarely() -> None:
    """Leave alone for good what is there now, and look at what comes when much has come.

    Almost everything goes without this, when the last one that knows it lets it go.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG, _ROUNDS, _ROUNDS)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: importing leaves little, and looking is a tenth of its time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
