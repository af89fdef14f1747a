"""Training runs of a second: tiny networks and images, full precision."""

import numpy as np
import torch

from export.demo_model.adversarial import StepOptions
from export.demo_model.training import TrainingOptions
from model_store.networks.discriminator import DiscriminatorSizes
from model_store.networks.stylegan2_initial import Stylegan2Sizes

BATCH = 8
STEP = StepOptions(batch=BATCH, parts=2, r1_interval=2, dtype=torch.float32)


def tiny_options(steps: int, seed: int = 0) -> TrainingOptions:
    """A run of so many steps, at a constant learning rate."""
    return TrainingOptions(
        images=steps * BATCH,
        seed=seed,
        decay_images=0,
        log_images=2 * BATCH,
        sheet_images=4 * BATCH,
        step=STEP,
        generator_sizes=Stylegan2Sizes({4: 6, 8: 6, 16: 4}, 8, 8, mapping_layers=2),
        discriminator_sizes=DiscriminatorSizes({8: 4, 4: 6}),
    )


def tiny_images() -> np.ndarray:  # [20, 16, 16, 3], uint8
    """Images that differ from each other."""
    return np.random.default_rng(5).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
