"""Training state on disk: everything that the next step depends on, and weights for others.

`training.pt` continues a run exactly; `generator.safetensors` (averaged weights) and
`discriminator.safetensors` are what the project ships. Knows nothing about losses.
"""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from export.demo_model.adversarial import Players
from export.demo_model.avatar_networks import with_mean_w
from export.errors import ExportError
from model_store import DISCRIMINATOR_FILE, GENERATOR_FILE

STATE_FILE = "training.pt"


class CheckpointStateError(ExportError):
    """A folder whose training state does not fit the run."""


def save_training(folder: Path, players: Players, step: int, seed: int) -> None:
    """Write state and weights; each file is complete or the old one, whenever the power fails."""
    state = {
        "step": step,
        "seed": seed,
        "generator": {name: tensor.detach() for name, tensor in players.generator.items()},
        "average": players.average,
        "discriminator": players.discriminator.state_dict(),
        "generator_adam": players.generator_adam.state_dict(),
        "discriminator_adam": players.discriminator_adam.state_dict(),
    }
    _write(folder / STATE_FILE, lambda path: torch.save(state, path))
    averaged = with_mean_w(players.average)
    _write(folder / GENERATOR_FILE, lambda path: save_file(averaged, path))
    weights = {name: p.detach() for name, p in players.discriminator.state_dict().items()}
    _write(folder / DISCRIMINATOR_FILE, lambda path: save_file(weights, path))


def load_training(folder: Path, players: Players, seed: int) -> int:
    """Fill the players from a folder, give back the step; 0 where there is nothing yet."""
    path = folder / STATE_FILE
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["seed"] != seed:
            raise CheckpointStateError(
                f"{path}: started with seed {state['seed']}, not {seed}; choose an empty folder"
            )
        with torch.no_grad():
            for mine, stored in (
                (players.generator, state["generator"]),
                (players.average, state["average"]),
            ):
                for name, tensor in mine.items():
                    tensor.copy_(stored[name])
        players.discriminator.load_state_dict(state["discriminator"])
        players.generator_adam.load_state_dict(state["generator_adam"])
        players.discriminator_adam.load_state_dict(state["discriminator_adam"])
    except (OSError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        raise CheckpointStateError(f"{path}: not a state of this run: {error}") from error
    return int(state["step"])


def load_weights(folder: Path, players: Players) -> None:
    """Fill the players with weights alone, such as the shipped ones; optimisers start anew."""
    try:
        generator = load_file(folder / GENERATOR_FILE)
        discriminator = load_file(folder / DISCRIMINATOR_FILE)
        with torch.no_grad():
            for mine in (players.generator, players.average):
                for name, tensor in mine.items():
                    tensor.copy_(generator[name])
        players.discriminator.load_state_dict(discriminator)
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointStateError(f"{folder}: no weights of this model: {error}") from error


def _write(path: Path, save: Callable[[Path], None]) -> None:
    unfinished = path.with_suffix(path.suffix + ".part")
    save(unfinished)
    os.replace(unfinished, path)
