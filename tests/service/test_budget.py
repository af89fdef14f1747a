"""The budget of a request on the real service."""

from pathlib import Path

import httpx
import pytest

from model_store import StoredModel
from tests.servers import running_server

EDIT = {"attribute": "smile", "target": "smiling", "steps": 4}


@pytest.mark.slow
def test_a_request_beyond_the_budget_is_refused(
    tiny: StoredModel, bentoml_home: Path, tmp_path: Path
) -> None:
    with running_server(
        bentoml_home, tmp_path / "log.txt", "--models", "tiny", GRADCTRL_MAX_FRAMES="9"
    ) as url:
        body = {"source": {"seed": 1}, "edits": [EDIT, EDIT]}
        assert httpx.post(f"{url}/v1/edit", json=body, timeout=60).status_code == 200
        longer = body | {"edits": [EDIT, {**EDIT, "steps": 5}]}
        for path in ("edit", "edit/stream", "edit/image"):
            answer = httpx.post(f"{url}/v1/{path}", json=longer, timeout=60)
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert (error["code"], error["field"]) == ("bad_request", "edits")
            assert error["allowed"] == [1, 9]
        job = {"kind": "edit", "request": longer}
        answer = httpx.post(f"{url}/v1/jobs", json=job, timeout=60)
        assert answer.status_code == 400
        assert answer.json()["error"]["field"] == "request.edits"
        seeds = {"seeds": list(range(10))}
        answer = httpx.post(f"{url}/v1/generate", json=seeds, timeout=60)
        assert answer.status_code == 400
        assert answer.json()["error"]["field"] == "seeds"
        seeds = {"seeds": list(range(9))}
        assert httpx.post(f"{url}/v1/generate", json=seeds, timeout=60).status_code == 200
