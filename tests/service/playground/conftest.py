"""A browser for the tests of this folder, and a tab for each of them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.service.playground.visits import DESKTOP, Visit, found_browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Headless Chromium; gone after this folder, because its event loop would hinder others."""
    with found_browser() as opened:
        yield opened


@pytest.fixture
def visit(browser: Browser, service_url: str) -> Iterator[Visit]:
    """A new tab on the service; it must stay on its host and have nothing to complain about."""
    context = browser.new_context(viewport=DESKTOP, permissions=["clipboard-read"])
    visit = Visit(context.new_page(), service_url)
    yield visit
    context.close()
    assert all(address.startswith(f"{service_url}/") for address in visit.asked), visit.asked
    assert visit.complaints == []
