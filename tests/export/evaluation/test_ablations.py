"""export/evaluation/ablations.py: heads are made again in the way they were made."""

from pathlib import Path

import pytest

from export.banks import make_bank, open_bank
from export.evaluation import ablations
from export.evaluation.ablations import retrained_heads
from export.training import TrainedAttribute
from model_store import StoredModel, save_model
from tests.doubles import make_card, make_generator, make_heads


def silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


@pytest.mark.parametrize(("latent_std", "way"), [(1.0, "taught"), (0.0, "trained")])
def test_heads_of_z_are_made_again_as_they_were(
    latent_std: float,
    way: str,
    bentoml_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = make_card("again")
    attributes = tuple(one.model_copy(update={"latent_std": latent_std}) for one in card.attributes)
    heads = make_heads(attributes)
    card = card.model_copy(update={"attributes": attributes})
    model: StoredModel = save_model(make_generator(card), card, heads)
    make_bank(model, 8, tmp_path)
    made: list[str] = []

    def maker(name: str) -> object:
        def make(*_: object, **__: object) -> list[TrainedAttribute]:
            made.append(name)
            return []

        return make

    monkeypatch.setattr(ablations, "teach_model", maker("taught"))
    monkeypatch.setattr(ablations, "train_model", maker("trained"))
    found = retrained_heads(model, open_bank(tmp_path, "again"), {}, 30, 0, silent)
    assert made == [way]
    assert found.num_attributes == len(attributes)
