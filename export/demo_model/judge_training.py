"""Trains the judge on dataset images and writes it: safetensors, ONNX, accuracies.

`python -m export.demo_model.judge_training --data .cache/avatars --output DIR`. Never sees a
generated image. Knows nothing about the GAN.
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional

from export.demo_model.attributes import NAMES
from export.demo_model.dataset import HELD_OUT, TRAIN, Split, open_split
from export.demo_model.degradations import add_noise, blur, compress, degrade
from export.demo_model.judge import JUDGE_FILE, Judge
from export.demo_model.judge_network import JudgeNetwork, folded, split_logits
from export.demo_model.judge_onnx import to_onnx

ACCURACIES_FILE = "judge.json"
Damage = Callable[[Tensor, np.random.Generator], Tensor]
DAMAGES: dict[str, Damage] = {  # under which accuracies are measured
    "clean": lambda images, rng: images,
    "blur": lambda images, rng: blur(images, 0.8),
    "noise": lambda images, rng: add_noise(images, np.full(len(images), 8, np.float32), rng),
    "jpeg": lambda images, rng: compress(images, 60),
}


@dataclass(frozen=True)
class JudgeOptions:
    """A training run."""

    epochs: int = 4
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


def train_judge(
    split: Split, options: JudgeOptions, progress: Callable[[int, int], None] = lambda a, b: None
) -> JudgeNetwork:
    """The trained network, in eval mode, batch normalisation folded."""
    rng = np.random.default_rng(options.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = JudgeNetwork()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    labels = {name: torch.from_numpy(split.labels[name]) for name in NAMES}
    steps = options.epochs * (len(split.images) // options.batch)
    adam = torch.optim.AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, options.learning_rate, steps)
    for step in range(steps):
        chosen = np.sort(rng.integers(len(split.images), size=options.batch))
        images = degrade(to_tensor(split.images[chosen]), rng)
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast, accuracies as good
            logits, _ = network(images.contiguous(memory_format=torch.channels_last))
        loss = _loss(logits.float(), {name: values[chosen] for name, values in labels.items()})
        loss.backward()
        adam.step()
        adam.zero_grad(set_to_none=True)
        schedule.step()
        progress(step + 1, steps)
    return folded(network.eval())


def to_tensor(images: np.ndarray) -> Tensor:  # [N, H, W, 3], uint8 -> [N, 3, H, W], 0..255
    """Float32 images in the network's order."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()


def measure_accuracies(judge: Judge, split: Split) -> dict[str, dict[str, float]]:
    """Share of right labels by damage and attribute."""
    return {name: _accuracies(judge, split, damage) for name, damage in DAMAGES.items()}


def _accuracies(judge: Judge, split: Split, damage: Damage) -> dict[str, float]:
    damaged = damage(to_tensor(split.images), np.random.default_rng(0))
    pixels = damaged.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    labels = judge.read(pixels).labels()
    return {name: float((labels[name] == split.labels[name]).mean()) for name in NAMES}


def _loss(logits: Tensor, labels: Mapping[str, Tensor]) -> Tensor:
    losses = [
        functional.cross_entropy(part, labels[name]) for name, part in split_logits(logits).items()
    ]
    return torch.stack(losses).sum()


def write_judge(network: JudgeNetwork, folder: Path) -> Path:
    """`judge.onnx` in a folder; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx_file = folder / JUDGE_FILE.name
    onnx.save(to_onnx(network), onnx_file)
    return onnx_file


def main() -> None:
    """The command."""
    parser = ArgumentParser(description="train the judge of the avatars")
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--output", type=Path, default=JUDGE_FILE.parent, help="folder to write")
    parser.add_argument("--epochs", type=int, default=JudgeOptions.epochs)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train, held_out = (open_split(arguments.data, split) for split in (TRAIN, HELD_OUT))
    with Progress() as progress:
        task = progress.add_task("judge", total=None)
        network = train_judge(
            train,
            JudgeOptions(epochs=arguments.epochs),
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    path = write_judge(network, arguments.output)
    accuracies = measure_accuracies(Judge(path), held_out)
    (arguments.output / ACCURACIES_FILE).write_text(json.dumps(accuracies, indent=2))
    for damage, values in accuracies.items():
        print(damage, " ".join(f"{name} {value:.4f}" for name, value in values.items()))


if __name__ == "__main__":
    main()
