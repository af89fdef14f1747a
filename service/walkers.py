"""What computes walks: torch, a compiled step or CUDA graphs, by the settings. Knows no request."""

from dataclasses import dataclass

import numpy as np
import torch

from editing import CapturedWalk, CompiledWalk, CudaGraphRecorder, Walk, walk
from model_store import Starts, StoredModel, plan_edit
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
        attribute = model.card.attributes[0]
        edit = plan_edit(model.card, attribute.name, attribute.classes[0], steps=1)
        origin = np.zeros((1, *model.card.latent_shape), dtype=np.float32)
        spec = WalkSpec(model.tag, Starts(latents=origin), (edit,))
        with torch.inference_mode():
            walk_all(loaded, [spec] * self.num_samples)
