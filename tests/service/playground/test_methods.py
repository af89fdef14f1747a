"""An edit by other methods than the default: fewer knobs, and frames that no classifier reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from model_store import METHODS, StoredModel
from tests.servers import running_server
from tests.service.playground.visits import DESKTOP, Visit, frames_of

SEED = {"seed": 27}
OLD: dict[str, Any] = {"attribute": "age", "target": "old"}


@pytest.fixture(scope="module")
def address(
    tiny_lines: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A service with a StyleGAN that has directions of every baseline."""
    log = tmp_path_factory.mktemp("playground-methods") / "log.txt"
    with running_server(bentoml_home, log, "--models", tiny_lines.card.name) as url:
        yield url


@pytest.fixture
def lines(browser: Browser, address: str) -> Iterator[Visit]:
    """A tab on it that has nothing to complain about."""
    context = browser.new_context(viewport=DESKTOP)
    visit = Visit(context.new_page(), address)
    visit.open()
    yield visit
    context.close()
    assert visit.complaints == []


def knob(card: Locator, name: str) -> Locator:
    """A knob behind "Fine control" by the words on it."""
    return card.locator(".fine .knob, .fine .exclusions").filter(has_text=name).first


def test_every_method_of_the_model_edits(lines: Visit) -> None:
    lines.choose("age", "old")
    card = lines.attribute("age")
    card.get_by_text("Fine control").click()
    offered = card.get_by_label("Method").locator("option").all()
    assert [one.get_attribute("value") for one in offered] == list(METHODS)
    for method in METHODS[1:]:
        card.get_by_label("Method").select_option(method)
        lines.settle()
        expected = frames_of(lines.url, source=SEED, edits=[{**OLD, "method": method}])
        assert lines.strip() == expected, method


def test_knobs_that_a_method_refuses_go_with_what_they_said(lines: Visit) -> None:
    lines.open("#model=tiny-lines&seed=27&edit=age/old/steps=3/stop=0.9/layers=1-3/exclude=smile:2")
    card = lines.attribute("age")
    card.get_by_text("Fine control").click()
    for name in ("Stop when sure", "Layers", "Keep unchanged"):
        expect(knob(card, name)).to_be_visible()
    card.get_by_label("Method").select_option("stylespace")
    lines.settle()
    for name in ("Stop when sure", "Layers", "Keep unchanged"):
        expect(knob(card, name)).to_be_hidden()
    expect(knob(card, "Step size")).to_contain_text("1")
    wanted = {**OLD, "steps": 3, "method": "stylespace"}
    assert lines.strip() == frames_of(lines.url, source=SEED, edits=[wanted])
    card.get_by_label("Method").select_option("gradctrl")
    lines.settle()
    expect(knob(card, "Layers")).to_be_visible()
    assert lines.strip() == frames_of(lines.url, source=SEED, edits=[{**OLD, "steps": 3}])


def test_frames_without_scores_say_so(lines: Visit) -> None:
    lines.open("#model=tiny-lines&seed=27&edit=age/old/steps=2/method=stylespace")
    card = lines.attribute("age")
    expect(card.locator(".report")).to_have_text(
        "Styles moved in 2 steps; the classifiers cannot read them."
    )
    assert card.locator(".percent").all_text_contents() == ["–", "–"]
    lines.page.locator("#strip label").first.click()  # the start can be read
    assert all("%" in text for text in card.locator(".percent").all_text_contents())


def test_an_order_that_the_service_refuses_marks_the_edit(lines: Visit) -> None:
    lines.open("#model=tiny-lines&seed=27&edit=age/old/method=stylespace&edit=smile/smiling")
    expect(lines.attribute("smile")).to_have_class("attribute active refused")
    expect(lines.page.locator("#problem")).to_contain_text("cannot follow stylespace")
    lines.complaints.clear()  # the browser tells of the answer 400
