import numpy as np
import pytest
import torch

from editing import ShapeError
from export.labelers.face_api_networks import (
    EXPRESSIONS,
    GENDERS,
    AgeGenderNetwork,
    ExpressionNetwork,
    FaceNetwork,
    ReductionBlock,
    SeparableConvolution,
    pad_same,
    to_torch_layout,
)
from export.labelers.weight_manifest import WeightManifestError

NETWORKS = [AgeGenderNetwork, ExpressionNetwork]


def published_tensors(network: type[FaceNetwork]) -> dict[str, np.ndarray]:
    """Noise under the names and in the layout of the manifests."""
    rng = np.random.default_rng(0)
    tensors = {}
    for name, parameter in network().named_parameters():
        shape = tuple(parameter.shape)
        if len(shape) == 4:
            outer = (0, 1) if name.endswith("depthwise_filter") else (1, 0)
            shape = (*shape[2:], *(shape[axis] for axis in outer))
        tensors[name.replace(".", "/")] = rng.normal(0, 0.1, shape).astype(np.float32)
    return tensors


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "before", "after"),
    [
        (112, 3, 2, 0, 1),  # the odd pixel goes to the end
        (7, 3, 2, 1, 1),
        (112, 3, 1, 1, 1),
        (56, 1, 2, 0, 0),
        (6, 4, 1, 1, 2),
        (1, 3, 2, 1, 1),
    ],
)
def test_pads_as_tensorflow_does(
    length: int, kernel: int, stride: int, before: int, after: int
) -> None:
    row = pad_same(torch.ones(1, 1, 1, length), kernel, stride, value=9.0)[0, 0].unique(dim=0)
    inside = row[(row == 1).any(dim=1)][0].tolist()
    assert inside == [9.0] * before + [1.0] * length + [9.0] * after
    column = pad_same(torch.ones(1, 1, length, 1), kernel, stride, value=9.0)[0, 0]
    inside = column[:, (column == 1).any(dim=0)][:, 0].tolist()
    assert inside == [9.0] * before + [1.0] * length + [9.0] * after


