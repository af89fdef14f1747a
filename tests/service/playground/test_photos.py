"""Photos by upload, drop and paste; and files that are none."""

import base64
import io
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.service.playground.visits import STREAM, Visit, frames_of

TAKE = """({base64, event, target}) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const file = new File([bytes], "given.png", {type: "image/png"});
    const data = new DataTransfer();
    data.items.add(file);
    const made = event === "drop"
        ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
    document.body.dispatchEvent(made);
}"""
SMILE = {"attribute": "smile", "target": "smiling"}
BAD = {
    "empty.png": b"",
    "page.png": b"<!doctype html><title>not a picture</title>",
    "cut.png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
}


def png(size: int = 48, noise: int = 48) -> bytes:
    """A black square of `size` pixels with noise in a corner, which makes the file large."""
    picture = Image.new("RGB", (size, size))
    picture.paste(Image.effect_noise((noise, noise), 90), (0, 0))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def refusal(url: str, content: bytes) -> dict[str, Any] | None:
    """What the API says to the same file; None if it takes it."""
    body = {
        "model": "tiny",
        "source": {"image": base64.b64encode(content).decode()},
        "edits": [{"attribute": "smile", "target": "not_smiling", "steps": 0}],
    }
    answer = httpx.post(f"{url}{STREAM}", json=body, timeout=60)
    return None if answer.status_code == 200 else answer.json()["error"]


def upload(visit: Visit, name: str, content: bytes) -> None:
    visit.page.locator("#upload").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_answered_with_the_typed_error(visit: Visit, name: str) -> None:
    expected = refusal(visit.url, BAD[name])
    assert expected is not None
    visit.open()
    first = visit.picture()
    upload(visit, name, BAD[name])
    problem = visit.page.get_by_role("alert")
    expect(problem).to_contain_text(expected["code"])
    expect(problem).to_contain_text(expected["message"])
    expect(visit.page.locator("#stage")).to_have_attribute("data-stale", "true")
    visit.page.get_by_role("button", name="Back to seeds").click()
    visit.settle()
    expect(problem).to_be_hidden()
    assert visit.picture() == first
    visit.complaints.clear()  # the browser itself reports every 4xx


@pytest.mark.parametrize("way", ["upload", "drop", "paste"])
def test_a_photo_is_sent_as_it_is(visit: Visit, way: str) -> None:
    visit.open()
    content = png()
    with visit.page.expect_request(f"**{STREAM}") as asked:
        if way == "upload":
            upload(visit, "given.png", content)
        else:
            encoded = base64.b64encode(content).decode()
            visit.page.evaluate(TAKE, {"base64": encoded, "event": way})
    sent = asked.value.post_data_json
    assert sent is not None
    assert base64.b64decode(sent["source"]["image"]) == content
    assert "inversion" not in sent
    expect(visit.page.locator("#photo-name")).to_have_text("given.png")
    expect(visit.page.locator("#photo-thumb")).to_be_visible()
    visit.settle()
    if refused := refusal(visit.url, content):
        expect(visit.page.get_by_role("alert")).to_contain_text(refused["message"])
        visit.complaints.clear()
    else:
        expect(visit.page.locator("#status")).to_contain_text("photo matched at")
    assert "given" not in visit.page.url


def test_a_photo_is_edited_like_a_seed(visit: Visit) -> None:
    photo = frames_of(visit.url, source={"seed": 4}, edits=[{**SMILE, "steps": 0}])[0]
    visit.open("#edit=age/old")
    visit.slow_down(latency_ms=4000)  # so that the second wish comes during the search
    before = visit.streams()
    upload(visit, "own.png", photo)
    status = visit.page.locator("#status")
    expect(status).to_contain_text("Looking for the photo")
    visit.choose_soon("smile", "smiling")
    visit.page.wait_for_timeout(600)  # longer than a wish waits for the next one
    expect(status).to_contain_text("Looking for the photo")
    assert visit.streams() - before == 1  # it does not start the search again
    visit.settle()
    assert visit.streams() - before == 2
    expect(status).to_contain_text("photo matched at")
    image = base64.b64encode(photo).decode()
    edits = [{"attribute": "age", "target": "old"}, SMILE]
    assert visit.strip() == frames_of(visit.url, source={"image": image}, edits=edits)


def test_how_the_photo_is_drawn_again_can_be_chosen(visit: Visit) -> None:
    visit.open()
    upload(visit, "given.png", png())
    with visit.page.expect_request(lambda one: '"inversion"' in (one.post_data or "")) as asked:
        visit.page.get_by_role("combobox", name="How the photo").select_option("Fast")
    sent = asked.value.post_data_json
    assert sent is not None
    assert sent["inversion"] == {"mode": "encoder"}
    visit.settle()
    visit.complaints.clear()  # a model without inversion refuses it


def test_a_large_photo_is_made_smaller_before_it_is_sent(visit: Visit) -> None:
    visit.open()
    content = png(1800, 760)
    assert len(content) > 1_000_000
    with visit.page.expect_request(f"**{STREAM}") as asked:
        upload(visit, "large.png", content)
    sent = asked.value.post_data_json
    assert sent is not None
    image = Image.open(io.BytesIO(base64.b64decode(sent["source"]["image"])))
    assert (image.format, image.size) == ("JPEG", (1536, 1536))
    visit.settle()
    visit.complaints.clear()  # a model without inversion refuses it
