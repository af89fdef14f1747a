"""export/baselines/fitting.py: every baseline of a tiny model, from planted labels."""

import numpy as np
import pytest
import torch

from editing import UnsupportedMethodError, class_logits, stack_heads
from export.banks import Bank, BankInfo
from export.baselines import (
    DirectionOptions,
    applicable_methods,
    fit_directions,
)
from export.baselines.fitting import balanced_samples
from export.errors import LabelError
from export.labels import AttributeLabels, binary_scores
from export.onlookers import Onlooker, head_onlooker
from model_store import BASELINES, Generator
from tests.doubles import (
    NUM_WS,
    make_generator,
    make_heads,
    make_style_card,
    make_style_generator,
)

NAMES = ("smile", "age", "hair")
HEADS = stack_heads([make_heads()[name] for name in NAMES])
RNG = np.random.default_rng(0)
OPTIONS = DirectionOptions(per_class=20, components=8)


def bank_of(generator: Generator) -> Bank:
    """2000 samples without images: w is standard normal."""
    layers = generator.card.latent_shape[0]
    points = RNG.standard_normal((2000, 1, 16)).astype(np.float32)
    info = BankInfo("tiny", "0" * 64, 2000, 0, 1.0, 2000)
    return Bank(info, np.repeat(points, layers, axis=1), np.zeros((2000, 1, 1, 3), np.uint8))


def planted_labels(bank: Bank) -> dict[str, AttributeLabels]:
    """Smile is channel 3, age channel 5; hair is the largest of channels 8, 9, 10."""
    points = bank.latents[:, 0]
    return {
        "smile": AttributeLabels(("not_smiling", "smiling"), "rule", binary_scores(points[:, 3])),
        "age": AttributeLabels(("young", "old"), "rule", binary_scores(points[:, 5])),
        "hair": AttributeLabels(("black", "brown", "blond"), "rule", points[:, 8:11]),
        "unknown": AttributeLabels(("a", "b"), "rule", binary_scores(points[:, 0])),
    }


def image_rule(latents: torch.Tensor, offsets: torch.Tensor | None) -> torch.Tensor:
    """An image classifier that only a style could change; latents are all alike to it."""
    moved = torch.zeros(len(latents)) if offsets is None else offsets.sum(dim=1)
    values = torch.stack([latents[:, 0, 3] + moved, latents[:, 0, 5]], dim=1)
    return torch.stack([-values, values], dim=2)


def fit(generator: Generator, onlooker: Onlooker, *methods: str) -> dict[str, torch.Tensor]:
    """Vectors by method and attribute."""
    bank = bank_of(generator)
    labels = planted_labels(bank)
    found = fit_directions(generator.card, generator, bank, labels, onlooker, methods, OPTIONS)
    num_layers = generator.card.latent_shape[0]
    for one in found:
        assert one.classes == labels[one.attribute].classes
        assert torch.isfinite(one.vectors).all()
        assert one.layers.max() <= num_layers
        assert one.remark
    return {one.key: one.vectors for one in found}


def dcgan() -> Generator:
    return make_generator()


def style_gan() -> Generator:
    return make_style_generator(make_style_card())


def test_every_method_that_applies_is_fitted_for_every_labelled_attribute() -> None:
    eyes = head_onlooker(HEADS, NAMES)
    in_w = fit(style_gan(), eyes)
    assert in_w.keys() == {f"{method}.{name}" for method in BASELINES for name in NAMES}
    in_z = fit(dcgan(), eyes)
    expected = [method for method in BASELINES if method != "stylespace"]
    assert in_z.keys() == {f"{method}.{name}" for method in expected for name in NAMES}
    assert applicable_methods(dcgan()) == tuple(expected)


def test_planted_directions_are_found_and_conditioned() -> None:
    found = fit(style_gan(), head_onlooker(HEADS, NAMES), *BASELINES[:2])
    plain, conditional = found["interfacegan.smile"], found["interfacegan-conditional.smile"]
    assert float(plain[1, 3]) > 0.8
    assert float(conditional[1, 3]) > 0.8
    others = torch.cat([found["interfacegan.age"], found["interfacegan.hair"]])
    assert (conditional @ others.T).abs().max() < 1e-5
    assert (plain @ others.T).abs().max() > 1e-3
    assert found["interfacegan.hair"][:, 8:11].argmax(dim=1).tolist() == [0, 1, 2]


def test_stylespace_in_z_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedMethodError, match="a dcgan has no style space"):
        fit(dcgan(), head_onlooker(HEADS, NAMES), "stylespace")


def test_only_attributes_that_the_onlooker_knows_are_chosen_for() -> None:
    eyes = Onlooker(("smile", "age"), image_rule, sees_images=True)
    found = fit(style_gan(), eyes, "interfacegan", "stylespace")
    assert {key for key in found if key.startswith("style")} == {
        "stylespace.smile",
        "stylespace.age",
    }
    assert "interfacegan.hair" in found
    assert float(found["stylespace.smile"][1].sum()) > 0  # towards smiling


def test_the_same_seed_fits_the_same() -> None:
    generator = style_gan()
    bank = bank_of(generator)
    eyes = head_onlooker(HEADS, NAMES)
    runs = [
        fit_directions(generator.card, generator, bank, planted_labels(bank), eyes, (), OPTIONS)
        for _ in range(2)
    ]
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first.vectors, second.vectors)
        assert torch.equal(first.layers, second.layers)


def test_labels_that_no_attribute_has_are_an_error() -> None:
    generator = style_gan()
    bank = bank_of(generator)
    labels = {"unknown": planted_labels(bank)["unknown"]}
    with pytest.raises(LabelError, match="no labels for any of"):
        fit_directions(
            generator.card, generator, bank, labels, head_onlooker(HEADS, NAMES), (), OPTIONS
        )


def test_heads_look_at_the_mean_layer() -> None:
    latents = torch.randn(3, NUM_WS, 16, generator=torch.manual_seed(0))
    seen = head_onlooker(HEADS, NAMES).margins(latents, None)
    logits = class_logits(HEADS, latents.mean(dim=1))
    torch.testing.assert_close(seen[:, 0, 1], logits[:, 0, 1])
    assert seen[:, 2].argmax(dim=1).tolist() == logits[:, 2].argmax(dim=1).tolist()


def test_validation_samples_hold_rare_classes_too() -> None:
    rare = np.zeros(1000, dtype=np.int64)
    rare[:20] = 1
    common = np.arange(1000) % 3
    unlabelled = np.where(np.arange(1000) < 500, common, -1)
    samples = np.random.default_rng(0).permutation(1000)
    chosen = balanced_samples(samples, [rare, common, unlabelled], 40)
    assert len(set(chosen.tolist())) == 40
    assert (rare[chosen] == 1).sum() >= 5  # a random 40 hold 0.8 of them
    assert len(balanced_samples(samples[:10], [common], 40)) == 10
