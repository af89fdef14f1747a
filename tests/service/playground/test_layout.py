"""Narrow and wide, light and dark, still for those who ask for it."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.servers import ROOT
from tests.service.playground.visits import Visit

LINK = "#model=tiny-style&edit=smile/smiling&edit=age/old&edit=hair/blond"
LEAST_CONTRAST = 4.5  # WCAG AA
PAIRS = [
    ("ink", "paper"),
    ("ink", "surface"),
    ("soft", "paper"),
    ("soft", "surface"),
    ("soft", "sunk"),
    ("accent-ink", "accent"),
    ("ink", "accent-wash"),
    ("soft", "accent-wash"),
    ("bad", "bad-wash"),
    ("soft", "bad-wash"),
]


@pytest.mark.parametrize("width", [320, 360, 390, 768, 821, 1280, 1920])
def test_nothing_is_wider_than_the_window(browser: Browser, service_url: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700}, has_touch=True)
    visit = Visit(context.new_page(), service_url)
    visit.open(LINK)
    for summary in visit.page.locator("summary").all():
        summary.click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.get_by_role("button", name="Code").click()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_names_of_classes_are_whole(browser: Browser, service_url: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 700})
    visit = Visit(context.new_page(), service_url)
    visit.open()
    names = visit.page.locator(".chip .name")
    expect(names.filter(has_text="brown")).to_be_visible()
    cut = "names => names.filter(name => name.scrollWidth > name.clientWidth).map(n => n.innerText)"
    assert names.evaluate_all(cut) == []
    context.close()


def test_on_a_phone_the_picture_stays_in_sight_of_the_edits(
    browser: Browser, service_url: str
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    visit = Visit(context.new_page(), service_url)
    visit.open(LINK)
    visit.attribute("hair").scroll_into_view_if_needed()
    visit.page.mouse.wheel(0, 600)
    expect(visit.page.locator("#stage")).to_be_in_viewport(ratio=0.99)
    context.close()


def test_motion_can_be_reduced(browser: Browser, service_url: str) -> None:
    context = browser.new_context(reduced_motion="reduce")
    visit = Visit(context.new_page(), service_url)
    visit.open()
    expect(visit.page.locator(".chip").first).to_have_css("transition-property", "none")
    context.close()


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_texts_stand_out(theme: int, text: str, ground: str) -> None:
    style = (ROOT / "service" / "playground" / "page.css").read_text()
    light, dark = (dict(re.findall(r"--([a-z-]+): (#\w{6});", part)) for part in halves(style))
    colours = {**light, **(dark if theme else {})}
    first, second = (luminance(colours[name]) + 0.05 for name in (text, ground))
    assert max(first, second) / min(first, second) >= LEAST_CONTRAST


def halves(style: str) -> tuple[str, str]:
    light, _, rest = style.partition("@media (prefers-color-scheme: dark)")
    return light, rest


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb, as WCAG has it."""
    values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
