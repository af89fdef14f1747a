"""The files of the page over HTTP: types, entity tags, compression, what they may load."""

import re
from fnmatch import fnmatch
from pathlib import Path

import httpx
import pytest
import yaml

from service.playground.pages import MEDIA_TYPES, PAGE, page_files
from tests.servers import ROOT

FOLDER = ROOT / "service" / "playground"
FILES = page_files()
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.mark.parametrize("path", FILES)
def test_a_file_has_its_type_and_a_tag_that_spares_the_next_download(
    service_url: str, path: str
) -> None:
    answer = httpx.get(f"{service_url}{path}")
    assert answer.status_code == 200
    assert answer.content == FILES[path].content
    assert answer.headers["content-encoding"] == "gzip"
    suffix = Path(path).suffix or ".html"
    assert answer.headers["content-type"] == MEDIA_TYPES[suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = httpx.get(f"{service_url}{path}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    bare = httpx.get(f"{service_url}{path}", headers={"accept-encoding": "identity"})
    assert bare.content == FILES[path].content
    assert "content-encoding" not in bare.headers


def test_the_page_may_load_from_itself_alone(service_url: str) -> None:
    policy = httpx.get(f"{service_url}{PAGE}").headers["content-security-policy"]
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == allowed["style-src"] == allowed["connect-src"] == "'self'"
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", FILES)
def test_no_file_names_another_host_or_writes_code_into_the_page(path: str) -> None:
    text = FILES[path].content.decode().replace(SVG_NAMESPACE, "")
    assert not re.search(r"https?://|//[a-z0-9-]+\.[a-z]", text)
    assert not re.search(r'\son[a-z]+="|\sstyle="|<style|<script>|javascript:|innerHTML', text)


def test_every_script_is_served_and_loaded_at_once() -> None:
    page = FILES[PAGE].content.decode()
    scripts = {path.name for path in FOLDER.glob("*.js")}
    assert set(re.findall(r'modulepreload" href="playground/(.+?)"', page)) == scripts
    imported = set()
    for name in scripts:
        imported |= set(re.findall(r'from "\./(.+?)"', (FOLDER / name).read_text()))
    assert imported == scripts - {"app.js"}


def test_the_bento_takes_every_file_along() -> None:
    patterns = yaml.safe_load((ROOT / "bentofile.yaml").read_text())["include"]
    for path in FOLDER.iterdir():
        if path.suffix in MEDIA_TYPES:
            name = str(path.relative_to(ROOT))
            assert any(fnmatch(name, pattern) for pattern in patterns), name


def test_a_slash_at_the_end_leads_to_the_page(service_url: str) -> None:
    answer = httpx.get(f"{service_url}{PAGE}/", follow_redirects=True)
    assert answer.url.path == PAGE
    assert answer.status_code == 200


def test_a_file_that_is_none_is_refused_as_everywhere(service_url: str) -> None:
    answer = httpx.get(f"{service_url}{PAGE}/pages.py")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "bad_request")


def test_the_page_is_not_part_of_the_api(service_url: str) -> None:
    assert "playground" not in httpx.get(f"{service_url}/v1/openapi.json").text
