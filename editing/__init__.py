"""The method: tensors in, tensors out. Imports torch and nothing else of this project."""

from editing.captured import CapturedWalk, CudaGraphRecorder, Recording
from editing.compiled import CompiledWalk
from editing.countering import counter
from editing.dependency import (
    Changes,
    DependencyCurve,
    at_equal_change,
    changes,
    dependency_curve,
    spread,
)
from editing.distilling import DistilOptions, distil_heads
from editing.errors import (
    EditingError,
    NoEditableChannelsError,
    NoGraphsError,
    ShapeError,
    UnsupportedMethodError,
)
from editing.fitting import FitOptions, FittedHead, average_heads, fit_head, predicted_classes
from editing.gradients import combined_rows, jacobian, log_odds_rows
from editing.intervals import Interval, mean_interval
from editing.inversion import (
    InversionErrors,
    InversionOptions,
    InversionState,
    Problem,
    advance,
    begin,
    found_latents,
    is_finished,
    measure,
    to_latents,
)
from editing.latent_walk import LatentWalk, latent_direction, latent_logits, walk_latents
from editing.likeness import feature_distance, layer_spread, pixel_error
from editing.masking import MaskedDirection, mask_salient_channels
from editing.measures import EditRates, edit_rates
from editing.methods import EditSettings, GradCtrlWalk, Method, Path, WalkReport
from editing.projection import project_off
from editing.released import (
    RELEASED_STEP_SIZE,
    RELEASED_STEPS,
    FixedWalk,
    PaperGradCtrl,
    ReleasedGradCtrl,
    overwrite_layers,
    paper_walk,
    probability_rows,
    released_walk,
    score_rows,
)
from editing.scoring import (
    Head,
    StackedHeads,
    class_logits,
    class_probabilities,
    log_odds,
    stack_heads,
)
from editing.shapes import expect_shape
from editing.spaces import apply_deltas, edited_point, layer_mask, point_of, widen
from editing.trajectory import Trajectory, Walk, direction_at, walk
from editing.tuning import Tuned, TuningOptions, tune
from editing.walk_plan import NEVER_STOP, ClassPulls, WalkPlan, stacked_pulls

__all__ = [
    "NEVER_STOP",
    "RELEASED_STEPS",
    "RELEASED_STEP_SIZE",
    "CapturedWalk",
    "Changes",
    "ClassPulls",
    "CompiledWalk",
    "CudaGraphRecorder",
    "DependencyCurve",
    "DistilOptions",
    "EditRates",
    "EditSettings",
    "EditingError",
    "FitOptions",
    "FittedHead",
    "FixedWalk",
    "GradCtrlWalk",
    "Head",
    "Interval",
    "InversionErrors",
    "InversionOptions",
    "InversionState",
    "LatentWalk",
    "MaskedDirection",
    "Method",
    "NoEditableChannelsError",
    "NoGraphsError",
    "PaperGradCtrl",
    "Path",
    "Problem",
    "Recording",
    "ReleasedGradCtrl",
    "ShapeError",
    "StackedHeads",
    "Trajectory",
    "Tuned",
    "TuningOptions",
    "UnsupportedMethodError",
    "Walk",
    "WalkPlan",
    "WalkReport",
    "advance",
    "apply_deltas",
    "at_equal_change",
    "average_heads",
    "begin",
    "changes",
    "class_logits",
    "class_probabilities",
    "combined_rows",
    "counter",
    "dependency_curve",
    "direction_at",
    "distil_heads",
    "edit_rates",
    "edited_point",
    "expect_shape",
    "feature_distance",
    "fit_head",
    "found_latents",
    "is_finished",
    "jacobian",
    "latent_direction",
    "latent_logits",
    "layer_mask",
    "layer_spread",
    "log_odds",
    "log_odds_rows",
    "mask_salient_channels",
    "mean_interval",
    "measure",
    "overwrite_layers",
    "paper_walk",
    "pixel_error",
    "point_of",
    "predicted_classes",
    "probability_rows",
    "project_off",
    "released_walk",
    "score_rows",
    "spread",
    "stack_heads",
    "stacked_pulls",
    "to_latents",
    "tune",
    "walk",
    "walk_latents",
    "widen",
]
