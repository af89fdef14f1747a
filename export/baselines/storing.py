"""From a labelled bank to a stored version with directions: the whole of `gradctrl directions`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.banks import open_bank_of
from export.baselines.fitting import DirectionOptions, applicable_methods, fit_directions
from export.errors import ExportError
from export.evaluation.judging import make_judge
from export.labels import read_labels
from export.onlookers import head_onlooker, image_onlooker
from model_store import BASELINES, Directions, StoredModel, save_directions

_PROBE = 2  # images that labelers are asked once, to learn which attributes they know


@dataclass(frozen=True)
class StoredFit:
    """A stored version, and what was fitted for it."""

    model: StoredModel
    directions: list[Directions]
    left_out: tuple[str, ...]  # methods that do not apply to the model


def store_directions(
    name: str,
    bank_folder: Path,
    labelers: Sequence[str],  # who looks at validation images; none: the model's heads, no images
    methods: Sequence[str] = (),  # none: all that the model's latent space allows
    options: DirectionOptions | None = None,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> StoredFit:
    """Fit and store; ExportError for an unknown method or a model without attributes."""
    if unknown := [one for one in methods if one not in BASELINES]:
        raise ExportError(f"--methods: no {unknown[0]!r}; there are: {', '.join(BASELINES)}")
    model, bank = open_bank_of(bank_folder, name)
    heads = model.stacked_heads()
    if heads is None:
        raise ExportError(f"{model.tag} has no attributes; train some with: gradctrl train")
    generator = model.generator()
    onlooker = head_onlooker(heads, [one.name for one in model.card.attributes])
    if labelers:
        probe = np.asarray(bank.images[:_PROBE])
        judge = make_judge(labelers, model.card.attributes, bank_folder, probe)
        onlooker = image_onlooker(generator, judge)
    fitted = fit_directions(
        model.card,
        generator,
        bank,
        read_labels(bank_folder, model.card.attributes),
        onlooker,
        methods,
        options,
        report,
    )
    left_out = () if methods else tuple(set(BASELINES) - set(applicable_methods(generator)))
    latest, _ = open_bank_of(bank_folder, name)  # another command may have stored a version
    return StoredFit(save_directions(latest, fitted), fitted, left_out)
