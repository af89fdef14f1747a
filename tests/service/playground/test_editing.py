"""Edits by clicks: the page shows what the API answers."""

from playwright.sync_api import expect

from tests.service.playground.visits import Visit, frames_of

SMILE = {"attribute": "smile", "target": "smiling"}
BLOND = {"attribute": "hair", "target": "blond"}
SEED = {"seed": 27}  # the first one


def test_the_first_sight_is_a_picture_with_its_scores(visit: Visit) -> None:
    visit.open()
    nothing = {**SMILE, "steps": 0}
    assert visit.strip() == [visit.picture()] == frames_of(visit.url, source=SEED, edits=[nothing])
    scores = visit.page.locator(".percent").all_text_contents()
    assert len(scores) == 7
    assert all(text.endswith(" %") for text in scores)


def test_a_click_edits(visit: Visit) -> None:
    visit.open()
    visit.choose("smile", "smiling")
    expected = frames_of(visit.url, source=SEED, edits=[SMILE])
    assert visit.strip() == expected
    assert visit.picture("before") == expected[0]
    assert visit.picture() == expected[-1]
    card = visit.attribute("smile")
    expect(card.get_by_role("radio", name="smiling", exact=True)).to_be_checked()
    expect(card.locator(".report")).to_contain_text("Masked 3 of 16 channels for age")
    expect(visit.page.locator("#status")).to_contain_text("7 frames")


def test_a_second_click_takes_the_edit_back(visit: Visit) -> None:
    visit.open()
    start = visit.picture()
    visit.choose("smile", "smiling")
    assert visit.picture() != start
    visit.choose("smile", "smiling")
    assert visit.picture() == start
    expect(visit.page.locator("#strip img")).to_have_count(1)
    visit.choose("age", "old")
    visit.page.get_by_role("button", name="Clear all edits").click()
    visit.settle()
    assert visit.picture() == start


def test_edits_are_applied_in_the_order_of_the_chain(visit: Visit) -> None:
    visit.open()
    visit.choose("smile", "smiling")
    visit.choose("hair", "blond")
    assert visit.strip() == frames_of(visit.url, source=SEED, edits=[SMILE, BLOND])
    earlier = visit.page.get_by_role("button", name="blond: earlier")
    earlier.click()
    visit.settle()
    assert visit.strip() == frames_of(visit.url, source=SEED, edits=[BLOND, SMILE])
    expect(visit.attribute("hair").locator(".badge")).to_have_text("1")
    visit.page.get_by_role("button", name="blond: remove").click()
    visit.settle()
    assert visit.strip() == frames_of(visit.url, source=SEED, edits=[SMILE])


def test_every_knob_reaches_the_service(visit: Visit) -> None:
    visit.open("#model=tiny-style")
    visit.choose("smile", "smiling")
    card = visit.attribute("smile")
    card.get_by_text("Fine control").click()
    card.get_by_label("Steps").fill("9")
    card.get_by_label("Step size").fill("30")  # twentieths of the card's
    card.get_by_label("Last layer").fill("3")
    card.get_by_label("First layer").fill("1")
    card.get_by_label("age", exact=True).uncheck()
    card.get_by_label("hair", exact=True).check()
    card.get_by_label("Channels masked for hair").fill("5")
    card.get_by_label("Stop when sure").check()
    card.get_by_label("Probability to stop at").fill("0.9")
    visit.settle()
    edit = {
        **SMILE,
        "steps": 9,
        "step_size": 0.75,
        "layers": [1, 4],
        "exclude": [{"attribute": "hair", "top_k": 5}],
        "stop": {"probability": 0.9},
    }
    expected = frames_of(visit.url, model="tiny-style", source=SEED, edits=[edit])
    assert visit.strip() == expected
    card.get_by_role("button", name="Reset to defaults").click()
    visit.settle()
    assert visit.strip() == frames_of(visit.url, model="tiny-style", source=SEED, edits=[SMILE])


def test_shuffle_model_class_and_truncation(visit: Visit) -> None:
    visit.open()
    first = visit.picture()
    visit.page.get_by_role("button", name="Shuffle").click()
    visit.settle()
    seed = {"seed": int(visit.page.get_by_role("spinbutton", name="Seed").input_value())}
    assert visit.picture() != first
    visit.page.get_by_role("combobox", name="Model").select_option("tiny-cond")
    visit.settle()
    visit.page.get_by_label("Class").fill("2")
    visit.page.get_by_text("About this model").click()
    visit.page.get_by_label("Truncation").fill("0.5")
    visit.settle()
    visit.choose("age", "old")
    assert visit.strip() == frames_of(
        visit.url,
        model="tiny-cond",
        source={**seed, "class_label": 2},
        truncation=0.5,
        edits=[{"attribute": "age", "target": "old"}],
    )


def test_before_split_after_and_the_frames_between(visit: Visit) -> None:
    visit.open("#edit=smile/smiling")
    page, stage = visit.page, visit.page.locator("#stage")
    frames = visit.strip()
    expect(page.locator("#before")).not_to_be_visible()
    page.get_by_role("radio", name="Before").check()
    expect(page.locator("#after")).not_to_be_visible()
    page.get_by_role("radio", name="Split").check()
    expect(page.locator("#before")).to_be_visible()
    box = stage.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, y, steps=4)
    page.mouse.up()
    expect(stage).to_have_css("--split", "25%")
    page.locator("#strip label").nth(2).click()
    assert visit.picture() == frames[2]
    assert page.locator("#after").get_attribute("alt") == page.locator("#strip input").nth(
        2
    ).get_attribute("aria-label")


def test_a_refused_edit_says_why_and_the_next_one_works(visit: Visit) -> None:
    visit.open("#edit=smile/smiling/exclude=age:16")
    problem = visit.page.get_by_role("alert")
    expect(problem).to_contain_text("no_editable_channels")
    expect(visit.attribute("smile")).to_have_class("attribute active refused")
    visit.attribute("smile").get_by_text("Fine control").click()
    visit.attribute("smile").get_by_label("Channels masked for age").fill("4")
    visit.settle()
    expect(problem).to_be_hidden()
    expect(visit.attribute("smile")).to_have_class("attribute active")
    visit.complaints.clear()  # the browser itself reports every 4xx
