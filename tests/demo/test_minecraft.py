"""What a newcomer sees and does in the demo's #minecraft, in a browser."""

import pytest
from playwright.sync_api import expect

from tests.demo.browser import answered, open_page, run_command, saying

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def games(browser, shared):
    opened = open_page(browser, shared.games_url)
    yield opened
    opened.close()


def test_a_server_is_started_watched_and_shown_on_the_board(games):
    board = saying(games, "Minecraft")
    expect(board).to_contain_text("survival  online")
    board.get_by_role("button", name="Start creative").click()
    answered(games, "Start creative?").get_by_role("button", name="Confirm").click()
    expect(saying(games, "Starting creative")).to_contain_text("waiting for")
    expect(board).to_contain_text("creative  starting")
    expect(saying(games, "Started creative")).to_contain_text("It answers after")
    expect(board).to_contain_text("creative  online")
    expect(board).to_contain_text("on 2 servers")


def test_a_request_is_granted_and_the_past_is_a_picture(games):
    card = saying(games, "Let SamTheBuilder onto survival?")
    card.get_by_role("button", name="Add").click()
    expect(saying(games, "ADDED · SamTheBuilder on survival")).to_contain_text("settled by @Alex")
    run_command(games, "/minecraft history", server="survival")
    past = answered(games, "the last 24 hours")
    expect(past).to_contain_text("down once, 50 min in all")
    expect(past.get_by_role("img", name="Players on survival")).to_be_visible()
