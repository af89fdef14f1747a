"""model_store/cards.py: what a card refuses."""

import pytest
from pydantic import ValidationError

from model_store import AttributeCard, EditDefaults, Exclusion, OnnxCard
from tests.doubles import ATTRIBUTES, make_card, make_style_card


def test_a_card_survives_json() -> None:
    card = make_card()
    assert type(card).model_validate_json(card.model_dump_json()) == card


def test_latent_shapes() -> None:
    card = make_card()
    assert card.latent_shape == (1, 16)
    style = card.model_copy(update={"spaces": ("w_plus",), "num_ws": 10, "w_dim": 512})
    assert style.latent_shape == (10, 512)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributes": (*ATTRIBUTES, ATTRIBUTES[0])}, "names must differ"),
        ({"spaces": ("w_plus",)}, "num_ws"),
        ({"spaces": ()}, "spaces"),
        ({"surprise": 1}, "surprise"),
        ({"name": "Bad Name"}, "name"),
        ({"files": {"card.json": "abc"}}, "files"),
        (
            {
                "attributes": (
                    AttributeCard(
                        name="a",
                        classes=("x", "y"),
                        defaults=EditDefaults(exclude=(Exclusion(attribute="a", top_k=1),)),
                    ),
                )
            },
            "cannot exclude",
        ),
        ({"attributes": (AttributeCard(name="a", classes=("x", "x")),)}, "class names"),
        ({"attributes": ATTRIBUTES[:2]}, "smile: unknown classes in a side effect"),  # on hair
        (
            {
                "attributes": (
                    ATTRIBUTES[0].model_copy(update={"classes": ("sad", "glad")}),
                    *ATTRIBUTES[1:],
                )
            },
            "smile: unknown classes in a side effect",
        ),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        type(make_card()).model_validate({**make_card().model_dump(), **change})


def test_masks_for_one_layer_take_the_same_share_of_its_channels() -> None:
    card = make_style_card()
    smile, *others = card.attributes
    masks = tuple(Exclusion(attribute=name, top_k=k) for name, k in (("age", 48), ("hair", 1)))
    defaults = smile.defaults.model_copy(update={"exclude": masks})
    attributes = (smile.model_copy(update={"defaults": defaults}), *others)
    wide = card.model_copy(update={"heads_read": "all_layers", "attributes": attributes})
    narrow = wide.as_one_layer()
    assert (narrow.heads_read, narrow.head_channels) == ("one_layer", 16)
    assert narrow.attributes[0].defaults.as_pairs() == [("age", 8), ("hair", 1)]
    assert narrow.attributes[1:] == card.attributes[1:]
    assert card.as_one_layer() == card


def test_a_model_without_onnx_files_keeps_its_version() -> None:
    card = make_card()
    assert "onnx" not in card.model_dump_json()
    made = OnnxCard(opset=20, compared_with="CPUExecutionProvider", tolerance=1e-3)
    with_one = card.model_copy(update={"onnx": {"synthesis.onnx": made}})
    assert type(card).model_validate_json(with_one.model_dump_json()) == with_one
