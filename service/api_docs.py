"""The OpenAPI document, and Swagger UI over it at /v1/docs, which may do what it must and no more.

Its scripts and styles come from a CDN, so the browser needs the internet; /playground does not.
"""

import base64
import hashlib
import re
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

from service.api_keys import SCHEME

PATH = "/v1/docs"
DOCUMENT, ICON = "openapi.json", "../playground/icon.svg"  # relative, for proxies with a prefix
CDN = "https://cdn.jsdelivr.net"
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class DocumentedApi(FastAPI):
    """An application whose document says how to send a key, where the service has any."""

    def openapi(self) -> dict[str, Any]:
        """The document."""
        document = super().openapi()
        key = {"type": "http", "scheme": SCHEME, "description": "needed where the service has keys"}
        document["components"]["securitySchemes"] = {"key": key}
        document["security"] = [{"key": []}, {}]
        return document


def add_docs(app: FastAPI) -> None:
    """The route of the page."""
    page = get_swagger_ui_html(openapi_url=DOCUMENT, title=app.title, swagger_favicon_url=ICON)
    text = bytes(page.body).decode()
    headers = {
        "Content-Security-Policy": policy(text),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }

    async def docs(request: Request) -> Response:
        return Response(text, headers=headers, media_type="text/html")

    app.add_route(PATH, docs, ["GET"], include_in_schema=False)


def policy(page: str) -> str:
    """What the page may load: the CDN's files, its own inline scripts by their hashes, our API."""
    digests = (hashlib.sha256(script.encode()).digest() for script in INLINE.findall(page))
    inline = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {CDN} {inline}; style-src {CDN} 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
