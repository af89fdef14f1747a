"""export/evaluation/judging.py: labelers joined and put in the order of the card."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.banks import make_bank
from export.errors import LabelError
from export.evaluation import judging
from export.evaluation.judging import boundary_of_bank, make_judge
from export.labeling import FACE_API, HUMAN
from export.labels import AttributeLabels, binary_scores, save_labels
from model_store import save_model
from tests.doubles import ATTRIBUTES, make_card, make_generator, make_heads
from tests.export.evaluation.planted import pixel_labels

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
LABELERS = {
    "pixels": pixel_labels,
    "weather": lambda images, progress: {
        "rain": AttributeLabels(("dry", "wet"), "weather", binary_scores(np.zeros(len(images))))
    },
    "backwards": lambda images, progress: {
        "age": AttributeLabels(
            ("old", "young"), "backwards", binary_scores(np.arange(len(images), dtype=np.float32))
        )
    },
}


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    """A folder with some labels."""
    save_labels(tmp_path, pixel_labels(IMAGES, lambda done, total: None))
    return tmp_path


def test_margins_are_the_labelers_log_odds(bank: Path) -> None:
    judge = make_judge(["pixels"], ATTRIBUTES, bank, IMAGES[:2], LABELERS)
    assert [one.name for one in judge.attributes] == ["smile", "age", "hair"]
    margins = judge.margins(IMAGES)
    labels = pixel_labels(IMAGES, lambda done, total: None)
    torch.testing.assert_close(margins[:, 0, 1], torch.from_numpy(labels["smile"].scores[:, 1]))
    assert margins[:, 2].argmax(dim=1).tolist() == labels["hair"].labels().tolist()
    assert bool((margins[:, 0, 2] == -torch.inf).all())


def test_labelers_are_joined_and_classes_follow_the_card(bank: Path) -> None:
    judge = make_judge(["weather", "backwards"], ATTRIBUTES, bank, IMAGES[:2], LABELERS)
    assert [one.name for one in judge.attributes] == ["age"]
    assert judge.margins(IMAGES)[:, 0, 0].tolist() == [0, 1, 2, 3, 4]  # young, named second there


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nobody"], "no labeler 'nobody'; there are: pixels"),
        (["weather"], "weather and the model have no attribute in common: \\['rain'\\]"),
    ],
)
def test_useless_labelers_are_refused(bank: Path, names: list[str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        make_judge(names, ATTRIBUTES, bank, IMAGES[:2], LABELERS)


def test_face_api_keeps_the_age_boundary_of_the_bank(tmp_path: Path) -> None:
    labels = AttributeLabels(
        ("young", "old"), FACE_API.label, binary_scores(np.zeros(5)), "boundary_years=31.5"
    )
    save_labels(tmp_path, {"age": labels})
    bound = boundary_of_bank(tmp_path)["face-api"]
    assert bound.keywords == {"age_boundary": 31.5}  # type: ignore[attr-defined]


def test_the_other_family_takes_the_median_of_the_bank_once(
    bentoml_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = make_card("tiny-aged")
    make_bank(save_model(make_generator(card), card, make_heads()), 9, tmp_path)
    labels = AttributeLabels(
        ("young", "old"), FACE_API.label, binary_scores(np.zeros(9)), "boundary_years=31.5"
    )
    save_labels(tmp_path, {"age": labels})
    asked: list[tuple[int, float | None]] = []

    def aged(
        images: np.ndarray, progress: object, age_boundary: float | None = None
    ) -> dict[str, AttributeLabels]:
        asked.append((len(images), age_boundary))
        scores = binary_scores(np.zeros(len(images)))
        return {"age": AttributeLabels(("young", "old"), HUMAN.label, scores, "boundary_years=28")}

    monkeypatch.setitem(judging._FACE_LABELERS, "human", aged)
    human = boundary_of_bank(tmp_path)["human"]
    for _ in range(2):
        human(IMAGES[:2], lambda done, total: None)
    assert asked == [(9, None), (2, 28.0), (2, 28.0)]
