"""attacks/: each one on a real service with keys, which stays up and well."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from attacks.__main__ import all_attacks
from model_store import StoredModel
from service.api_keys import hash_of
from tests.servers import running_server

ATTACKS = dict(all_attacks())


@pytest.fixture(scope="module")
def address(
    tiny: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("attacks")
    keys = folder / "keys.txt"
    keys.write_text(f"test {hash_of('test').hex()}\n")
    with running_server(
        bentoml_home,
        folder / "log.txt",
        "--models",
        tiny.card.name,
        GRADCTRL_API_KEYS_FILE=str(keys),
    ) as url:
        yield url


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_refused_and_the_service_stays_well(address: str, name: str) -> None:
    headers = {"Authorization": "Bearer test"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        print(f"{name}: {ATTACKS[name](client)}")
        assert client.get("/readyz").status_code == 200
        answer = client.post("/v1/generate", json={"seeds": [1]})
        assert answer.status_code == 200


def test_there_is_one_for_every_risk_of_the_threat_model() -> None:
    text = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    assert [name for name in ATTACKS if f"`{name}`" not in text] == []
