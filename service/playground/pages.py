"""Serves the files beside it as /playground. Knows nothing of models; the page calls the REST API.

Every file has a route of its own: a path parameter would become a label of the metrics. The files
are read once, compressed once, and named by what is in them.
"""

import gzip
import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from service.http_calls import entity_tag, is_known

PAGE = "/playground"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PRELOADS = "<!-- modules: one preload per script, so that none waits for its importer -->"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # kept, but asked about: a new version is seen at once
    "Referrer-Policy": "no-referrer",  # the hash is never sent, the rest is nobody's business
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class PageFile:
    """One file of the page, ready to be sent."""

    content: bytes
    compressed: bytes
    media_type: str
    tag: str

    async def serve(self, request: Request) -> Response:
        """The file, or 304 for a browser that has it."""
        headers = {**HEADERS, "ETag": self.tag}
        if is_known(request.headers.get("if-none-match"), self.tag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(self.content, headers=headers, media_type=self.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(self.compressed, headers=headers, media_type=self.media_type)


def add_playground(app: FastAPI) -> None:
    """Routes of the page and of every file that it loads."""
    for path, file in page_files().items():
        app.add_route(path, file.serve, ["GET"], include_in_schema=False)
    app.add_route(f"{PAGE}/", _without_slash, ["GET"], include_in_schema=False)


async def _without_slash(request: Request) -> Response:
    # relative, so that a prefix that a proxy strips stays
    return RedirectResponse(f"..{PAGE}", HTTPStatus.PERMANENT_REDIRECT)


def page_files() -> dict[str, PageFile]:
    """Path -> file, the page itself first."""
    folder = Path(__file__).parent
    names = sorted(one.name for one in folder.iterdir() if one.suffix in MEDIA_TYPES)
    scripts = [name for name in names if name.endswith(".js")]
    files = {PAGE: _page_file(INDEX, _with_preloads((folder / INDEX).read_text(), scripts))}
    for name in names:
        if name != INDEX:
            files[f"{PAGE}/{name}"] = _page_file(name, (folder / name).read_bytes())
    return files


def _with_preloads(page: str, scripts: list[str]) -> bytes:
    links = (f'<link rel="modulepreload" href="playground/{name}" />' for name in scripts)
    return page.replace(PRELOADS, "\n    ".join(links)).encode()


def _page_file(name: str, content: bytes) -> PageFile:
    digest = hashlib.sha256(content).hexdigest()[:32]
    return PageFile(
        content,
        gzip.compress(content, mtime=0),
        MEDIA_TYPES[Path(name).suffix],
        entity_tag(digest),  # the same for both encodings
    )
