"""Fits the baselines' directions on a labelled bank: `gradctrl directions`."""

from export.baselines.fitting import DirectionOptions, applicable_methods, fit_directions
from export.baselines.onlookers import Onlooker, head_onlooker, image_onlooker
from export.baselines.storing import StoredFit, store_directions

__all__ = [
    "DirectionOptions",
    "Onlooker",
    "StoredFit",
    "applicable_methods",
    "fit_directions",
    "head_onlooker",
    "image_onlooker",
    "store_directions",
]
