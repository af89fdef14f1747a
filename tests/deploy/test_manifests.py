"""deploy/kubernetes: every rendered manifest against its schema, and what it promises."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as monitoring

from service.settings import ENV_PREFIX, Settings
from tests.deploy.conftest import KUBERNETES, OVERLAYS, Render

VERSIONS = ("1.30", "1.34", "1.37")  # of Kubernetes
CUSTOM: dict[str, Any] = {
    "ScaledObject": keda.ScaledObject,
    "PodMonitor": monitoring.PodMonitor,
    "PrometheusRule": monitoring.PrometheusRule,
}
NOT_OURS = {"BENTOML_HOME", "BENTOML_DO_NOT_TRACK", "HOME", "PYTHONDONTWRITEBYTECODE"}
MODELS_FROM = ("model-volume", "model-image")
SCALERS = ("ScaledObject", "HorizontalPodAutoscaler")
Manifests = list[dict[str, Any]]


def of_kind(manifests: Manifests, kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: Manifests) -> dict[str, dict[str, Any]]:
    deployments = of_kind(manifests, "Deployment")
    return {name: one["spec"]["template"]["spec"] for name, one in deployments.items()}


def containers(manifests: Manifests) -> list[dict[str, Any]]:
    return [
        container
        for pod in pods(manifests).values()
        for container in (*pod.get("initContainers", ()), *pod["containers"])
    ]


def settings_of(manifests: Manifests) -> dict[str, str]:
    maps = of_kind(manifests, "ConfigMap")
    (settings,) = [one["data"] for name, one in maps.items() if "settings" in name]
    return dict(settings)


def expect_valid(manifest: dict[str, Any]) -> None:
    """Raise unless the manifest fits its schema, without a field that the schema has not."""
    if (model := CUSTOM.get(manifest["kind"])) is not None:
        known = model.model_validate(manifest).model_dump(
            mode="json", by_alias=True, exclude_unset=True
        )
        assert known == manifest
        return
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, render: Render) -> Manifests:
    """A rendered overlay."""
    return render(KUBERNETES / "overlays" / request.param)


@pytest.fixture(params=MODELS_FROM)
def with_models(request: pytest.FixtureRequest, render: Render, tmp_path: Path) -> Manifests:
    """The base with a component that brings models."""
    folder = KUBERNETES / "overlays" / "cpu"
    layered = {
        "resources": ["base"],
        "components": [f"components/{request.param}"],
    }
    copied = tmp_path / "kubernetes"
    _copy(folder.parent.parent, copied)
    (copied / "kustomization.yaml").write_text(yaml.safe_dump(layered))
    return render(copied)


def _copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


def test_every_manifest_fits_its_schema(overlay: Manifests) -> None:
    assert len(overlay) >= 13
    for manifest in overlay:
        expect_valid(manifest)


def test_the_check_refuses_what_no_schema_has(overlay: Manifests) -> None:
    deployment = of_kind(overlay, "Deployment")["gradctrl-api"]
    with pytest.raises(kubernetes_validate.ValidationError):
        expect_valid({**deployment, "spec": {**deployment["spec"], "replica": 2}})
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "x"},
        "spec": {"groups": [{"name": "x", "rulez": []}]},
    }
    with pytest.raises((AssertionError, ValueError)):
        expect_valid(rule)


def test_models_come_from_a_volume_or_an_init_container(with_models: Manifests) -> None:
    for manifest in with_models:
        expect_valid(manifest)
    for pod in pods(with_models).values():
        (mount,) = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "models"]
        assert mount["mountPath"] == "/home/bentoml/bento/models"
        assert mount["readOnly"]
        assert "models" in {volume["name"] for volume in pod["volumes"]}


def test_containers_may_do_nothing_that_they_need_not(overlay: Manifests) -> None:
    for pod in pods(overlay).values():
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
    for container in containers(overlay):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]["memory"]
        assert container["resources"]["limits"]["memory"]


def test_pods_are_probed_and_leave_in_order(overlay: Manifests) -> None:
    drain_s = float(settings_of(overlay)["GRADCTRL_DRAIN_S"])
    for pod in pods(overlay).values():
        container = pod["containers"][0]
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert container["startupProbe"]
        slept = float(container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert slept + drain_s < pod["terminationGracePeriodSeconds"]
    names = {name for name in of_kind(overlay, "PodDisruptionBudget")}
    assert names == set(pods(overlay))


def test_the_api_alone_reaches_the_pickle_port(overlay: Manifests) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    runners = policies["gradctrl-runners"]["spec"]
    values = runners["podSelector"]["matchExpressions"][0]["values"]
    assert set(values) == {"classifier", "generator"}
    to_pickle = [
        rule for rule in runners["ingress"] for port in rule["ports"] if port["port"] == "pickle"
    ]
    (rule,) = to_pickle
    (sender,) = rule["from"]
    assert sender["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    assert "namespaceSelector" not in sender
    for name, pod in pods(overlay).items():
        ports = {port["name"] for port in pod["containers"][0]["ports"]}
        expected = {"http", "grpc"} if name == "gradctrl-api" else {"pickle", "metrics"}
        assert ports == expected


def test_the_api_finds_its_runners_by_the_names_of_the_services(overlay: Manifests) -> None:
    services = of_kind(overlay, "Service")
    args = pods(overlay)["gradctrl-api"]["containers"][0]["args"]
    depends = [args[i + 1] for i, word in enumerate(args) if word == "--depends"]
    assert len(depends) == 2
    for one in depends:
        runner, _, url = one.partition("=")
        host, port = url.removeprefix("http://").split(":")
        service = services[host]["spec"]
        assert service["clusterIP"] == "None"  # every address, not one for all
        assert service["ports"][0]["port"] == int(port)
        assert runner in pods(overlay)[host]["containers"][0]["args"]


def test_an_apply_leaves_the_size_of_a_scaled_fleet_alone(overlay: Manifests) -> None:
    scalers = [one for kind in SCALERS for one in of_kind(overlay, kind).values()]
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in scalers}
    assert scaled == {"gradctrl-generator"}
    deployments = of_kind(overlay, "Deployment")
    sized = {name for name, one in deployments.items() if "replicas" in one["spec"]}
    assert sized == set(deployments) - scaled


def test_every_setting_exists(overlay: Manifests) -> None:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | NOT_OURS
    given = set(settings_of(overlay))
    for container in containers(overlay):
        given |= {variable["name"] for variable in container.get("env", ())}
    assert given <= known


def test_gpu_generators_ask_for_one_gpu(render: Render) -> None:
    rendered = pods(render(KUBERNETES / "overlays" / "gpu"))
    asked = {
        name: pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        for name, pod in rendered.items()
    }
    assert asked == {
        "gradctrl-api": None,
        "gradctrl-classifier": None,
        "gradctrl-generator": "1",
    }
    images = {pod["containers"][0]["image"].rpartition(":")[2] for pod in rendered.values()}
    assert images == {"0.1.0-gpu"}
    assert rendered["gradctrl-generator"]["tolerations"][0]["key"] == "nvidia.com/gpu"
