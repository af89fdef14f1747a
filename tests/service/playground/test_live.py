"""The stream that follows the controls: cancelled by the next one, shown while it runs."""

from playwright.sync_api import Route, expect

from tests.service.playground.visits import Visit, frames_of

SLOW_BYTES_PER_S = 40_000  # an edit of many frames takes seconds


def test_frames_are_shown_while_the_edit_runs_and_a_slider_ends_it(visit: Visit) -> None:
    visit.open()
    visit.slow_down(bytes_per_s=SLOW_BYTES_PER_S)
    ended: list[str] = []
    visit.page.on("requestfailed", lambda request: ended.append(request.post_data or ""))
    visit.choose_soon("hair", "blond")
    steps = visit.attribute("hair").get_by_label("Steps")
    steps.fill("40")
    expect(visit.page.locator("#strip img").nth(3)).to_be_visible()
    expect(visit.page.locator("#stage")).to_have_attribute("data-busy", "rendering")
    steps.fill("2")
    visit.settle()
    assert any('"steps":40' in body for body in ended)
    edit = {"attribute": "hair", "target": "blond", "steps": 2}
    assert visit.strip() == frames_of(visit.url, source={"seed": 27}, edits=[edit])


def test_a_frame_that_is_still_to_come_can_be_clicked(visit: Visit) -> None:
    visit.open("#edit=smile/smiling")
    visit.slow_down(bytes_per_s=SLOW_BYTES_PER_S)
    visit.page.get_by_role("button", name="Shuffle").click()
    visit.page.locator("#strip label").nth(6).click()
    visit.settle()
    assert visit.picture() == visit.strip()[-1]


def test_a_slider_that_moves_is_asked_for_once(visit: Visit) -> None:
    visit.open("#edit=smile/smiling")
    before = visit.streams()
    visit.page.evaluate(
        """() => {
            const steps = document.querySelector(".active input[type=range]");
            for (const value of [1, 2, 3, 4, 5, 9]) {
                steps.value = value;
                steps.dispatchEvent(new Event("input", {bubbles: true}));
            }
        }"""
    )
    visit.settle()
    assert visit.streams() == before + 1
    edit = {"attribute": "smile", "target": "smiling", "steps": 9}
    assert visit.strip() == frames_of(visit.url, source={"seed": 27}, edits=[edit])


def test_without_a_server_it_says_so_and_can_be_asked_again(visit: Visit) -> None:
    visit.open()
    first = visit.picture()
    visit.page.context.set_offline(True)
    visit.choose_soon("smile", "smiling")
    problem = visit.page.get_by_role("alert")
    expect(problem).to_contain_text("The server does not answer")
    visit.page.context.set_offline(False)
    problem.get_by_role("button", name="Try again").click()
    visit.settle()
    expect(problem).to_be_hidden()
    assert visit.picture() != first
    visit.complaints.clear()  # the browser itself reports the lost connection


def test_a_key_is_asked_for_only_when_the_server_does(visit: Visit) -> None:
    keys: list[str | None] = []

    def guard(route: Route) -> None:
        """What a server with keys would do."""
        keys.append(route.request.headers.get("authorization"))
        if keys[-1] == "Bearer secret":
            route.continue_()
            return
        error = {"code": "unauthenticated", "message": "an API key is needed"}
        route.fulfill(status=401, json={"error": error})

    page = visit.page
    page.route("**/v1/**", guard)
    page.goto(f"{visit.url}/playground")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a key")
    dialog.get_by_label("API key").fill("secret")
    with page.expect_response(lambda answer: "/v1/" in answer.url and answer.ok):
        page.keyboard.press("Enter")
    visit.settle()
    expect(dialog).to_be_hidden()
    assert keys[0] is None
    assert set(keys[1:]) == {"Bearer secret"}
    assert visit.picture()
    page.get_by_role("button", name="Code").click()
    expect(page.locator("#code-text")).to_contain_text("Bearer $GRADCTRL_API_KEY")
    assert "secret" not in page.content() + page.url
    visit.complaints.clear()  # the browser itself reports the 401


def test_without_keys_nothing_speaks_of_them(visit: Visit) -> None:
    visit.open()
    expect(visit.page.get_by_role("button", name="API key")).to_be_hidden()
