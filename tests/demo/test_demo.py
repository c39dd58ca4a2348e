"""The demo as a newcomer meets it: a terminal, a browser, a shell."""

import re
import subprocess
import time

import pytest
from playwright.sync_api import expect

from tests.demo.browser import run_command, showing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_card_is_seen_after_the_start(shared_page):
    showing(shared_page, "KubePodCrashLooping")


def test_pressing_acknowledge_shows_who_looks_at_it(shared_page):
    card = showing(shared_page, "KubePodCrashLooping")
    card.get_by_role("button", name="Acknowledge", exact=True).click()
    expect(card).to_contain_text("Acknowledged by @Alex")
    expect(card.get_by_role("button", name="Unacknowledge")).to_be_visible()


def test_an_incident_gets_worse_and_calls_while_one_looks(page):
    card = showing(page, "KubePodCrashLooping")
    expect(card).to_contain_text("CRITICAL")
    expect(card).to_contain_text("3 alerts")
    expect(page.locator(".channel-message").last).to_contain_text("@oncall")


def test_who_has_no_grant_is_told_which_one_is_missing(shared_page):
    shared_page.locator("#viewer-picker").select_option(label="Robin")
    expect(shared_page.locator("#viewer-picker option:checked")).to_have_text("Robin")
    card = showing(shared_page, "NodeDiskFillingUp")
    card.get_by_role("button", name="Unacknowledge").click()
    answer = shared_page.locator(".channel-message", has_text="Only you can see this")
    expect(answer).to_contain_text("alerts:unack")
    expect(card).to_contain_text("Acknowledged by @Sam")


def test_a_command_is_typed_in_the_page(shared_page):
    run_command(shared_page, "/alerts list")
    answer = shared_page.locator(".channel-message", has_text="Only you can see this")
    expect(answer).to_contain_text("NodeDiskFillingUp")
    expect(answer).not_to_contain_text("TargetDown")


def test_the_printed_line_posts_an_alert_and_another_one_the_next_time(shared, shared_page):
    for pods in (1, 2):
        posted = subprocess.run(
            ["/bin/sh", "-c", shared.curl], capture_output=True, text=True, timeout=30, check=False
        )
        assert re.fullmatch(r'\{"id":\d+\}\n', posted.stdout), posted
        expect(showing(shared_page, "HelloFromCurl")).to_contain_text(f"{pods} alert")
        # The line calls its pod by the second.
        second = int(time.time())
        while int(time.time()) == second:
            shared_page.wait_for_timeout(50)


def test_ctrl_c_ends_it_without_a_word_of_an_error(running, page):
    showing(page, "KubePodCrashLooping")
    assert running.interrupt() == 0
    assert running.complaints.read_text() == ""
    assert "The demo has ended." in running.process.stdout.read()


def test_closing_the_page_by_its_menu_ends_it(running, page):
    showing(page, "KubePodCrashLooping")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="End preview session").click()
    assert running.process.wait(30) == 0
