"""service/api_docs.py: the page runs under its own policy, and nothing else does."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Route

from service.api_docs import CDN, PATH
from tests.service.playground.visits import found_browser

SWAGGER = "window.SwaggerUIBundle = o => { document.title = o.url }; SwaggerUIBundle.presets = {};"
FOREIGN = "document.body.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with found_browser() as opened:
        yield opened


def test_the_page_has_a_policy(service_url: str) -> None:
    answer = httpx.get(f"{service_url}{PATH}")
    assert answer.status_code == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (
        "script-src https://cdn.jsdelivr.net 'sha256-" in answer.headers["content-security-policy"]
    )
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_document_says_how_to_send_a_key(service_url: str) -> None:
    document = httpx.get(f"{service_url}/v1/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["key"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert document["security"] == [{"key": []}, {}]  # or none: a service need not have keys


def test_its_scripts_run_and_others_do_not(service_url: str, browser: Browser) -> None:
    """The CDN is played by the test: CI has no internet."""
    page = browser.new_page()

    def play(route: Route) -> None:
        is_script = route.request.url.endswith(".js")
        route.fulfill(body=SWAGGER if is_script else "", content_type="text/javascript")

    page.route(f"{CDN}/**", play)
    page.goto(f"{service_url}{PATH}")
    assert page.title() == "openapi.json"
    page.evaluate(FOREIGN)
    assert page.evaluate("typeof ran") == "undefined"
    page.close()
