"""A person at the playground: a real browser on a real service, and what is to be seen there."""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect, sync_playwright

INSTALL = "needs Chromium: apt-get install chromium"
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
STREAM = "/v1/edit/stream"


def chromium() -> str | None:
    """Debian's browser, or another build of it."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def found_browser() -> Iterator[Browser]:
    """Headless Chromium; skips where there is none."""
    found = chromium()
    if found is None:
        pytest.skip(INSTALL)
    with browsing(found) as opened:
        yield opened


@contextmanager
def browsing(executable: str) -> Iterator[Browser]:
    """A headless browser; its event loop lives as long as it does."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses to be root in one
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=sandbox)
        yield browser
        browser.close()


class Visit:
    """One tab, with everything that it complained about and every host that it asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.asked: list[str] = []  # http addresses, in order
        page.set_default_timeout(10_000)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._see(request.url))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _see(self, address: str) -> None:
        if not address.startswith(("data:", "blob:")):
            self.asked.append(address)

    def open(self, link: str = "") -> None:
        """Load the page and wait for its first edit."""
        self.page.goto(f"{self.url}/playground{link}")
        self.settle()

    def settle(self) -> None:
        """Wait until nothing runs any more."""
        expect(self.page.locator("#stage")).to_have_attribute("data-busy", "no", timeout=15_000)

    def slow_down(self, bytes_per_s: int = -1, latency_ms: int = 0) -> None:
        """Give the tab a narrow or a long line from now on."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        limits = {"offline": False, "latency": latency_ms, "uploadThroughput": -1}
        session.send(
            "Network.emulateNetworkConditions", {**limits, "downloadThroughput": bytes_per_s}
        )

    def attribute(self, name: str) -> Locator:
        """The controls of an attribute."""
        return self.page.locator(f'.attribute[data-attribute="{name}"]')

    def choose_soon(self, attribute: str, target: str) -> None:
        """Click a class."""
        name = target.replace("_", " ")
        self.attribute(attribute).locator(".chip").get_by_text(name, exact=True).click()

    def choose(self, attribute: str, target: str) -> None:
        """Click a class and wait for the edit."""
        self.choose_soon(attribute, target)
        self.settle()

    def picture(self, which: str = "after") -> bytes:
        """The encoded image that is shown as before or after."""
        return _encoded(self.page.locator(f"#{which}").get_attribute("src"))

    def strip(self) -> list[bytes]:
        """The frames of the film strip."""
        images = self.page.locator("#strip img").all()
        return [_encoded(image.get_attribute("src")) for image in images]

    def streams(self) -> int:
        """How many edits the page has asked for."""
        return sum(address.endswith(STREAM) for address in self.asked)


def _encoded(source: str | None) -> bytes:
    assert source is not None
    return base64.b64decode(source.partition(",")[2])


def frames_of(url: str, **body: Any) -> list[bytes]:
    """What /v1/edit answers to the same wish."""
    answer = httpx.post(f"{url}/v1/edit", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(frame["image"]) for frame in answer.json()["frames"]]