def separable_convolution_twin(
    features: np.ndarray,  # [H, W, C]
    depthwise: np.ndarray,  # [3, 3, C, 1]
    pointwise: np.ndarray,  # [1, 1, C, C']
    stride: int,
) -> np.ndarray:  # [H', W', C']
    """TensorFlow's definition, pixel by pixel."""
    sides = [-(-length // stride) for length in features.shape[:2]]
    totals = [
        max((n - 1) * stride + 3 - length, 0)
        for n, length in zip(sides, features.shape[:2], strict=True)
    ]
    padded = np.pad(features, [*((t // 2, t - t // 2) for t in totals), (0, 0)])
    out = np.zeros((*sides, pointwise.shape[3]))
    for y, x in np.ndindex(*sides):
        window = padded[y * stride : y * stride + 3, x * stride : x * stride + 3]
        out[y, x] = (window * depthwise[..., 0]).sum(axis=(0, 1)) @ pointwise[0, 0]
    return out


@pytest.mark.parametrize("stride", [1, 2])
def test_separable_convolution_equals_its_plain_twin(stride: int) -> None:
    rng = np.random.default_rng(1)
    features, bias = rng.normal(size=(6, 7, 2)), rng.normal(size=3)
    depthwise, pointwise = rng.normal(size=(3, 3, 2, 1)), rng.normal(size=(1, 1, 2, 3))
    layer = SeparableConvolution(2, 3, stride).double()
    layer.depthwise_filter.data = to_torch_layout("x/depthwise_filter", depthwise)
    layer.pointwise_filter.data = to_torch_layout("x/pointwise_filter", pointwise)
    layer.bias.data = to_torch_layout("x/bias", bias)

    found = layer(torch.from_numpy(features).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    expected = separable_convolution_twin(features, depthwise, pointwise, stride) + bias
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)


def test_every_axis_finds_its_place() -> None:
    published = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)  # [H, W, I, O]
    filters = to_torch_layout("x/filters", published)
    assert filters.shape == (5, 4, 2, 3)
    assert filters[4, 1, 0, 2] == published[0, 2, 1, 4]

    published = published[..., :1]  # [H, W, C, 1]
    depthwise = to_torch_layout("x/depthwise_filter", published)
    assert depthwise.shape == (4, 1, 2, 3)
    assert depthwise[3, 0, 1, 2] == published[1, 2, 3, 0]


def test_padding_never_wins_the_maximum() -> None:
    block = ReductionBlock(2, 2)
    for parameter in block.parameters():
        parameter.data.zero_()
    block.separable_conv1.bias.data.fill_(-5.0)
    assert (block(torch.ones(1, 2, 8, 8)) == -5.0).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_loads_every_tensor_frozen(network: type[FaceNetwork]) -> None:
    tensors = published_tensors(network)
    loaded = network.from_tensors(tensors)
    assert not loaded.training
    for name, parameter in loaded.named_parameters():
        assert not parameter.requires_grad
        values = tensors[name.replace(".", "/")]
        assert sorted(parameter.flatten().tolist()) == sorted(values.flatten().tolist())


@pytest.mark.parametrize("network", NETWORKS)
def test_keeps_no_memory_of_the_callers_arrays(network: type[FaceNetwork]) -> None:
    tensors = published_tensors(network)
    loaded = network.from_tensors(tensors)
    for values in tensors.values():
        values[...] = np.nan
    assert all(parameter.isfinite().all() for parameter in loaded.parameters())


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (AgeGenderNetwork, "middle_flow/main_block_1/separable_conv2/pointwise_filter"),
        (AgeGenderNetwork, "fc/age/bias"),
        (ExpressionNetwork, "dense0/conv0/filters"),
    ],
)
def test_names_missing_unknown_and_misshapen_tensors(network: type[FaceNetwork], name: str) -> None:
    tensors = published_tensors(network)
    values = tensors.pop(name)
    with pytest.raises(WeightManifestError, match=rf"missing tensors \['{name}'\]"):
        network.from_tensors(tensors)
    renamed = tensors | {name: values, "fc/extra": values}
    with pytest.raises(WeightManifestError, match=r"unknown tensors \['fc/extra'\]"):
        network.from_tensors(renamed)
    with pytest.raises(WeightManifestError, match=rf"{name}: expected shape"):
        network.from_tensors(tensors | {name: np.concatenate([values, values])})


def test_outputs_have_the_promised_axes() -> None:
    faces = torch.rand(2, 3, 112, 112) * 255
    age_years, gender = AgeGenderNetwork.from_tensors(published_tensors(AgeGenderNetwork))(faces)
    expression = ExpressionNetwork.from_tensors(published_tensors(ExpressionNetwork))(faces)
    assert age_years.shape == (2,)
    assert gender.shape == (2, len(GENDERS))
    assert expression.shape == (2, len(EXPRESSIONS))


def test_class_names_are_in_the_order_of_the_logits() -> None:
    assert GENDERS[0] == "male"
    assert EXPRESSIONS[1] == "happy"
    assert len(EXPRESSIONS) == 7


def test_normalises_rgb_and_leaves_the_faces_alone() -> None:
    faces = torch.tensor([122.782, 117.001, 104.298])[None, :, None, None].repeat(1, 1, 112, 112)
    before = faces.clone()
    network = ExpressionNetwork()
    assert (network.normalise(faces) == 0).all()
    torch.testing.assert_close(network.normalise(faces + 51), torch.full_like(faces, 0.2))
    assert torch.equal(faces, before)


@pytest.mark.parametrize("shape", [(1, 3, 111, 112), (1, 112, 112, 3), (3, 112, 112)])
def test_refuses_other_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="faces"):
        ExpressionNetwork()(torch.zeros(shape))
