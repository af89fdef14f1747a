"""service/inversions.py in this process: a search is that of its seed."""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model_store import Inverter, StoredModel, load_inverter
from service.inversions import Inversions
from service.settings import Settings
from service.signing import unsigned
from tests.doubles import RESOLUTION

SPEC = {"mode": "optimize", "steps": 5, "space": "z", "align": False, "keeps_photo": False}


@pytest.fixture(scope="module")
def inverter(tiny: StoredModel) -> Inverter:
    """The tiny DCGAN's."""
    return load_inverter(tiny, tiny.generator(), torch.device("cpu"))


def found(inverter: Inverter, seed: int) -> np.ndarray:
    """The latent of a grey image."""
    file = io.BytesIO()
    Image.new("RGB", (RESOLUTION, RESOLUTION), "grey").save(file, "PNG")
    inversions = Inversions(10_000, 1, seed, unsigned)
    encoding = {"format": "png", "quality": 90, "size": None}
    payload = {"tag": "tiny", "spec": SPEC, "encoding": encoding, "image": file.getvalue()}
    answer = asyncio.run(inversions.invert(inverter, payload))
    while not answer["done"]:  # the machine may be slow
        payload["carried"] = answer["carried"]
        answer = asyncio.run(inversions.invert(inverter, payload))
    return np.asarray(answer["latents"])


def test_a_search_is_that_of_its_seed(inverter: Inverter) -> None:
    first = found(inverter, 1)
    np.testing.assert_array_equal(first, found(inverter, 1))
    assert np.abs(first - found(inverter, 2)).max() > 1e-4


def test_the_seed_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().seed == 0
    monkeypatch.setenv("GRADCTRL_SEED", "7")
    assert Settings().seed == 7
    assert Settings().rendering != Settings(seed=8).rendering  # so ETags differ


def test_etags_differ_by_the_network_that_searches_compare_with() -> None:
    other = Settings(perceptual_network=Path(__file__))
    assert Settings().rendering != other.rendering
