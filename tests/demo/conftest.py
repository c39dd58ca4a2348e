"""Browsers and demos for the tests that look at the page."""

import os

import pytest

from tests.demo.browser import NO_CHROMIUM, chromium, find_chromium, open_page
from tests.demo.process import demo


@pytest.fixture(scope="module")
def browser():
    if find_chromium() is None:
        if os.environ.get("CI"):
            pytest.fail(f"{NO_CHROMIUM}: CI must have it")
        pytest.skip(NO_CHROMIUM)
    with chromium() as opened:
        yield opened


@pytest.fixture
def running():
    with demo() as started:
        yield started


@pytest.fixture(scope="module")
def shared():
    """For tests that leave one another alone."""
    with demo() as started:
        yield started


@pytest.fixture
def page(browser, running):
    opened = open_page(browser, running.page_url)
    yield opened
    opened.close()


@pytest.fixture
def shared_page(browser, shared):
    opened = open_page(browser, shared.page_url)
    yield opened
    opened.close()
