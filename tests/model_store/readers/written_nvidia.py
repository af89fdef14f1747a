"""StyleGAN2 pickles as NVIDIA's PyTorch code writes them, from canonical tensors of ours.

Stubs stand in sys.modules under the names of NVIDIA's modules while a file is written, and for no
longer. The pickled source raises when somebody runs it.
"""

import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

MODULE_SOURCE = "raise RuntimeError('module source was executed')\n"
_BUFFERS = ("resample_filter", "noise_const", "w_avg")
_CLASSES = {
    "mapping": "MappingNetwork",
    "synthesis": "SynthesisNetwork",
    "conv0": "SynthesisLayer",
    "conv1": "SynthesisLayer",
    "torgb": "ToRGBLayer",
    "skip": "Conv2dLayer",
    "affine": "FullyConnectedLayer",
    "embed": "FullyConnectedLayer",
}


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("only pickled by name")


class EasyDict(dict[str, Any]):
    """dnnlib.util.EasyDict, pickled by name."""


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
EasyDict.__module__ = "dnnlib.util"


class Persistent:
    """An object of a class decorated by torch_utils.persistence."""

    def __init__(self, class_name: str, state: dict[str, Any]) -> None:
        self.class_name = class_name
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        meta = EasyDict(
            type="class",
            version=6,
            module_src=MODULE_SOURCE,
            class_name=self.class_name,
            state=self.state,
        )
        return _reconstruct_persistent_obj, (meta,)


@contextmanager
def official_modules() -> Iterator[None]:
    """NVIDIA's module names, importable for the pickler."""
    persistence, util = ModuleType("torch_utils.persistence"), ModuleType("dnnlib.util")
    persistence.__dict__["_reconstruct_persistent_obj"] = _reconstruct_persistent_obj
    util.__dict__["EasyDict"] = EasyDict
    stubs = {"torch_utils": ModuleType("torch_utils"), "dnnlib": ModuleType("dnnlib")}
    stubs |= {"torch_utils.persistence": persistence, "dnnlib.util": util}
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            del sys.modules[name]


def write_nvidia(
    path: Path,
    tensors: Mapping[str, Tensor],
    conv_clamp: float | None = None,
    lr_multiplier: float = 0.01,
    protocol: int = 4,
    snapshot: Mapping[str, Any] | None = None,
    **attributes: Any,
) -> Path:
    """A network snapshot whose G_ema has these tensors; `snapshot` overrides its entries."""
    network = (
        stylegan2_module(tensors, conv_clamp, lr_multiplier, **attributes) if tensors else None
    )
    content: dict[str, Any] = {
        "training_set_kwargs": EasyDict(path="/data.zip"),
        "G": None,
        "D": None,
    }
    content |= {"G_ema": network, "augment_pipe": None, **(snapshot or {})}
    with official_modules(), path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


def stylegan2_module(
    tensors: Mapping[str, Tensor],
    conv_clamp: float | None = None,
    lr_multiplier: float = 0.01,
    **attributes: Any,
) -> Persistent:
    """The module tree of a generator; `attributes` are set on its root."""
    named = _with_filters(tensors)
    paths = {name.rpartition(".")[0] for name in named}
    for path in list(paths):
        while path := path.rpartition(".")[0]:
            paths.add(path)
    modules: dict[str, Persistent] = {}
    for path in ["", *sorted(paths - {""})]:
        leaf = path.rpartition(".")[2]
        state = _module_state(named, path)
        if leaf in ("conv0", "conv1", "torgb"):
            state |= {"conv_clamp": conv_clamp}
        if leaf in ("conv0", "conv1"):
            state |= {"activation": "lrelu", "up": 2 if leaf == "conv0" else 1}
        if leaf.startswith("fc"):
            state |= {"activation": "lrelu", "bias_gain": lr_multiplier}
        modules[path] = Persistent(_CLASSES.get(leaf, "SynthesisBlock"), state)
        if path:
            modules[path.rpartition(".")[0]].state["_modules"][leaf] = modules[path]
    modules[""].class_name = "Generator"
    resolutions = [int(p[len("synthesis.b") :]) for p in paths if p.count(".") == 1 and ".b" in p]
    modules[""].state |= {"img_resolution": max(resolutions), "img_channels": 3, **attributes}
    return modules[""]


def _with_filters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """One copy of the resampling filter for every block, convolution and skip."""
    named = dict(tensors)
    fir = named.pop("synthesis.resample_filter")
    for name in list(named):
        if name.endswith(("conv0.weight", "conv1.weight", "skip.weight")):
            named[f"{name.removesuffix('.weight')}.resample_filter"] = fir.clone()
            block = ".".join(name.split(".")[:2])
            named.setdefault(f"{block}.resample_filter", fir.clone())
    return named


def _module_state(named: Mapping[str, Tensor], path: str) -> dict[str, Any]:
    parameters: OrderedDict[str, Any] = OrderedDict()
    buffers: OrderedDict[str, Any] = OrderedDict()
    for name, tensor in named.items():
        if name.rpartition(".")[0] == path:
            leaf = name.rpartition(".")[2]
            if leaf in _BUFFERS:
                buffers[leaf] = tensor
            else:
                parameters[leaf] = torch.nn.Parameter(tensor, requires_grad=False)
    if path.endswith(("torgb", "skip")) and "bias" not in parameters:
        parameters["bias"] = None
    return {
        "training": False,
        "_parameters": parameters,
        "_buffers": buffers,
        "_non_persistent_buffers_set": set(),
        "_backward_hooks": OrderedDict(),
        "_modules": OrderedDict(),
        "_init_args": (),
        "_init_kwargs": EasyDict(),
    }
