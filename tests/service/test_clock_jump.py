"""A clock that is set by a day, and back, under the real service: libfaketime in every process.

What tells the time: deadlines, queues, probes, rates and idempotency keys (the monotonic clock),
jobs (service/steady_clock.py), API keys (whether a file changed, not when).
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from model_store import StoredModel
from service.api_keys import hash_of
from tests.pods import seconds_until
from tests.servers import running_server
from tests.service.test_jobs import EDIT
from tests.service.test_limits import BODY

DAY_S = 86_400
RATE = 20  # calls an hour, of each key
HOUR_S = 3600
IN_FLIGHT_S = 0.3
PROBED_S = 8.0  # three probes of a runner that went silent, and more
KEYS = ("jobs", "busy", "edits", "retries")


class Jumping:
    """A service whose time of day can be set."""

    def __init__(self, url: str, offset: Path) -> None:
        self._offset = offset
        self._clients = {
            key: httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
            for key in KEYS
        }

    def __getitem__(self, key: str) -> httpx.Client:
        return self._clients[key]

    def set(self, seconds: int) -> None:
        """Set the clock so far from the right time."""
        self._offset.write_text(f"{seconds:+d}s")

    def shows(self, seconds: int) -> bool:
        """Whether the service's clock is so wrong, as a header of its answers tells."""
        date = parsedate_to_datetime(self["jobs"].get("/livez").headers["date"])
        return abs(date.timestamp() - time.time() - seconds) < DAY_S / 2

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            client.close()

    def job(self, job_id: str) -> dict[str, object]:
        """A job's status, which counts as one call."""
        found: dict[str, object] = self["jobs"].get("/v1/jobs", params={"id": job_id}).json()
        return found


@pytest.fixture(scope="module")
def jumping(
    tiny: StoredModel, bentoml_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Jumping]:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime: apt-get install faketime")
    folder = tmp_path_factory.mktemp("clock")
    keys, offset = folder / "keys.txt", folder / "offset"
    keys.write_text("".join(f"{name} {hash_of(name).hex()}\n" for name in KEYS))
    offset.write_text("+0s")
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as a clock that is set does
        "GRADCTRL_API_KEYS_FILE": str(keys),
        "GRADCTRL_RATE_LIMIT": f"{RATE}/hour",
        "GRADCTRL_TIMEOUT_S": "30",
        "GRADCTRL_CACHE_BYTES": "0",
        "GRADCTRL_JOB_STORE": str(folder / "jobs.db"),
    }
    arguments = ("--models", "tiny")
    with running_server(bentoml_home, folder / "log.txt", *arguments, **environment) as url:
        service = Jumping(url, offset)
        yield service
        service.close()


@pytest.mark.slow
def test_a_jump_expires_nothing_and_locks_nobody_out(jumping: Jumping) -> None:
    job = {"kind": "edit", "request": EDIT}
    job_id = jumping["jobs"].post("/v1/jobs", json=job).json()["job_id"]
    key = {"Idempotency-Key": "jump"}
    first = jumping["retries"].post("/v1/edit", json=EDIT, headers=key).json()
    undisturbed = jumping["edits"].post("/v1/edit", json=BODY).json()
    statuses = [jumping["busy"].get("/v1/models").status_code for _ in range(RATE + 1)]
    assert statuses == [200] * RATE + [429]
    time.sleep(1)
    done = jumping.job(job_id)
    assert done["state"] == "done"
    with ThreadPoolExecutor(1) as clients:
        for offset_s in (DAY_S, -DAY_S, 0):
            edit = clients.submit(jumping["edits"].post, "/v1/edit", json=BODY)
            time.sleep(IN_FLIGHT_S)
            jumping.set(offset_s)
            seconds_until(lambda offset_s=offset_s: jumping.shows(offset_s), 10)
            answer = edit.result()
            assert answer.status_code == 200, answer.text
            assert answer.json()["frames"] == undisturbed["frames"]
            assert jumping.job(job_id) == done
            retried = jumping["retries"].post("/v1/edit", json=EDIT, headers=key).json()
            assert retried["request_id"] == first["request_id"]
            refused = jumping["busy"].get("/v1/models")
            assert refused.status_code == 429
            assert HOUR_S / 2 < int(refused.headers["retry-after"]) <= HOUR_S
            time.sleep(PROBED_S)
            assert jumping["jobs"].get("/readyz").status_code == 200
            later = jumping["jobs"].post("/v1/jobs", json=job).json()
            created_at = done["created_at"]
            assert isinstance(created_at, float)
            assert 0 < later["created_at"] - created_at < HOUR_S
