"""How soon somebody who starts the demo sees a card in a browser, and how soon Ctrl-C ends it."""

import asyncio
import time
from collections.abc import AsyncIterator

from tests.bench.figures import Figure, at_most
from tests.demo.browser import chromium, find_chromium, open_page, showing
from tests.demo.process import demo

_TIMES = 3


async def measure() -> AsyncIterator[Figure]:
    """Start it several times, and look at each; nothing where no browser is."""
    if find_chromium() is None:
        return
    seen, ended, blank = await asyncio.to_thread(_look)
    baseline = f"an empty page: {blank:.2f} s"
    yield at_most("demo: start to a card in the browser", seen, 5, "s", baseline=baseline)
    yield at_most("demo: Ctrl-C to the end", ended, 2, "s", baseline=baseline)


def _look() -> tuple[float, float, float]:
    """Return the longest that each took, in seconds."""
    seen, ended = [], []
    with chromium() as browser:
        before = time.monotonic()
        open_page(browser, "about:blank").close()
        blank = time.monotonic() - before
        for _ in range(_TIMES):
            with demo() as running:
                page = open_page(browser, running.page_url)
                showing(page, "KubePodCrashLooping")
                seen.append(time.monotonic() - running.started_at)
                page.close()
                before = time.monotonic()
                running.interrupt()
                ended.append(time.monotonic() - before)
    return max(seen), max(ended), blank
