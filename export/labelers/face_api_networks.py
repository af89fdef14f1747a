"""The age, gender and expression networks of face-api in torch.

Attributes are named as in the published manifests, so that a manifest name with dots for slashes
is the name of a parameter. Knows nothing about files, crops or what the outputs are used for.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from editing import expect_shape
from export.labelers.weight_manifest import WeightManifestError

FACE_SIDE = 112  # pixels
GENDERS = ("male", "female")
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")

_MEAN_RGB = (122.782, 117.001, 104.298)  # 0..255
_KERNEL = 3


def pad_same(
    features: Tensor,  # [N, C, H, W]
    kernel: int,
    stride: int,
    value: float = 0.0,
) -> Tensor:  # [N, C, H', W']
    """Pad as TensorFlow's SAME does: an odd pixel goes to the right and to the bottom.

    Torch's own `padding` is symmetric, which shifts every strided layer by a pixel.
    """
    padding: list[int] = []
    for length in (features.shape[3], features.shape[2]):  # functional.pad starts at the last axis
        total = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(features, padding, value=value)


class Convolution(nn.Module):
    """Convolution with bias under SAME padding."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.filters = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, features: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C', H', W']
        """Features before any activation."""
        padded = pad_same(features, self.kernel, self.stride)
        return functional.conv2d(padded, self.filters, self.bias, self.stride)


class SeparableConvolution(nn.Module):
    """Depthwise 3x3, then pointwise convolution with bias, under SAME padding."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise_filter = nn.Parameter(torch.empty(inputs, 1, _KERNEL, _KERNEL))
        self.pointwise_filter = nn.Parameter(torch.empty(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, features: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C', H', W']
        """Features before any activation."""
        padded = pad_same(features, _KERNEL, self.stride)
        channels = self.depthwise_filter.shape[0]
        spread = functional.conv2d(
            padded, self.depthwise_filter, stride=self.stride, groups=channels
        )
        return functional.conv2d(spread, self.pointwise_filter, self.bias)


class FullyConnected(nn.Module):
    """Linear layer whose weights lie [inputs, outputs], as published."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, features: Tensor) -> Tensor:  # [N, C] -> [N, C']
        """Weighted sums plus bias."""
        return features @ self.weights + self.bias


class ReductionBlock(nn.Module):
    """Xception block that halves height and width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.separable_conv0 = SeparableConvolution(inputs, outputs)
        self.separable_conv1 = SeparableConvolution(outputs, outputs)
        self.expansion_conv = Convolution(inputs, outputs, kernel=1, stride=2)

    def forward(self, features: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C', H/2, W/2]
        """Pooled convolutions plus the shortcut."""
        convolved = self.separable_conv0(functional.relu(features))
        convolved = self.separable_conv1(functional.relu(convolved))
        # Padding never wins a maximum, whatever the sign of the features.
        padded = pad_same(convolved, _KERNEL, stride=2, value=-math.inf)
        pooled = functional.max_pool2d(padded, _KERNEL, stride=2)
        return pooled + self.expansion_conv(features)


class MainBlock(nn.Module):
    """Xception block with a residual over three separable convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.separable_conv0 = SeparableConvolution(channels, channels)
        self.separable_conv1 = SeparableConvolution(channels, channels)
        self.separable_conv2 = SeparableConvolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:  # [N, C, H, W], unchanged
        """Input plus what the convolutions add."""
        added = self.separable_conv0(functional.relu(features))
        added = self.separable_conv1(functional.relu(added))
        added = self.separable_conv2(functional.relu(added))
        return features + added


class DenseBlock(nn.Module):
    """Four convolutions, each reading the rectified sum of all before it."""

    def __init__(self, entry: Convolution | SeparableConvolution, channels: int) -> None:
        super().__init__()
        self.conv0 = entry
        self.conv1 = SeparableConvolution(channels, channels)
        self.conv2 = SeparableConvolution(channels, channels)
        self.conv3 = SeparableConvolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:  # [N, C, H, W] -> [N, C', H/2, W/2]
        """Rectified sum of the four outputs."""
        total = functional.relu(self.conv0(features))
        for convolution in (self.conv1, self.conv2, self.conv3):
            total = total + convolution(functional.relu(total))
        return functional.relu(total)


