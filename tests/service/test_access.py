"""service/access.py on the real service: keys and rates over REST, gRPC, the client, the page."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from gradctrl_client import Client, TooManyRequestsError, UnauthenticatedError
from playwright.sync_api import Browser, expect

from model_store import StoredModel
from service.access import Access, Door
from service.api_keys import hash_of
from service.errors import ApiError
from service.rpc import SERVICE
from service.wire import edit_pb2 as wire
from tests.rpc_calls import edit_request, refused, stub_of
from tests.servers import free_port, running_server
from tests.service.playground.visits import found_browser

EDIT: dict[str, Any] = {
    "source": {"seed": 1},
    "edits": [{"attribute": "smile", "target": "smiling", "steps": 1}],
}
BUSY = 5  # calls a minute
ORIGIN = "https://app.example"


@dataclass(frozen=True)
class Service:
    """One running service with keys spelled as their names; `ops` is an admin's."""

    rest: str
    rpc: str
    keys: Path


@pytest.fixture(scope="module")
def service(
    tiny: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder, port = tmp_path_factory.mktemp("access"), free_port()
    keys = folder / "keys.txt"
    names = ("web", "busy", "page", "rpc", "alice", "bob")
    lines = [f"{name} {hash_of(name).hex()}\n" for name in names]
    keys.write_text("".join([*lines, f"ops {hash_of('ops').hex()} admin\n"]))
    environment = {
        "GRADCTRL_API_KEYS_FILE": str(keys),
        "GRADCTRL_RATE_LIMIT": f"{BUSY}/minute",
        "GRADCTRL_CORS_ORIGINS": ORIGIN,
    }
    arguments = ("--models", tiny.card.name, "--grpc-port", str(port))
    with running_server(bentoml_home, folder / "log.txt", *arguments, **environment) as url:
        yield Service(url, f"127.0.0.1:{port}", keys)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/jobs?id=x", "/v1/nothing"])
def test_the_api_asks_for_a_key(service: Service, path: str) -> None:
    answer = httpx.get(f"{service.rest}{path}")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "path", ["/healthz", "/livez", "/readyz", "/metrics", "/playground", "/v1/openapi.json"]
)
def test_what_holds_nobodys_data_is_open(service: Service, path: str) -> None:
    assert httpx.get(f"{service.rest}{path}").status_code == 200


def test_a_body_without_a_key_is_not_waited_for(service: Service) -> None:
    """The refusal comes while the client still sends."""

    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 10_000

    try:
        answer = httpx.post(f"{service.rest}/v1/edit", content=endless(), timeout=30)
        assert answer.status_code == 401
    except httpx.WriteError:
        pass  # the connection was closed on what nobody reads


def test_a_key_opens_rest_grpc_and_the_client(service: Service) -> None:
    answer = httpx.post(f"{service.rest}/v1/edit", json=EDIT, headers=bearer("web"))
    assert answer.status_code == 200
    with Client(service.rest, api_key="web") as client:
        assert client.edit("smile", "smiling", seed=1, steps=1).edits[0].steps_taken == 1
    with Client(f"grpc://{service.rpc}", api_key="rpc") as client:
        assert client.is_ready()
        assert client.models()[0]["name"] == "tiny"
    with (
        Client(service.rest, api_key="wrong") as client,
        pytest.raises(UnauthenticatedError, match="not known"),
    ):
        client.models()


def test_grpc_asks_for_a_key(service: Service) -> None:
    with stub_of(service.rpc) as stub, pytest.raises(grpc.RpcError) as caught:
        stub.ListModels(wire.ListModelsRequest())
    found = refused(caught.value)
    assert found.status == grpc.StatusCode.UNAUTHENTICATED
    assert found.code == "unauthenticated"


@pytest.mark.parametrize("message", [b"\xff", bytes(15_000_000)], ids=["garbage", "too large"])
def test_grpc_reads_no_message_without_a_key(service: Service, message: bytes) -> None:
    with grpc.insecure_channel(service.rpc) as channel:
        edit: Any = channel.unary_unary(f"/{SERVICE}/Edit")
        with pytest.raises(grpc.RpcError) as caught:
            edit(message)
    assert refused(caught.value).code == "unauthenticated"


def test_each_key_has_a_rate_of_its_own(service: Service) -> None:
    with httpx.Client(base_url=service.rest, headers=bearer("busy")) as client:
        assert [client.get("/v1/models").status_code for _ in range(BUSY)] == [200] * BUSY
        answer = client.get("/v1/models")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "too_many_requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    with (
        Client(f"grpc://{service.rpc}", api_key="busy", retries=0) as rpc,
        pytest.raises(TooManyRequestsError),
    ):
        rpc.models()  # the same budget
    assert httpx.get(f"{service.rest}/v1/models", headers=bearer("web")).status_code == 200


