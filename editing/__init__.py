"""The method: tensors in, tensors out. Imports torch and nothing else of this project."""

from editing.errors import EditingError, NoEditableChannelsError, ShapeError
from editing.fitting import FitOptions, FittedHead, average_heads, fit_head, predicted_classes
from editing.gradients import combined_rows, jacobian, log_odds_rows
from editing.masking import MaskedDirection, mask_salient_channels
from editing.measures import EditRates, edit_rates
from editing.scoring import (
    Head,
    StackedHeads,
    class_logits,
    class_probabilities,
    stack_heads,
)
from editing.shapes import expect_shape
from editing.spaces import apply_deltas, edited_point, layer_mask
from editing.trajectory import NEVER_STOP, Trajectory, WalkPlan, direction_at, walk

__all__ = [
    "NEVER_STOP",
    "EditRates",
    "EditingError",
    "FitOptions",
    "FittedHead",
    "Head",
    "MaskedDirection",
    "NoEditableChannelsError",
    "ShapeError",
    "StackedHeads",
    "Trajectory",
    "WalkPlan",
    "apply_deltas",
    "average_heads",
    "class_logits",
    "class_probabilities",
    "combined_rows",
    "direction_at",
    "edit_rates",
    "edited_point",
    "expect_shape",
    "fit_head",
    "jacobian",
    "layer_mask",
    "log_odds_rows",
    "mask_salient_channels",
    "predicted_classes",
    "stack_heads",
    "walk",
]