class FaceNetwork(nn.Module):
    """What both networks share: normalised input and strict loading."""

    mean_rgb: Tensor  # [3, 1, 1]

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_rgb", torch.tensor(_MEAN_RGB)[:, None, None], persistent=False)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        """A frozen network with the tensors of a manifest; WeightManifestError names misfits."""
        network = cls()
        wanted = {name.replace(".", "/"): p for name, p in network.named_parameters()}
        if wanted.keys() != tensors.keys():
            raise WeightManifestError(
                f"{cls.__name__}: missing tensors {sorted(wanted.keys() - tensors.keys())}, "
                f"unknown tensors {sorted(tensors.keys() - wanted.keys())}"
            )
        for name, parameter in wanted.items():
            values = to_torch_layout(name, tensors[name])
            if values.shape != parameter.shape:
                raise WeightManifestError(
                    f"{cls.__name__}: {name}: expected shape {list(parameter.shape)} "
                    f"in torch's order, got {list(values.shape)}"
                )
            parameter.data = values
        return network.eval().requires_grad_(False)

    def normalise(self, faces: Tensor) -> Tensor:  # [N, 3, 112, 112], RGB, 0..255 -> about +-.5
        """Faces as the first layer expects them."""
        expect_shape("faces", faces, (None, 3, FACE_SIDE, FACE_SIDE))
        return (faces - self.mean_rgb) / 255


class AgeGenderNetwork(FaceNetwork):
    """A small Xception with a head for age and one for gender."""

    def __init__(self) -> None:
        super().__init__()
        self.entry_flow = _chain(
            conv_in=Convolution(3, 32, kernel=_KERNEL, stride=2),
            relu=nn.ReLU(),
            reduction_block_0=ReductionBlock(32, 64),
            reduction_block_1=ReductionBlock(64, 128),
        )
        self.middle_flow = _chain(main_block_0=MainBlock(128), main_block_1=MainBlock(128))
        self.exit_flow = _chain(
            reduction_block=ReductionBlock(128, 256),
            separable_conv=SeparableConvolution(256, 512),
            relu=nn.ReLU(),
        )
        self.fc = nn.ModuleDict({"age": FullyConnected(512, 1), "gender": FullyConnected(512, 2)})

    def forward(
        self,
        faces: Tensor,  # [N, 3, 112, 112], RGB, 0..255
    ) -> tuple[Tensor, Tensor]:
        """Age in years [N] and gender logits [N, 2] in the order of GENDERS."""
        features = self.entry_flow(self.normalise(faces))  # [N, 128, 14, 14]
        features = self.exit_flow(self.middle_flow(features))  # [N, 512, 7, 7]
        pooled = features.mean(dim=(2, 3))  # [N, 512]
        return self.fc["age"](pooled)[:, 0], self.fc["gender"](pooled)


class ExpressionNetwork(FaceNetwork):
    """Four dense blocks and one head."""

    def __init__(self) -> None:
        super().__init__()
        self.dense0 = DenseBlock(Convolution(3, 32, kernel=_KERNEL, stride=2), 32)
        self.dense1 = DenseBlock(SeparableConvolution(32, 64, stride=2), 64)
        self.dense2 = DenseBlock(SeparableConvolution(64, 128, stride=2), 128)
        self.dense3 = DenseBlock(SeparableConvolution(128, 256, stride=2), 256)
        self.fc = FullyConnected(256, len(EXPRESSIONS))

    def forward(self, faces: Tensor) -> Tensor:  # [N, 3, 112, 112], RGB, 0..255 -> [N, 7]
        """Logits in the order of EXPRESSIONS."""
        features = self.dense1(self.dense0(self.normalise(faces)))  # [N, 64, 28, 28]
        features = self.dense3(self.dense2(features))  # [N, 256, 7, 7]
        return self.fc(features.mean(dim=(2, 3)))


def to_torch_layout(name: str, values: np.ndarray) -> Tensor:
    """A copy in torch's order of axes: outputs first instead of last, height and width last."""
    if values.ndim != 4:
        return torch.tensor(values)
    # TensorFlow stores [H, W, I, O] and, depthwise, [H, W, C, 1] where torch wants [C, 1, H, W].
    order = (2, 3, 0, 1) if name.endswith("/depthwise_filter") else (3, 2, 0, 1)
    return torch.tensor(np.ascontiguousarray(values.transpose(order)))


def _chain(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
