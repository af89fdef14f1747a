"""Who may call and how often, for every transport. Knows no endpoint.

A caller is the name of an API key or, without keys, the address that the connection comes from:
behind a proxy all callers are then one, but for REST behind one on this machine, whose
X-Forwarded-For is believed (uvicorn). What changes the service for everybody takes an admin's
key or, where there are no keys, a caller on this machine.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus

from limits import RateLimitItem, parse
from starlette.types import ASGIApp, Receive, Scope, Send

from service import api_docs
from service.api_keys import ADMIN, ApiKeys
from service.callers import calling_as
from service.errors import ApiError
from service.exposure import is_own, reason_against
from service.guards import BODYLESS, CLOSE, answer_error
from service.rates import MovingWindow
from service.settings import Settings

GUARDED = "/v1/"  # health, metrics and the files of the playground are open
OPEN = ("/v1/openapi.json", api_docs.PATH)
ADMIN_PATHS = "/v1/admin/"
Headers = Mapping[str, str | bytes]


class Access:
    """The door: names callers, and counts their calls within this process."""

    def __init__(
        self, keys: ApiKeys | None, limit: RateLimitItem | None, trusts_machine: bool
    ) -> None:
        self._keys = keys
        self._trusts_machine = trusts_machine  # without keys: that callers from it are its own
        self._limit = limit
        self._window = None if limit is None else MovingWindow(limit.amount, limit.get_expiry())

    @classmethod
    def of(cls, config: Settings) -> "Access":
        """The door of the settings; KeyFileError for keys that cannot be read."""
        keys = None if config.api_keys_file is None else ApiKeys(config.api_keys_file)
        limit = parse(config.rate_limit) if config.rate_limit else None
        return cls(keys, limit, not config.allow_anonymous)

    def expect_guarded(self, host: str) -> None:
        """ApiError for a call to an address that others reach, while there are no keys.

        `python -m service` does not begin to listen there; a Bento may, or a container.
        """
        if self._keys is None and self._trusts_machine and not is_own(host):
            raise ApiError("unauthenticated", reason_against(host))

    def expect(self, headers: Headers, address: str, takes_admin: bool = False) -> str:
        """Count a call and answer the name of its key, "" without keys.

        ApiError unauthenticated or too_many_requests refuses it.
        """
        if self._keys is None:
            is_page = "origin" in headers  # in a browser on this machine, from anywhere
            name, is_admin = "", self._trusts_machine and is_own(address) and not is_page
        else:
            key = self._keys.key_of(headers)
            name, is_admin = key.name, key.is_admin
        if takes_admin and not is_admin:
            message = f"this takes a key that the file of keys marks {ADMIN!r}"
            raise ApiError("unauthenticated", message, "authorization", status=HTTPStatus.FORBIDDEN)
        if self._window is None or not (wait_s := self._window.wait_s(name or address)):
            return name
        shown_s = max(1, math.ceil(wait_s))
        message = f"more calls than {self._limit}; try again in {shown_s} s"
        raise ApiError("too_many_requests", message, headers={"Retry-After": str(shown_s)})


class Door:
    """Refuses HTTP calls of the API before their body is read."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, or the refusal."""
        caller, path = "", scope.get("path", "")
        if scope["type"] == "http" and path.startswith(GUARDED) and path not in OPEN:
            headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            }
            try:
                self._access.expect_guarded((scope.get("server") or ("",))[0])
                address = (scope.get("client") or ("",))[0]
                caller = self._access.expect(headers, address, path.startswith(ADMIN_PATHS))
            except ApiError as error:
                error.headers.update({} if scope["method"] in BODYLESS else CLOSE)
                await answer_error(error)(scope, receive, send)
                return
        with calling_as(caller):
            await self._app(scope, receive, send)
