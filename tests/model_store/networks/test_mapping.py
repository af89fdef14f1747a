"""model_store/networks/mapping.py: truncation, labels, and what is refused."""

import pytest
import torch
from torch import Tensor

from editing import ShapeError
from model_store import CheckpointError
from model_store.networks.mapping import (
    MappingNetwork,
    MappingOptions,
    map_latents,
    mapping_shapes,
    mapping_sizes,
    normalise_second_moment,
)
from tests.model_store.networks.random_stylegan2 import (
    card_of,
    narrow_sizes,
    random_stylegan2,
)

NUM_WS = 7
Z = torch.randn(3, 20, generator=torch.Generator().manual_seed(5))


def mapping_tensors(c_dim: int = 0, label_input: str = "embed") -> dict[str, Tensor]:
    found = random_stylegan2(narrow_sizes(8, c_dim=c_dim))
    if label_input == "concat":
        del found["mapping.embed.bias"]
    return {name: tensor for name, tensor in found.items() if name.startswith("mapping.")}


def mapped(
    tensors: dict[str, Tensor],
    z: Tensor = Z,
    c: Tensor | None = None,
    psi: float = 1.0,
    cutoff: int | None = None,
    options: MappingOptions = MappingOptions(),  # noqa: B008 (frozen)
) -> Tensor:
    return map_latents(tensors, mapping_sizes(tensors), options, z, c, NUM_WS, psi, cutoff)


def test_every_layer_gets_the_same_w() -> None:
    w = mapped(mapping_tensors())
    assert w.shape == (3, NUM_WS, 16)
    assert torch.equal(w, w[:, :1].expand_as(w))


@pytest.mark.parametrize("psi", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("cutoff", [None, 0, 3, NUM_WS, 99])
def test_truncation_pulls_the_first_layers_to_the_mean(psi: float, cutoff: int | None) -> None:
    tensors = mapping_tensors()
    whole, average = mapped(tensors), tensors["mapping.w_avg"]
    found = mapped(tensors, psi=psi, cutoff=cutoff)
    count = NUM_WS if cutoff is None else min(cutoff, NUM_WS)
    pulled = average + psi * (whole - average)
    torch.testing.assert_close(found[:, :count], pulled[:, :count])
    torch.testing.assert_close(found[:, count:], whole[:, count:], atol=0, rtol=0)


def test_the_length_of_z_does_not_matter() -> None:
    torch.testing.assert_close(mapped(mapping_tensors(), Z * 7), mapped(mapping_tensors(), Z))
    assert normalise_second_moment(Z).square().mean(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert torch.isfinite(mapped(mapping_tensors(), torch.zeros(1, 20))).all()


@pytest.mark.parametrize("label_input", ["embed", "concat"])
def test_labels_change_w_and_may_be_soft(label_input: str) -> None:
    tensors = mapping_tensors(4, label_input)
    options = MappingOptions(label_input=label_input)  # type: ignore[arg-type]
    same = Z[:1].expand(4, -1)
    w = mapped(tensors, same, torch.eye(4), options=options)[:, 0]
    assert len({tuple(row.tolist()) for row in w}) == 4
    soft = mapped(tensors, same[:1], torch.full((1, 4), 0.25), options=options)[:, 0]
    assert ((soft - w).abs().amax(dim=1) > 1e-4).all()


def test_label_modes_differ_in_where_they_normalise() -> None:
    embed, concat = mapping_tensors(4), mapping_tensors(4, "concat")
    embed["mapping.embed.bias"] = torch.zeros(16)
    concat["mapping.embed.weight"] = concat["mapping.embed.weight"] * 100
    big = {**embed, "mapping.embed.weight": embed["mapping.embed.weight"] * 100}
    c, options = torch.eye(4)[:3], MappingOptions(label_input="concat")
    torch.testing.assert_close(mapped(embed, c=c), mapped(big, c=c), atol=1e-4, rtol=1e-4)
    drowned = mapped(concat, c=c, options=options), mapped(concat, -Z, c, options=options)
    spread = (drowned[0] - drowned[1]).abs().max() / drowned[0].abs().max()
    assert spread < 0.2  # z is nearly nothing beside a label a hundred times as long


def test_the_multiplier_scales_what_is_learned() -> None:
    tensors = mapping_tensors()
    scaled = {
        name: tensor * 10 if name.startswith("mapping.fc") else tensor
        for name, tensor in tensors.items()
    }
    found = mapped(scaled, options=MappingOptions(lr_multiplier=0.001))
    torch.testing.assert_close(found, mapped(tensors))


def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match="z"):
        mapped(mapping_tensors(), torch.zeros(2, 21))
    with pytest.raises(ValueError, match="no class labels; pass None"):
        mapped(mapping_tensors(), c=torch.eye(3))
    assert mapped(mapping_tensors(), c=torch.zeros(3, 0)).shape == (3, NUM_WS, 16)
    with pytest.raises(ValueError, match=r"needs class labels \[N, 4\]"):
        mapped(mapping_tensors(4))
    for wrong in (torch.eye(3), torch.ones(1, 4), torch.ones(4)):
        with pytest.raises(ShapeError, match="c"):
            mapped(mapping_tensors(4), c=wrong)


def test_sizes_are_those_of_the_tensors() -> None:
    tensors = mapping_tensors(4)
    sizes = mapping_sizes(tensors)
    assert (sizes.num_layers, sizes.z_dim, sizes.w_dim, sizes.c_dim) == (2, 20, 16, 4)
    assert sizes.widths == (36, 16, 16)
    shapes = mapping_shapes(sizes, MappingOptions())
    assert shapes == {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    concat = mapping_shapes(sizes, MappingOptions(label_input="concat"))
    assert shapes.keys() - concat.keys() == {"mapping.embed.bias"}


def test_a_mapping_without_layers_or_with_labels_alone_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"missing tensor 'mapping\.fc0\.weight'"):
        mapping_sizes({"mapping.w_avg": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="16 inputs leave none for z beside 16 label ones"):
        mapping_sizes({**mapping_tensors(4), "mapping.fc0.weight": torch.zeros(16, 16)})
    with pytest.raises(CheckpointError, match=r"mapping\.fc1\.weight: expected 2 axes"):
        mapping_sizes({**mapping_tensors(), "mapping.fc1.weight": torch.zeros(16)})


def test_a_mapping_network_needs_no_synthesis() -> None:
    tensors = random_stylegan2(narrow_sizes(8))
    network = MappingNetwork(card_of(tensors), mapping_tensors(), MappingOptions(), NUM_WS)
    assert network.card.num_ws == 4
    expected = mapped(mapping_tensors(), psi=0.5, cutoff=2)
    torch.testing.assert_close(network.mapping(Z, None, 0.5, 2), expected, atol=0, rtol=0)
