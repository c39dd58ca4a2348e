"""A real browser, and what is seen and done in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import which

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

expect.set_options(timeout=30_000)

NO_CHROMIUM = "Chromium is not installed (Debian: chromium)"


def find_chromium() -> str | None:
    return os.environ.get("MACHINE_TEST_CHROMIUM") or which("chromium") or which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        raise SystemExit(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def open_page(browser: Browser, url: str, *, width: int = 1280, height: int = 900, scale: float = 1) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page.goto(url)
    return page


def showing(page: Page, title: str) -> Locator:
    """Return the card of an incident, once it is there."""
    card = page.locator(".channel-message .component-container", has_text=f"· {title}").first
    card.wait_for()
    return card


def run_command(page: Page, command: str, **options: str) -> None:
    """Type a command as one does at Discord: choose it and what it is about from what is offered, send it."""
    # Before the page has its messages it knows no commands either, and forgets what is typed.
    page.locator(".channel-message").first.wait_for()
    page.locator("#channel-composer-input").press_sequentially(command)
    page.locator(".command-entry", has_text=command).first.click()
    for name, value in options.items():
        page.locator(f".command-option-input[data-option={name}]").press_sequentially(value)
        page.locator("#command-suggestion-listbox [role=option]", has_text=value).first.click()
    page.locator("#channel-composer").get_by_role("button", name="Send").click()


def answered(page: Page, text: str) -> Locator:
    """Return the private answer that has a text in it, once it is there."""
    message = page.locator(".channel-message", has_text="Only you can see this")
    answer = message.filter(has_text=text).last
    answer.wait_for()
    return answer


def saying(page: Page, title: str) -> Locator:
    """Return the card in the channel that has this title, once it is there."""
    public = page.locator(".channel-message").filter(has_not_text="Only you can see this")
    card = public.locator(
        ".component-container", has=page.get_by_role("heading", name=title, exact=True)
    ).last
    card.wait_for()
    return card
