"""The wheel of gradctrl-client, alone in a fresh environment, against the real service."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parents[2] / "clients"

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"  # setuptools leaves files beside what it builds
    leavings = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(CLIENTS / "python", sources, ignore=leavings)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps")
    run(*pip, "--wheel-dir", folder, sources, folder=folder)
    (built,) = folder.glob("gradctrl_client-*.whl")
    return built


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of a new environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, folder=folder)
    yield python
    shutil.rmtree(folder)


def test_the_quickstart_needs_the_wheel_alone(
    fresh: Path, service_url: str, tmp_path: Path
) -> None:
    shown = run(
        fresh, "-W", "error", CLIENTS / "examples" / "quickstart.py", service_url, folder=tmp_path
    )
    assert "7 frames" in shown
    assert (tmp_path / "quickstart" / "smiling.png").exists()
    installed = run(fresh, "-m", "pip", "list", "--format", "freeze", folder=tmp_path).lower()
    assert not [name for name in ("torch", "bentoml", "grpcio") if f"{name}==" in installed]


def test_types_are_seen(fresh: Path, tmp_path: Path) -> None:
    where = "import gradctrl_client; print(gradctrl_client.__path__[0])"
    package = Path(run(fresh, "-c", where, folder=tmp_path).strip())
    assert (package / "py.typed").exists()
    assert (package / "generated" / "models" / "edit_body.py").exists()


def test_grpc_is_an_extra_that_says_how_to_get_it(
    fresh: Path, wheel: Path, grpc_address: str, tmp_path: Path
) -> None:
    url = f"grpc://{grpc_address}"
    ask = f"from gradctrl_client import Client; print(Client({url!r}).models()[0]['name'])"
    done = subprocess.run([fresh, "-c", ask], capture_output=True, text=True, timeout=60)
    assert "pip install 'gradctrl-client[grpc]'" in done.stderr
    run(fresh, "-m", "pip", "install", "--quiet", f"{wheel}[grpc]", folder=tmp_path)
    assert run(fresh, "-c", ask, folder=tmp_path) == "tiny\n"
