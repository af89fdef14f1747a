"""Stores a StyleGAN2 of config-f widths with random weights and one random head, to be timed.

python -m benchmarks.random_model --resolution 256
python -m benchmarks.service --model random-256 --steps 2 --edits 16
"""

import argparse

import torch
from rich.console import Console

from benchmarks.synthesis import make_generator
from editing import Head
from model_store import AttributeCard, StoredModel, save_model

UNITS = 16  # of the hidden layer, as in the released classifiers


def store_random(resolution: int) -> StoredModel:
    """The model `random-RESOLUTION`, its weights always the same."""
    generator = make_generator(resolution)
    attribute = AttributeCard(name="random", classes=("no", "yes"))
    update = {"name": f"random-{resolution}", "attributes": (attribute,)}
    card = generator.card.model_copy(update=update)
    _, channels = card.latent_shape
    source = torch.Generator().manual_seed(0)
    head = Head(
        torch.randn(UNITS, channels, generator=source) / channels**0.5,
        torch.zeros(UNITS),
        torch.randn(1, UNITS, generator=source),
        torch.zeros(1),
    )
    return save_model(generator, card, {attribute.name: head})


def main() -> None:
    """Store it and say its name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=256)
    stored = store_random(parser.parse_args().resolution)
    Console().print(f"stored {stored.tag}")


if __name__ == "__main__":
    main()
