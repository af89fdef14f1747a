"""The page without a mouse, and for people who do not see it."""

from playwright.sync_api import expect

from tests.service.playground.visits import Visit, frames_of

CONTROLS = {"button", "checkbox", "combobox", "link", "radio", "slider", "spinbutton", "textbox"}


def test_an_edit_with_keys_alone(visit: Visit) -> None:
    visit.open()
    press = visit.page.keyboard.press
    press("Tab")
    press("Enter")  # skips to the edits
    press("Tab")
    press("Space")
    press("ArrowRight")  # from not smiling to smiling
    press("Tab")
    expect(visit.page.locator(":focus")).to_have_attribute("aria-label", "Remove the edit of smile")
    press("Tab")
    press("ArrowRight")
    press("ArrowRight")
    press("Tab")
    press("Enter")  # opens the fine control
    press("Tab")
    press("Home")
    visit.settle()
    edit = {"attribute": "smile", "target": "smiling", "steps": 8, "step_size": 0.025}
    frames = frames_of(visit.url, source={"seed": 27}, edits=[edit])
    assert visit.strip() == frames
    visit.page.locator("#strip :checked").focus()
    press("ArrowLeft")
    assert visit.picture() == frames[-2]
    visit.page.locator("#compare :checked").focus()
    press("ArrowLeft")
    visit.page.locator("#divider").focus()
    press("ArrowRight")
    expect(visit.page.locator("#stage")).to_have_css("--split", "51%")


def test_the_focus_stays_with_what_was_changed(visit: Visit) -> None:
    visit.open("#edit=smile/smiling&edit=age/old&edit=hair/blond")
    focus = visit.page.locator(":focus")
    earlier = visit.page.get_by_role("button", name="blond: earlier")
    earlier.focus()
    visit.page.keyboard.press("Enter")
    visit.settle()
    expect(focus).to_have_attribute("aria-label", "blond: earlier")
    visit.page.keyboard.press("Enter")
    visit.settle()
    expect(focus).to_have_attribute("id", "panel")  # it is the first now, and cannot go on
    visit.attribute("age").get_by_role("radio", name="old").focus()
    visit.page.keyboard.press("Delete")
    visit.settle()
    expect(visit.page.locator("#chain li")).to_have_count(2)
    expect(focus).to_have_attribute("aria-labelledby", "age-old")


def test_every_control_has_a_name(visit: Visit) -> None:
    visit.open("#model=tiny-style&edit=smile/smiling&edit=age/old")
    for summary in visit.page.locator("summary").all():
        if summary.is_visible():
            summary.click()
    visit.page.get_by_role("radio", name="Split").check()
    session = visit.page.context.new_cdp_session(visit.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if not node["ignored"] and node["role"]["value"] in CONTROLS
    ]
    assert len(named) > 40
    assert [role for role, name in named if not name.strip()] == []


def test_what_happens_is_said(visit: Visit) -> None:
    visit.open()
    visit.choose("smile", "smiling")
    expect(visit.page.get_by_role("status").first).to_contain_text("frames in")
    shown = visit.page.locator("#after").get_attribute("alt")
    assert shown is not None
    assert shown.startswith("Edit 1, step 6: smiling ")
