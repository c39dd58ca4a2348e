"""Draws the pictures of the documentation: `make pictures`, or `python -m tests.demo.pictures FOLDER`."""

import sys
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.demo.browser import answered, chromium, open_page, run_command, saying, showing
from tests.demo.process import demo


def draw(folder: Path) -> None:
    """Draw cards as a phone shows them, and the whole page."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, demo() as running:
        phone = open_page(browser, running.page_url, width=600, height=1400, scale=1.5)
        screen = open_page(browser, running.page_url, height=1400)
        card = showing(phone, "KubePodCrashLooping")
        expect(card).to_contain_text("CRITICAL")
        expect(card).to_contain_text("ada synced checkout")
        _draw(card, folder / "card.png")
        expect(showing(screen, "HighErrorRate")).to_contain_text("Acknowledged by")
        screen.screenshot(path=folder / "demo.png")
        run_command(phone, "/argocd tree", app="platform")
        tree = answered(phone, "Tree of platform").locator(".component-container")
        _draw(tree, folder / "tree.png")
        _ask(phone, "storefront")
        card = saying(phone, "Syncing storefront")
        expect(card).to_contain_text("wave 2 of 4")
        _draw(card, folder / "sync.png")
        _ask(phone, "checkout")
        _draw(saying(phone, "Sync checkout?"), folder / "approval.png")
        # A page that nobody would see is drawn seldom, and one that is drawn takes time from the others.
        phone.close()
        screen.close()
        games = open_page(browser, running.games_url, width=600, height=1400, scale=1.5)
        board = saying(games, "Minecraft")
        expect(board).to_contain_text("creative  offline")
        _draw(board, folder / "minecraft-board.png")
        run_command(games, "/minecraft history", server="survival")
        past = answered(games, "the last 24 hours").locator(".component-container")
        picture = past.get_by_role("img", name="Players on survival").element_handle()
        games.wait_for_function("picture => picture.naturalWidth > 0", arg=picture)
        _draw(past, folder / "minecraft-history.png")


def _ask(page: Page, app: str) -> None:
    """Ask for a sync, and confirm it."""
    run_command(page, "/argocd sync", app=app)
    answered(page, f"Sync {app}?").get_by_role("button", name="Confirm").click()


def _draw(card: Locator, file: Path) -> None:
    # A button below the pointer has another colour.
    card.page.mouse.move(0, 0)
    card.screenshot(path=file)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
