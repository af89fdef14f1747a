"""GANSpace's candidates: components, signs and layer ranges of a model's own principal components.

No label is used for the components. In the paper a person picks among them by looking at images.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from editing.baselines import PrincipalComponents, principal_components, regressed_components
from export.baselines.choosing import Candidate, Chosen, Trial, Validation, choose, run_trial
from model_store import Generator

DEVIATIONS = (0.5, 1.0, 2.0, 4.0)  # how far a candidate is tried, standard deviations
SHORT_LIST = 2  # components per class whose layers are tried
FEATURE_SAMPLES = 4000
Report = Callable[[str, int, int], None]  # what, done, in all


def bank_components(
    generator: Generator,
    latents: np.ndarray,  # [N, L, C], a bank
    count: int,
) -> PrincipalComponents:
    """Components of w; of a z-space model those of its first layer, brought to z by regression."""
    if generator.card.edit_space != "z":
        return principal_components(torch.from_numpy(latents.mean(axis=1)), count)
    points = torch.from_numpy(np.array(latents[:FEATURE_SAMPLES, 0]))
    return regressed_components(first_layer(generator, points), points, count)


def first_layer(generator: Generator, z: Tensor) -> Tensor:
    """Activations [N, F] of the first layer of a DCGAN for z [N, z_dim]; batch norm is folded."""
    state = generator.state()
    weight, bias = state["layers.0.weight"], state["layers.0.bias"]  # [C_in, C_out, 4, 4], [C_out]
    channels = torch.einsum("nc,cohw->nohw", z, weight) + bias[:, None, None]
    return channels.relu().flatten(1)


def component_candidates(
    found: PrincipalComponents, layers: tuple[int, int], components: Sequence[int] | None = None
) -> list[Candidate]:
    """Both signs of every component on one range of layers."""
    chosen = range(len(found.components)) if components is None else components
    return [
        Candidate(
            f"{'-' if sign < 0 else '+'}component {p}, layers {layers[0]}:{layers[1]}",
            sign * found.components[p],
            layers,
            tuple(float(found.deviations[p]) * deviation for deviation in DEVIATIONS),
        )
        for p in chosen
        for sign in (1, -1)
    ]


def layer_ranges(num_layers: int) -> list[tuple[int, int]]:
    """All layers, and thirds and two thirds of them: coarse, middle and fine styles."""
    cuts = sorted({0, round(num_layers / 3), round(2 * num_layers / 3), num_layers})
    spans = [(low, high) for i, low in enumerate(cuts) for high in cuts[i + 1 :]]
    return sorted(spans, key=lambda span: (span != (0, num_layers), span))


def choose_components(
    validation: Validation,
    found: PrincipalComponents,
    classes: Sequence[tuple[int, int]],  # (judged attribute, class) to find an edit for
    report: Report = lambda what, done, total: None,
    has_layers: bool = True,  # False: whoever judges cannot tell layers apart
) -> dict[tuple[int, int], Chosen]:
    """One component, sign and range of layers per class: first the component, then its layers."""
    num_layers = validation.latents.shape[1]
    everywhere = component_candidates(found, (0, num_layers))
    trials = _run(validation, everywhere, "GANSpace components", report)
    listed: dict[str, Candidate] = {}
    for attribute, target in classes:
        for one in choose(validation, trials, attribute, target, SHORT_LIST):
            listed[one.candidate.name] = one.candidate
    narrower = [
        Candidate(
            candidate.name.replace(f"layers 0:{num_layers}", f"layers {low}:{high}"),
            candidate.vector,
            (low, high),
            candidate.lengths,
        )
        for candidate in listed.values()
        for low, high in (layer_ranges(num_layers)[1:] if has_layers else [])
    ]
    trials += _run(validation, narrower, "GANSpace layers", report)
    return {pair: choose(validation, trials, *pair)[0] for pair in classes}


def _run(
    validation: Validation, candidates: Sequence[Candidate], what: str, report: Report
) -> list[Trial]:
    trials = []
    for done, candidate in enumerate(candidates, 1):
        trials.append(run_trial(validation, candidate))
        report(what, done, len(candidates))
    return trials
