"""The judge's network: a small CNN that reads every attribute of an avatar image.

Knows nothing about training data or files. It learns from dataset images alone, never from
generated ones, so that it can judge them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.demo_model.attributes import ATTRIBUTES, NUM_CLASSES

FEATURES = 128  # length of the feature vector
WIDTHS = (32, 32, 64, 64, 64, 32)  # channels of the convolutions
STRIDES = (2, 1, 2, 1, 2, 2)  # 64 px -> 4 px
_COARSEST = 4  # pixels, height and width of the last convolution


class JudgeNetwork(nn.Module):
    """Convolutions, one hidden layer whose output is the feature vector, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (3, *WIDTHS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride, padding=1)
            for i, o, stride in zip(inputs, WIDTHS, STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS)
        self.hidden = nn.Linear(WIDTHS[-1] * _COARSEST**2, FEATURES)
        self.heads = nn.Linear(FEATURES, sum(NUM_CLASSES.values()))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # [N, 3, 64, 64], 0..255
        """Logits [N, all classes of all attributes] and features [N, FEATURES]."""
        x = images / 127.5 - 1
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.relu(norm(convolution(x)))
        features = functional.relu(self.hidden(x.flatten(1)))
        return self.heads(features), features


def folded(network: JudgeNetwork) -> JudgeNetwork:
    """A frozen copy whose batch normalisations do nothing: they are part of the convolutions."""
    copy = JudgeNetwork().eval()
    copy.load_state_dict(network.state_dict())
    with torch.no_grad():
        for convolution, norm in zip(copy.convolutions, copy.norms, strict=True):
            assert isinstance(convolution, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            assert convolution.bias is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()  # [C]
            convolution.weight *= scale[:, None, None, None]
            convolution.bias.copy_((convolution.bias - norm.running_mean) * scale + norm.bias)
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)
            norm.bias.zero_()
    return copy.requires_grad_(False)


def split_logits(logits: Tensor) -> dict[str, Tensor]:  # [N, all classes] -> name -> [N, K]
    """Logits by attribute."""
    parts = logits.split([len(a.classes) for a in ATTRIBUTES], dim=1)
    return {a.name: part for a, part in zip(ATTRIBUTES, parts, strict=True)}
