"""deploy/containerfile.py: what an image would hold, run as a pod would run it, without Docker.

The container is a mount namespace: the Bento at its place in the image, everything else read-only
but the volumes of the manifests, an ordinary user, no capabilities, the image's own entry point.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from deploy.containerfile import CPU_WHEELS
from deploy.requirements import COMPILED, read_compiled, without_cuda
from model_store import StoredModel
from tests.deploy.conftest import KUBERNETES
from tests.pods import MANIFESTS, container, loopback_arguments
from tests.servers import ROOT, free_port, wait_until_ready
from tests.test_bento import EDIT, named_avatars

__all__ = ["named_avatars"]
USER = 1034
BENTO = "/home/bentoml/bento"


@pytest.fixture
def bento(named_avatars: StoredModel) -> str:
    """The tag of a Bento of this tree, with a tiny model."""
    built = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"gradctrl:\w+", built.stdout)
    assert found, built.stdout
    return found[0]


def written(bento: str, variant: str, folder: Path, *options: str) -> Path:
    """The folder that an image is built from."""
    command = [sys.executable, "-m", "deploy.containerfile", bento, "--variant", variant]
    done = subprocess.run(
        [*command, *options, "-o", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(folder) in done.stdout
    return folder


def test_images_differ_in_torch_alone(bento: str, tmp_path: Path) -> None:
    texts, requirements = {}, {}
    for variant in ("cpu", "gpu"):
        folder = written(bento, variant, tmp_path / variant)
        texts[variant] = (folder / "Containerfile").read_text()
        requirements[variant] = (folder / "env/python/requirements.txt").read_text()
        assert (folder / "models" / "gradctrl-avatars").is_dir()
        assert f"USER_UID={USER}" in texts[variant]
        assert f"BENTO_PATH={BENTO}" in texts[variant]
        assert (
            texts[variant].rstrip().endswith(f'ENTRYPOINT [ "{BENTO}/env/docker/entrypoint.sh" ]')
        )
        copied = re.findall(r"^COPY \S+ (\S+)", texts[variant], re.M)
        assert all((folder / source).exists() for source in copied)
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in texts["gpu"]
    pinned = read_compiled(COMPILED.read_text())
    assert read_compiled(requirements["gpu"]) == pinned
    beside = [one for one in without_cuda(pinned) if one.name != "torch"]
    assert [one for one in read_compiled(requirements["cpu"]) if one.name != "torch"] == beside
    assert "torch==2.13.0+cpu" in requirements["cpu"].splitlines()
    assert f"--extra-index-url {CPU_WHEELS}" in requirements["cpu"].splitlines()


def test_an_image_installs_only_what_has_a_hash(bento: str, tmp_path: Path) -> None:
    for name, variant, options in (
        ("gpu", "gpu", []),
        ("cpu", "cpu", ["--torch-sha256", "0" * 64]),
        ("unknown", "cpu", []),
    ):
        folder = written(bento, variant, tmp_path / name, *options)
        before_install = (folder / "Containerfile").read_text().partition("uv --directory")[0]
        assert "\nENV UV_NO_BUILD=1\n" in before_install
        unhashed = {
            f"{one.name}=={one.version}"
            for one in read_compiled((folder / "env/python/requirements.txt").read_text())
            if not one.hashes
        }
        assert ("\nENV UV_REQUIRE_HASHES=1\n" in before_install) == (not unhashed)
        assert unhashed == ({"torch==2.13.0+cpu"} if name == "unknown" else set())


def namespace(bento: Path, volumes: list[str], command: list[str]) -> list[str]:
    """The command in a read-only file system with writable volumes, as USER."""
    steps = ["set -e", "mount --make-rprivate /", "mount -t tmpfs tmpfs /home"]
    steps += [f"mkdir -p {BENTO}", f"mount --bind {shlex.quote(str(bento))} {BENTO}"]
    steps += [f"chown -R {USER} {BENTO}"]  # as in the image, so that the mount alone protects it
    steps += ["mount -t tmpfs tmpfs /run", *_readable(Path(sys.base_prefix))]
    for volume in volumes:
        steps += [f"mkdir -p {volume}", f"mount -t tmpfs -o mode=1777 tmpfs {volume}"]
    steps += [f"mount -o remount,bind,ro {place}" for place in (BENTO, "/home", "/run", "/")]
    drop = f"setpriv --reuid {USER} --regid {USER} --clear-groups --no-new-privs"
    steps += [f"cd {BENTO}", f"exec {drop} --bounding-set=-all -- {shlex.join(command)}"]
    return ["unshare", "--mount", "bash", "-c", "\n".join(steps)]


def _readable(python: Path) -> list[str]:
    """Steps that let USER reach an interpreter below a home that is closed to others."""
    closed = next((one for one in reversed(python.parents) if not one.stat().st_mode & 1), None)
    if closed is None:
        return []
    return [
        f"mkdir /home/python && mount --bind {python} /home/python",
        f"mount -t tmpfs -o mode=755 tmpfs {closed} && mkdir -p {python}",
        f"mount --move /home/python {python}",
    ]


@pytest.fixture(scope="module")
def may_unshare() -> None:
    """Skips where mounts may not be made."""
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("needs unshare and setpriv: apt-get install util-linux")
    done = subprocess.run(["unshare", "--mount", "mount", "--make-rprivate", "/"], check=False)
    if done.returncode:
        pytest.skip("needs to make mounts: run as root, or with CAP_SYS_ADMIN")


@contextmanager
def running_container(
    component: str, bento: Path, depends: dict[str, str], log: Path
) -> Iterator[str]:
    """The URL of a component, started as its manifest has it."""
    port = free_port()
    spec = container(component)
    volumes = [mount["mountPath"] for mount in spec["volumeMounts"]]
    entry = f"{BENTO}/env/docker/entrypoint.sh"
    command = [entry, *loopback_arguments(component, port, depends)]
    with log.open("w") as output:
        process = subprocess.Popen(
            namespace(bento, volumes, command),
            env=environment(spec),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}", log)
            expect_confined(process.pid)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def environment(spec: dict[str, object]) -> dict[str, str]:
    """What the image and the manifests set, with ports of this machine."""
    settings = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())
    literals = settings["configMapGenerator"][0]["literals"]
    env = dict(one.split("=", 1) for one in literals)
    # the image's venv is ours here
    env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "BENTO_PATH": BENTO}
    return env | {
        "BENTOML_CONTAINERIZED": "true",
        "GRADCTRL_GRPC_PORT": "0",
        "OMP_NUM_THREADS": "1",
    }


def expect_confined(pid: int) -> None:
    """Every process is an ordinary user without capabilities."""
    first = psutil.Process(pid)
    for process in (first, *first.children(recursive=True)):
        assert process.uids().real == USER
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^CapEff:\s*0+$", status, re.M)


@pytest.mark.slow
@pytest.mark.usefixtures("may_unshare")
def test_pods_write_nowhere_but_in_their_volumes(bento: str, tmp_path: Path) -> None:
    context = written(bento, "cpu", tmp_path / "context")
    tried = subprocess.run(
        namespace(context, ["/tmp"], ["touch", "/etc/x", f"{BENTO}/x", "/run/x", "/var/tmp/x"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.stderr.count("Read-only file system") == 4, tried.stderr
    tmp_path.chmod(0o755)
    with ExitStack() as pods:
        urls = {
            f"{name}_runner": pods.enter_context(
                running_container(name, context, {}, tmp_path / f"{name}.txt")
            )
            for name in ("classifier", "generator")
        }
        api = pods.enter_context(running_container("api", context, urls, tmp_path / "api.txt"))
        answer = httpx.post(f"{api}/v1/edit", json=EDIT, timeout=60)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["frames"]) == 6
        shown = httpx.get(f"{api}/metrics", timeout=10).text
        assert 'gradctrl_edits_total{attribute="hair"' in shown
    for log in tmp_path.glob("*.txt"):
        assert "Read-only file system" not in log.read_text()
        assert "Permission denied" not in log.read_text()


def test_every_writable_place_is_a_volume() -> None:
    for component in ("api", "classifier", "generator"):
        documents = yaml.safe_load_all((KUBERNETES / "base" / f"{component}.yaml").read_text())
        pod = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        for mount in container(component)["volumeMounts"]:
            assert "sizeLimit" in volumes[mount["name"]]["emptyDir"]
