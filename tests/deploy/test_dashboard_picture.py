"""deploy/dashboard_picture.py: queries without variables, names as Grafana has them, a picture."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from deploy.dashboard_picture import legend, panels, picture
from tests.doubles import ScriptedServer

FOUND = {"metric": {"runner": "generator"}, "values": [[1000, "1"], [1060, "3"]]}


def test_a_line_is_named_by_its_labels() -> None:
    assert legend("waiting: {{runner}}", {"runner": "generator"}) == "waiting: generator"
    assert legend("{{ attribute }} {{outcome}}", {"attribute": "smile"}) == "smile "
    assert legend("", {"code": "internal"}) == "internal"


def test_every_panel_is_asked_for_and_drawn(tmp_path: Path) -> None:
    """By a Prometheus that knows something of every second query."""
    targets = [target for panel in panels() for target in panel["targets"]]
    found = [{"data": {"result": [FOUND] * (n % 2)}} for n in range(len(targets))]
    with ScriptedServer([(200, {}, json.dumps(one).encode()) for one in found]) as server:
        picture(server.url, 30, tmp_path / "dashboard.png")
        asked = [parse_qs(urlsplit(line.split()[1]).query)["query"][0] for line in server.asked]
    assert len(asked) == len(targets)
    assert not any("$" in query for query in asked)
    with Image.open(tmp_path / "dashboard.png") as image:
        assert image.width > 800
