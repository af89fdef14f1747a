"""What computes walks: torch, a compiled step or CUDA graphs, by the settings. Knows no request."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from editing import CapturedWalk, CompiledWalk, CudaGraphRecorder, Walk, walk
from model_store import ModelCard, PlannedEdit, Starts, StoredModel, plan_edit
from service.settings import Settings
from service.specs import WalkSpec
from service.walking import LoadedHeads, walk_all


@dataclass(frozen=True)
class Walker:
    """How the walks of a process are run."""

    device: torch.device
    num_samples: int  # latents of one batch
    cuda_graphs: int  # most of a model; 0: none
    compiles: bool

    @classmethod
    def of(cls, config: Settings, device: torch.device, num_samples: int) -> "Walker":
        """That of the settings. Graphs go before compiling: they hold the plain walk."""
        compiles = config.backend == "torch-compile" and not config.cuda_graphs
        return cls(device, num_samples, config.cuda_graphs, compiles)

    def walk(self) -> Walk:
        """The walk of one model; NoGraphsError where the device has no CUDA graphs."""
        if self.cuda_graphs:
            return CapturedWalk(CudaGraphRecorder(self.device), self.cuda_graphs)
        return CompiledWalk(self.num_samples) if self.compiles else walk

    def warm_up(self, loaded: LoadedHeads, model: StoredModel) -> None:
        """Have a compiled walk translated before the first request, by a walk as requests do."""
        if not self.compiles:
            return
        edits = [_plain_edit(model.card), *_countering_edits(model.card)][:2]
        origin = np.zeros((1, *model.card.latent_shape), dtype=np.float32)
        with torch.inference_mode():
            for edit in edits:
                spec = WalkSpec(model.tag, Starts(latents=origin), (edit,))
                walk_all(loaded, [spec] * self.num_samples)


def _plain_edit(card: ModelCard) -> PlannedEdit:
    first = card.attributes[0]
    return plan_edit(card, first.name, first.classes[0], steps=1, exclude=[])


def _countering_edits(card: ModelCard) -> Iterator[PlannedEdit]:
    """Edits that counter side effects: their walks are other operations."""
    for attribute in card.attributes:
        for effect in attribute.side_effects:
            yield plan_edit(card, attribute.name, effect.target, steps=1)
