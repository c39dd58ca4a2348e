"""What a newcomer can ask of Argo CD in the demo, in a browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.demo.browser import answered, run_command, saying, showing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def bar_of(card):
    """The per cent that a progress card shows, and None while it shows no bar."""
    found = re.search(r"[█░]{20}\s+(\d+) %", card.inner_text())
    return int(found[1]) if found else None


def test_a_sync_is_asked_for_confirmed_and_watched_to_its_end(page):
    run_command(page, "/argocd sync", app="storefront")
    preview = answered(page, "Sync storefront?")
    expect(preview).to_contain_text("Sell gift cards")
    expect(preview).to_contain_text("resources differ")
    preview.get_by_role("button", name="Confirm").click()

    running = saying(page, "Syncing storefront")
    expect(running).to_contain_text("wave")
    shown = set()
    ended = page.get_by_text("Everything is applied at")
    while not ended.count():
        if page.get_by_role("heading", name="Syncing storefront").count():
            shown.add(bar_of(running))
        page.wait_for_timeout(200)
    moved = sorted(shown - {None})
    assert len(moved) >= 3
    assert moved[0] < 50 < moved[-1]
    done = saying(page, "Synced storefront")
    expect(done).to_contain_text("asked by @Alex")
    expect(done).to_contain_text("it is Healthy")
    expect(done).not_to_contain_text("█")


def test_production_waits_for_a_second_person_and_then_its_alert_is_over(page):
    showing(page, "KubePodCrashLooping")
    run_command(page, "/argocd sync", app="checkout")
    preview = answered(page, "Sync checkout?")
    expect(preview).to_contain_text("needs 1 approval")
    preview.get_by_role("button", name="Confirm").click()
    card = saying(page, "Sync checkout?")
    card.get_by_role("button", name="Approve").click()
    answered(page, "somebody else must approve")
    page.locator("#viewer-picker").select_option(label="Sam")
    card.get_by_role("button", name="Approve").click()

    expect(saying(page, "Synced checkout")).to_contain_text("approved by @Sam")
    expect(showing(page, "KubePodCrashLooping")).to_contain_text("RESOLVED")


def test_the_card_of_an_alert_shows_the_deployment_before_it(shared_page):
    card = showing(shared_page, "KubePodCrashLooping")
    expect(card).to_contain_text("Changed here")
    expect(card).to_contain_text("ada synced checkout")
    story = saying(shared_page, "DEGRADED · checkout")
    expect(story).to_contain_text("deployed by ada")


def test_what_deploys_itself_is_in_the_journal(shared_page):
    run_command(shared_page, "/machine changes")
    expect(answered(shared_page, "What changed")).to_contain_text("Argo CD synced api")


def test_an_application_is_looked_at(shared_page):
    run_command(shared_page, "/argocd status", app="checkout")
    answer = answered(shared_page, "DEGRADED")
    expect(answer).to_contain_text("Forget sessions that are over")
    answer.get_by_role("button", name="Diff").click()
    expect(answered(shared_page, "What a sync of checkout would change")).to_contain_text("+  content: 1.9.1")


def test_a_tree_is_shown_by_wave(shared_page):
    run_command(shared_page, "/argocd tree", app="platform")
    answer = answered(shared_page, "Tree of platform")
    expect(answer).to_contain_text(re.compile("cert-manager.*ingress-nginx.*monitoring", re.DOTALL))


def test_the_bots_own_application_is_refused_and_the_page_goes_on(shared_page):
    run_command(shared_page, "/argocd sync", app="the-machine")
    answered(shared_page, "deploys this bot")
    run_command(shared_page, "/alerts list")
    answered(shared_page, "NodeDiskFillingUp")