def test_each_key_has_idempotency_keys_of_its_own(service: Service) -> None:
    def ids_of(key: str, seed: int) -> list[str]:
        body = {**EDIT, "source": {"seed": seed}}
        asked = {**bearer(key), "Idempotency-Key": "order-1"}
        job = {"kind": "generate", "request": {"seeds": [seed]}}
        with httpx.Client(base_url=service.rest, headers=asked, timeout=60) as client:
            answers = [client.post("/v1/edit", json=body), client.post("/v1/jobs", json=job)]
        return [answers[0].json()["request_id"], answers[1].json()["job_id"]]

    first = ids_of("alice", seed=1)
    assert not set(ids_of("bob", seed=2)) & set(first)  # another body: no conflict
    assert ids_of("alice", seed=1) == first
    metadata = [("authorization", "Bearer bob"), ("idempotency-key", "order-1")]
    with stub_of(service.rpc) as stub, pytest.raises(grpc.RpcError) as caught:
        stub.Edit(edit_request(), metadata=metadata)
    assert refused(caught.value).field == "Idempotency-Key"  # of the edit over REST


def test_a_new_key_counts_at_once_and_a_deleted_one_no_more(service: Service) -> None:
    before = service.keys.read_text()
    service.keys.write_text(f"{before}new {hash_of('new').hex()}\n")
    assert httpx.get(f"{service.rest}/v1/models", headers=bearer("new")).status_code == 200
    service.keys.write_text(before)
    assert httpx.get(f"{service.rest}/v1/models", headers=bearer("new")).status_code == 401


def test_only_an_admin_has_the_models_reloaded(service: Service) -> None:
    url = f"{service.rest}/v1/admin/reload"
    assert httpx.post(url).status_code == 401
    answer = httpx.post(url, headers=bearer("web"))
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "unauthenticated"
    assert httpx.post(url, headers=bearer("ops")).json()["added"] == []


@pytest.mark.parametrize(
    ("host", "trusts_machine", "is_served"),
    [
        ("127.0.0.1", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("/run/service.sock", True, True),
        ("10.0.0.5", True, False),
        ("2001:db8::5", True, False),
        ("10.0.0.5", False, True),
    ],
)
def test_without_keys_nobody_is_served_on_an_address_that_others_reach(
    host: str, trusts_machine: bool, is_served: bool
) -> None:
    """A container listens everywhere, and nothing checked it before."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/models",
        "headers": [],
        "server": (host, 3000),
        "client": ("10.0.0.9", 1),
    }
    door = Door(app, Access(None, None, trusts_machine))
    asyncio.run(door(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == (200 if is_served else 401)
    if not is_served:
        assert b"GRADCTRL_API_KEYS_FILE" in sent[1]["body"]


@pytest.mark.parametrize(
    ("address", "trusts_machine", "may"),
    [
        ("127.0.0.1", True, True),
        ("::1", True, True),
        ("10.0.0.5", True, False),
        ("", True, False),
        ("127.0.0.1", False, False),  # something in front, and who called it is not known
    ],
)
def test_without_keys_only_this_machine_is_an_admin(
    address: str, trusts_machine: bool, may: bool
) -> None:
    access = Access(None, None, trusts_machine)
    access.expect({}, address)
    if may:
        access.expect({}, address, takes_admin=True)
        with pytest.raises(ApiError):  # a page in a browser on this machine
            access.expect({"origin": "https://evil.example"}, address, takes_admin=True)
        return
    with pytest.raises(ApiError) as caught:
        access.expect({}, address, takes_admin=True)
    assert caught.value.status == 403


def test_browsers_of_an_allowed_origin_may_send_a_key(service: Service) -> None:
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    url = f"{service.rest}/v1/edit"
    allowed = httpx.options(url, headers={"Origin": ORIGIN, **asks})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    other = httpx.options(url, headers={"Origin": "https://evil.example", **asks})
    assert "access-control-allow-origin" not in other.headers
    unknown = httpx.post(url, json=EDIT, headers={"Origin": ORIGIN})
    assert unknown.status_code == 401
    assert unknown.headers["access-control-allow-origin"] == ORIGIN  # so that the page can tell


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with found_browser() as opened:
        yield opened


def test_the_playground_asks_for_the_key_and_goes_on(service: Service, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{service.rest}/playground")
    expect(page.locator("#key-dialog")).to_be_visible()
    page.locator("#key-value").fill("page")
    page.locator("#key-value").press("Enter")
    picture = re.compile("^data:image/png")  # the stage alone is idle before the key is used, too
    expect(page.locator("#after")).to_have_attribute("src", picture, timeout=15_000)
    context.close()
