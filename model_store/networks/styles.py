"""Style space S: what each layer's affine map makes of its w. Knows nothing about layers' work."""

from collections.abc import Mapping

import torch
from torch import Tensor

from editing import expect_shape

Styles = dict[str, Tensor]  # layer name -> [N, numbers that the layer reads]


def layer_styles(
    tensors: Mapping[str, Tensor],
    indices: Mapping[str, int],  # layer name -> layer of w_plus
    latents: Tensor,  # [N, num_ws, w_dim]
) -> Styles:
    """Styles of all layers, float32 (Karras et al. 2020, appendix B: equalised learning rate)."""
    w_avg = tensors["mapping.w_avg"]
    expect_shape("latents", latents, (None, max(indices.values()) + 1, w_avg.shape[0]))
    w_plus = latents.to(w_avg)
    styles = {}
    for name, index in indices.items():
        weight = tensors[f"synthesis.{name}.affine.weight"]
        bias = tensors[f"synthesis.{name}.affine.bias"]
        gain = weight.shape[1] ** -0.5
        styles[name] = torch.addmm(bias, w_plus[:, index], weight.T, alpha=gain)
    return styles
