"""`python -m tests.service.playground.screenshots`: the pictures of the page in docs/images.

Takes them of `avatars` as it is in the local store, with Chromium and the font Inter
(apt-get install chromium fonts-inter).
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Browser

from tests.servers import ROOT, running_server
from tests.service.playground.visits import DESKTOP, INSTALL, PHONE, Visit, browsing, chromium

IMAGES = ROOT / "docs" / "images"
LINK = "#model=avatars&seed=27&edit=smile/smiling"
MAX_BYTES = 400_000


def take(
    output: Annotated[Path, typer.Option(help="Folder of the pictures.")] = IMAGES,
) -> None:
    """Write playground-desktop.png and playground-phone.png."""
    executable = chromium()
    if executable is None:
        raise SystemExit(INSTALL)
    home = Path(os.environ.get("BENTOML_HOME", Path.home() / "bentoml"))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        with (
            running_server(home, log, "--models", "avatars") as url,
            browsing(executable) as browser,
        ):
            desktop(browser, url, output / "playground-desktop.png")
            phone(browser, url, output / "playground-phone.png")
    for path in sorted(output.glob("playground-*.png")):
        size = path.stat().st_size
        print(f"{path.name} {size} bytes")
        if size > MAX_BYTES:
            raise SystemExit(f"{path} is larger than {MAX_BYTES} bytes")


def desktop(browser: Browser, url: str, path: Path) -> None:
    """Light, with the divider between before and after."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    visit = Visit(context.new_page(), url)
    visit.open(LINK)
    visit.page.get_by_role("radio", name="Split").check()
    visit.page.mouse.move(0, 0)
    visit.page.screenshot(path=path)
    context.close()


def phone(browser: Browser, url: str, path: Path) -> None:
    """Dark, at twice the pixels."""
    context = browser.new_context(
        viewport=PHONE,
        device_scale_factor=2,
        is_mobile=True,
        has_touch=True,
        color_scheme="dark",
        reduced_motion="reduce",
    )
    visit = Visit(context.new_page(), url)
    visit.open(LINK)
    visit.page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    typer.run(take)
