"""export/demo_model/shipping.py: half precision in, the same images out of the store."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from export.demo_model.avatar_networks import GENERATOR_SIZES, as_generator
from export.demo_model.shipping import ShippingError, pack, store_avatars
from export.demo_model.training import train
from model_store import GENERATOR_FILE, find_model, to_pixels
from model_store.networks.stylegan2_initial import initial_tensors
from tests.export.demo_model.test_training import quiet
from tests.export.demo_model.tiny_runs import tiny_images, tiny_options


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run, packed."""
    run, target = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("weights")
    train(tiny_images(), run, tiny_options(2), quiet)
    assert pack(run, target) > 40
    return target


def test_the_stored_model_makes_the_packed_images(packed: Path, bentoml_home: Path) -> None:
    stored = store_avatars((), {}, weights=packed)
    tensors = {name: tensor.float() for name, tensor in load_file(packed / GENERATOR_FILE).items()}
    expected = as_generator(tensors)
    z = torch.randn(3, expected.card.z_dim)
    with torch.inference_mode():
        found = stored.generator()
        a = to_pixels(found.synthesis(found.mapping(z)))
        b = to_pixels(expected.synthesis(expected.mapping(z)))
    np.testing.assert_array_equal(a, b)
    assert stored.card.files.keys() == {"generator.safetensors", "discriminator.safetensors"}
    assert find_model("avatars").card.provenance.licence == "Apache-2.0"


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(ShippingError, match="no weights"):
        store_avatars((), {}, weights=tmp_path)


def test_the_repository_ships_little_and_all_of_it_fits() -> None:
    folder = Path(__file__).parents[3] / "export"
    files = [*(folder / "demo_model" / "weights").iterdir(), *(folder / "heads").iterdir()]
    assert sum(path.stat().st_size for path in files) < 8_000_000
    shipped = load_file(folder / "demo_model" / "weights" / GENERATOR_FILE)
    fresh = initial_tensors(GENERATOR_SIZES, torch.Generator().manual_seed(0))
    assert {name: t.shape for name, t in shipped.items()} == {n: t.shape for n, t in fresh.items()}
