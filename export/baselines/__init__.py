"""Fits the baselines' directions on a labelled bank: `gradctrl directions`."""

from export.baselines.fitting import DirectionOptions, applicable_methods, fit_directions
from export.baselines.storing import StoredFit, store_directions

__all__ = [
    "DirectionOptions",
    "StoredFit",
    "applicable_methods",
    "fit_directions",
    "store_directions",
]
