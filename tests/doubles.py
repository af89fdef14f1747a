"""Small real objects that stand in for big ones: a 16 px DCGAN and heads on its 16-channel z."""

import hashlib

import torch
from torch import Tensor, nn

from editing import Head
from model_store import AttributeCard, Dcgan, EditDefaults, Exclusion, ModelCard, Provenance

Z_DIM = 16
RESOLUTION = 16
ATTRIBUTES = (
    AttributeCard(
        name="smile",
        classes=("not_smiling", "smiling"),
        defaults=EditDefaults(
            steps=6, step_size=0.5, exclude=(Exclusion(attribute="age", top_k=3),)
        ),
    ),
    AttributeCard(name="age", classes=("young", "old")),
    AttributeCard(name="hair", classes=("black", "brown", "blond")),
)


def sequential_dcgan(seed: int = 0) -> nn.Sequential:
    """The PyTorch tutorial's layout with batch norms, in eval mode."""
    torch.manual_seed(seed)
    widths = (Z_DIM, 8, 6, 3)
    layers: list[nn.Module] = []
    for i in range(3):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(widths[i], widths[i + 1], 4, stride, padding, bias=False))
        if i < 2:
            norm = nn.BatchNorm2d(widths[i + 1])
            norm.running_mean = torch.randn(widths[i + 1])
            norm.running_var = torch.rand(widths[i + 1]) + 0.5
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)
            layers += [norm, nn.ReLU()]
    return nn.Sequential(*layers, nn.Tanh()).eval()


def tutorial_state(network: nn.Sequential) -> dict[str, Tensor]:
    """Its state dict under the names that the tutorial gives it."""
    return {f"main.{name}": tensor for name, tensor in network.state_dict().items()}


def make_card(name: str = "tiny", attributes: tuple[AttributeCard, ...] = ATTRIBUTES) -> ModelCard:
    """A card that fits `make_generator` and `make_heads`."""
    return ModelCard(
        name=name,
        family="dcgan",
        resolution=RESOLUTION,
        z_dim=Z_DIM,
        spaces=("z",),
        attributes=attributes,
        provenance=Provenance(
            source="tests/doubles.py",
            source_sha256=hashlib.sha256(b"doubles").hexdigest(),
            licence="Apache-2.0",
        ),
    )


def make_generator(card: ModelCard | None = None, seed: int = 0) -> Dcgan:
    """A DCGAN with random weights."""
    generator = torch.Generator().manual_seed(seed)
    widths = (Z_DIM, 8, 6, 3)
    weights = [
        torch.randn(widths[i], widths[i + 1], 4, 4, generator=generator) * 0.3 for i in range(3)
    ]
    biases = [torch.zeros(width) for width in widths[1:]]
    return Dcgan(card or make_card(), weights, biases)


def make_head(num_classes: int, seed: int, channels: int = Z_DIM, units: int = 8) -> Head:
    """A head with random weights."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1 if num_classes == 2 else num_classes
    return Head(
        torch.randn(units, channels, generator=generator) * 0.4,
        torch.randn(units, generator=generator) * 0.2,
        torch.randn(logits, units, generator=generator) * 0.6,
        torch.randn(logits, generator=generator) * 0.2,
    )


def make_heads(attributes: tuple[AttributeCard, ...] = ATTRIBUTES) -> dict[str, Head]:
    """One head per attribute."""
    return {a.name: make_head(len(a.classes), i) for i, a in enumerate(attributes)}
