"""The face networks of the real package on its own photos."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from export.face_networks import write_face_networks
from model_store import (
    CELEBA_TEMPLATE,
    CheckpointError,
    FaceFinder,
    PhotoError,
    crop,
    place_face,
    read_photo,
)

MAX_PIXELS = 10_000_000


@pytest.fixture(scope="module")
def finder(face_api_package: Path, tmp_path_factory: pytest.TempPathFactory) -> FaceFinder:
    path = write_face_networks(face_api_package, tmp_path_factory.mktemp("faces") / "f.safetensors")
    return FaceFinder(load_file(path))


@pytest.fixture(scope="module")
def photo(face_api_package: Path) -> np.ndarray:
    return read_photo((face_api_package / "demo" / "sample1.jpg").read_bytes(), MAX_PIXELS)


def test_three_people_are_three_faces(finder: FaceFinder, photo: np.ndarray) -> None:
    faces = finder.find(photo)
    assert len(faces) == 3
    for face in faces:
        left, top, right, bottom = face.box
        assert ((face.points > (left, top)) & (face.points < (right, bottom))).all()
        assert face.points[0, 0] < face.points[1, 0]  # left and right eye as seen
    with pytest.raises(PhotoError, match="3 faces"):
        place_face(faces, CELEBA_TEMPLATE)


def test_one_face_is_aligned(finder: FaceFinder, photo: np.ndarray) -> None:
    face = finder.find(photo)[0]
    left, top, right, bottom = (int(value) for value in face.box)
    alone = photo[max(0, top - 120) : bottom + 120, max(0, left - 120) : right + 120]
    placement = place_face(finder.find(alone), CELEBA_TEMPLATE)
    aligned = crop(alone, placement, 64)
    again = finder.find(np.pad(aligned, ((32, 32), (32, 32), (0, 0))))
    points = (again[0].points - 32) / 64
    assert np.abs(points - np.array(CELEBA_TEMPLATE)).max() < 0.06
    assert finder.likeness(aligned, aligned) == pytest.approx(1, abs=1e-4)
    other = finder.find(photo)[1]
    left, top, right, bottom = (int(value) for value in other.box)
    stranger = crop(photo, place_face([other], CELEBA_TEMPLATE), 64)
    likeness = finder.likeness(aligned, stranger)
    assert likeness is not None
    assert likeness < 0.6
    found = finder.descriptors(np.stack([aligned, stranger]))
    assert found.shape == (2, 128)
    assert likeness == pytest.approx(1 - np.linalg.norm(found[0] - found[1]), abs=1e-4)


def test_many_faces_are_described_as_one_alone_is(finder: FaceFinder) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (33, 16, 16, 3), dtype=np.uint8)
    found = finder.descriptors(faces)
    assert found.shape == (33, 128)
    np.testing.assert_allclose(found[[32]], finder.descriptors(faces[32:]), atol=1e-4)
    assert finder.descriptors(faces[:0]).shape == (0, 128)


def test_no_face_in_noise(finder: FaceFinder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert finder.find(noise) == []


def test_missing_tensors_are_named() -> None:
    with pytest.raises(CheckpointError, match=r"detector\.conv0\.filters"):
        FaceFinder({})
