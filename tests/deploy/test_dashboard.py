"""The Grafana dashboard: every query parses, and every series that it names exists."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from model_store import StoredModel
from tests.deploy.conftest import KUBERNETES
from tests.deploy.test_rules import groups
from tests.pods import seconds_until
from tests.servers import free_port, running_server
from tests.service.test_metrics import send_traffic

FILE = KUBERNETES / "components" / "monitoring" / "dashboard.json"
WITHOUT_GPU = {"gradctrl_gpu_memory_bytes", "gradctrl_gpu_utilization_ratio"}
SERIES = re.compile(r"\b(?:gradctrl|bentoml)_\w+")
SUFFIX = re.compile(r"_(bucket|sum|count|total)$")


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(FILE.read_text())["panels"]
    return found


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel["targets"]]


def test_every_query_parses(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": _without_variables(query)}
        for number, query in enumerate(queries())
    ]
    assert len(rules) >= 25
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _without_variables(query: str) -> str:
    replaced = query.replace("$__rate_interval", "5m").replace("$model", ".*")
    assert "$" not in replaced
    return replaced


def test_every_series_exists(tiny_style: StoredModel, bentoml_home: Path, tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--models", "tiny-style", "--grpc-port", str(port))
    with running_server(bentoml_home, tmp_path / "log.txt", *arguments) as url:
        send_traffic(url, f"127.0.0.1:{port}")
        job = {"kind": "generate", "request": {"model": "tiny-style", "seeds": [5]}}
        assert httpx.post(f"{url}/v1/jobs", json=job, timeout=30).status_code == 202
        seconds_until(lambda: "gradctrl_jobs_total" in httpx.get(f"{url}/metrics").text)
        scraped = httpx.get(f"{url}/metrics", timeout=10).text
    shown = {SUFFIX.sub("", name) for name in SERIES.findall(scraped)}
    recorded = {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}
    expressions = [*queries(), *(rule["expr"] for group in groups() for rule in group["rules"])]
    for expression in expressions:
        for name in SERIES.findall(expression):
            assert SUFFIX.sub("", name) in shown | WITHOUT_GPU, name
        for name in re.findall(r"gradctrl:[\w:]+", expression):
            assert name in recorded


def test_panels_do_not_overlap_and_have_titles() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert panel["title"]
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
