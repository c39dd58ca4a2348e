"""Draws the pictures of the documentation: `make pictures`, or `python -m tests.demo.pictures FOLDER`."""

import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.demo.browser import chromium, open_page, showing
from tests.demo.process import demo


def draw(folder: Path) -> None:
    """Draw one card as a phone shows it, and the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, demo() as running:
        phone = open_page(browser, running.page_url, width=600, height=1400, scale=1.5)
        screen = open_page(browser, running.page_url, height=1000)
        card = showing(phone, "KubePodCrashLooping")
        expect(card).to_contain_text("CRITICAL")
        card.screenshot(path=folder / "card.png")
        expect(showing(screen, "HighErrorRate")).to_contain_text("Acknowledged by")
        screen.screenshot(path=folder / "demo.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
