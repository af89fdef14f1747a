"""StyleGAN2-ADA (and StyleGAN2 saved by StyleGAN3's code) as NVIDIA pickles it in PyTorch."""

from model_store.errors import CheckpointError
from model_store.networks.mapping import MappingOptions
from model_store.networks.stylegan2_layout import Stylegan2Options
from model_store.readers.network_parts import NetworkParts, load_tensors
from model_store.readers.nvidia_modules import Flattened, same_attribute
from model_store.readers.stylegan2_names import merge_filters

_LAYERS = ("conv0", "conv1", "torgb")
_ACTIVATED = ("conv0", "conv1")


def read_stylegan2_nvidia(found: Flattened, file_bytes: int) -> NetworkParts:
    """Parts of the flattened G_ema."""
    if same_attribute(found, _ACTIVATED, "activation", "lrelu") != "lrelu":
        raise CheckpointError("a synthesis with another activation than lrelu")
    clamp = same_attribute(found, _LAYERS, "conv_clamp", None)
    if not isinstance(clamp, int | float | None):
        raise CheckpointError("conv_clamp is not a number")
    tensors = merge_filters(load_tensors(found.tensors, file_bytes))
    return NetworkParts(
        "stylegan2",
        tensors,
        Stylegan2Options(mapping_options(found), None if clamp is None else float(clamp)),
        resolution_claimed=claimed_resolution(found),
    )


def mapping_options(found: Flattened) -> MappingOptions:
    """The learning-rate multiplier of the mapping layers, as their bias gain shows it."""
    layer = found.modules.get("mapping.fc0")
    gain = MappingOptions.lr_multiplier if layer is None else layer.get("bias_gain", 0.01)
    if not isinstance(gain, int | float) or not 0 < gain <= 1:
        raise CheckpointError("mapping.fc0: bias_gain is not a learning-rate multiplier")
    return MappingOptions(float(gain))


def claimed_resolution(found: Flattened) -> int | None:
    """What the network says of itself."""
    claimed = found.modules[""].get("img_resolution")
    return claimed if isinstance(claimed, int) else None
