"""A link is the whole state: another browser shows the same picture."""

import pytest
from playwright.sync_api import Browser, expect

from tests.service.playground.visits import Visit

LINK = (
    "#model=tiny-style&seed=5&truncation=0.55&edit=smile/smiling/steps=4/step_size=0.25"
    "/layers=1-4/exclude=age:3,hair:2&edit=hair/blond/stop=0.9/exclude=none"
)


def test_a_link_opens_what_was_shared(visit: Visit, browser: Browser) -> None:
    visit.open("#model=tiny-style&seed=11")
    visit.choose("smile", "smiling")
    visit.choose("hair", "blond")
    visit.attribute("hair").get_by_label("Steps").fill("4")
    visit.settle()
    visit.page.get_by_role("button", name="Copy link").click()
    expect(visit.page.get_by_text("Link copied.")).to_be_visible()
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied == visit.page.url
    context = browser.new_context()
    other = Visit(context.new_page(), visit.url)
    other.open(copied.partition("/playground")[2])
    assert other.strip() == visit.strip()
    assert other.picture() == visit.picture()
    visit.page.reload()
    visit.settle()
    assert visit.strip() == other.strip()
    context.close()


def test_a_link_survives_being_read_and_written(visit: Visit) -> None:
    visit.open(LINK)
    frames = visit.strip()
    visit.choose("age", "old")
    visit.page.get_by_role("button", name="old: remove").click()
    visit.settle()
    assert visit.page.url.endswith(LINK)
    assert visit.strip() == frames


def test_a_link_pasted_into_the_same_tab_is_followed(visit: Visit) -> None:
    visit.open("#seed=1")
    first = visit.picture()
    visit.page.goto(f"{visit.url}/playground#seed=2")
    expect(visit.page.get_by_role("spinbutton", name="Seed")).to_have_value("2")
    visit.settle()
    assert visit.picture() != first


@pytest.mark.parametrize(
    ("link", "left_out"),
    [
        ("#model=gone&seed=3", "model gone"),
        ("#edit=beard/full&edit=smile/smiling", "edit beard/full"),
        ("#edit=smile/laughing", "edit smile/laughing"),
        ("#edit=smile/smiling/exclude=beard:3", "edit smile/smiling/exclude=beard:3"),
        ("#edit=smile/smiling/constructor=3", "edit smile/smiling/constructor=3"),
        ("#seed=-1", "seed=-1"),
        ("#what=<img src=x onerror=alert(1)>", "what="),
    ],
)
def test_what_a_server_does_not_have_is_left_out_and_said(
    visit: Visit, link: str, left_out: str
) -> None:
    visit.open(link)
    problem = visit.page.get_by_role("alert")
    expect(problem).to_contain_text(f"Left out: {left_out}")
    assert visit.picture()
    visit.page.get_by_role("button", name="Shuffle").click()
    expect(problem).to_be_hidden()
