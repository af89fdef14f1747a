"""Alert rules: promtool plays their test file, and the trigger of KEDA is what they record."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.conftest import KUBERNETES

MONITORING = KUBERNETES / "components" / "monitoring"


def groups() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"][
        "groups"
    ]
    return found


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as Prometheus itself reads them, with their tests beside them."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
    (tmp_path / "rules.test.yaml").write_bytes((MONITORING / "rules.test.yaml").read_bytes())
    return tmp_path


def test_rules_do_what_their_tests_say(promtool: str, rules: Path) -> None:
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "rules.test.yaml"]):
        done = subprocess.run(
            [promtool, *command], cwd=rules, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    alerts = {
        rule["alert"]: rule for group in groups() for rule in group["rules"] if "alert" in rule
    }
    played = yaml.safe_load((MONITORING / "rules.test.yaml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in played
        for case in test.get("alert_rule_test", ())
        if case["exp_alerts"]
    }
    assert fired == set(alerts)
    for rule in alerts.values():
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_keda_scales_by_the_recorded_work() -> None:
    scaled = yaml.safe_load((KUBERNETES / "components" / "keda" / "generator.yaml").read_text())
    query = " ".join(scaled["spec"]["triggers"][0]["metadata"]["query"].split())
    recorded = next(
        rule["expr"]
        for group in groups()
        for rule in group["rules"]
        if rule.get("record") == "gradctrl:work_per_generator"
    )
    assert query in " ".join(recorded.split())
