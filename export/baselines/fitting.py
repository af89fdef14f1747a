"""`gradctrl directions`: fits every baseline on as many labelled samples as heads are trained on.

They are the very samples of `gradctrl train` without `--spread` on the same bank and seed.
Validation samples are others; the onlooker labels edits of them, and GANSpace and StyleSpace choose
by that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from editing.baselines import conditional_normals
from export.banks import Bank
from export.baselines.choosing import Candidate, Chosen, Validation, make_validation
from export.baselines.ganspace import bank_components, choose_components
from export.baselines.interfacegan import fit_normals
from export.baselines.stylespace import channel_candidates, choose_channels, style_population
from export.errors import LabelError
from export.labels import AttributeLabels
from export.onlookers import Onlooker
from export.training import choose_samples
from model_store import (
    BASELINES,
    STYLE_METHODS,
    AttributeCard,
    Directions,
    Generator,
    ModelCard,
    style_vectors,
    styled,
)

Report = Callable[[str, int, int], None]  # what, done, in all


@dataclass(frozen=True)
class DirectionOptions:
    """How much is looked at."""

    per_class: int = 30  # labelled samples, as `gradctrl train`
    components: int = 80  # GANSpace paper, section 3
    validation_samples: int = 60  # for all attributes together; balanced, or rare classes have none
    seed: int = 0


@dataclass(frozen=True)
class _Job:
    """What every fit reads."""

    generator: Generator
    bank: Bank
    attributes: tuple[AttributeCard, ...]  # of the card, with labels of the same classes
    labels: Mapping[str, AttributeLabels]
    samples: Mapping[str, np.ndarray]  # by attribute, positions in the bank
    onlooker: Onlooker
    options: DirectionOptions
    report: Report

    def pairs(self) -> list[tuple[int, int]]:
        """(attribute of the onlooker, class) of everything to choose an edit for."""
        return [
            (self.onlooker.attributes.index(one.name), k)
            for one in self.attributes
            if one.name in self.onlooker.attributes
            for k in range(len(one.classes))
        ]

    def validation(self) -> Validation:
        """Bank samples that no fit has seen, as many of every class as can be."""
        seen = np.unique(np.concatenate(list(self.samples.values())))
        rest = np.setdiff1d(np.arange(self.bank.info.samples), seen)
        rng = np.random.default_rng([self.options.seed, *b"validation"])
        known = [self.labels[one.name].labels() for one in self.attributes]
        chosen = balanced_samples(rng.permutation(rest), known, self.options.validation_samples)
        latents = torch.from_numpy(self.bank.latents[np.sort(chosen)])
        return make_validation(latents, self.onlooker.margins)


def fit_directions(
    card: ModelCard,
    generator: Generator,
    bank: Bank,
    labels: Mapping[str, AttributeLabels],
    onlooker: Onlooker,
    methods: Sequence[str] = (),  # of BASELINES; none: all that the model allows
    options: DirectionOptions | None = None,
    report: Report = lambda what, done, total: None,
) -> list[Directions]:
    """Directions of each method for each labelled attribute of the card.

    UnsupportedMethodError where a named method does not apply to the model; LabelError if no
    labels fit the card.
    """
    options = options or DirectionOptions()
    known = [a for a in card.attributes if a.name in labels and labels[a.name].classes == a.classes]
    if not known:
        raise LabelError(
            f"{card.name}: no labels for any of {[one.name for one in card.attributes]}; "
            "gradctrl train puts labelled attributes on the card"
        )
    samples = {}
    for one in known:
        rng = np.random.default_rng([options.seed, *one.name.encode()])  # as train_attribute
        samples[one.name] = choose_samples(
            one.name, labels[one.name], options.per_class, "extremes", rng
        )
    job = _Job(generator, bank, tuple(known), labels, samples, onlooker, options, report)
    with torch.inference_mode():
        wanted = methods or applicable_methods(generator)
        return [found for name in wanted for found in _FITS[name](job)]


def balanced_samples(
    samples: np.ndarray,  # [N], positions in the bank, shuffled
    labels: Sequence[np.ndarray],  # per attribute, classes of the whole bank; -1 for none
    count: int,
) -> np.ndarray:
    """Up to `count` of the samples: each class of each attribute chooses one in turn."""
    queues = [
        [sample for sample in samples if classes[sample] == k][::-1]
        for classes in labels
        for k in range(int(classes.max()) + 1)
    ]
    chosen: dict[int, None] = {}  # an ordered set
    while len(chosen) < min(count, len(samples)) and any(queues):
        for queue in queues:
            while queue and int(queue[-1]) in chosen:
                queue.pop()
            if queue and len(chosen) < count:
                chosen[int(queue.pop())] = None
    return np.array(list(chosen), dtype=np.int64)


def applicable_methods(generator: Generator) -> tuple[str, ...]:
    """The baselines that a generator's latent space allows."""
    has_styles = generator.card.edit_space != "z"
    return tuple(name for name in BASELINES if has_styles or name not in STYLE_METHODS)


def _normals(job: _Job) -> list[torch.Tensor]:
    """Unit normals [K, C] of every attribute."""
    normals = []
    for one in job.attributes:
        chosen = job.samples[one.name]
        points = np.asarray(job.bank.latents[chosen]).mean(axis=1)  # [N, C]
        labels = job.labels[one.name].labels()[chosen]
        normals.append(fit_normals(points, labels, len(one.classes), job.options.seed))
    return normals


def _interfacegan(job: _Job) -> list[Directions]:
    return _from_normals(job, "interfacegan", _normals(job))


def _conditional(job: _Job) -> list[Directions]:
    return _from_normals(job, "interfacegan-conditional", conditional_normals(_normals(job)))


def _from_normals(job: _Job, method: str, normals: Sequence[torch.Tensor]) -> list[Directions]:
    num_layers = job.generator.card.latent_shape[0]
    remark = f"linear SVM on {job.options.per_class} samples per class, all layers"
    return [
        Directions(
            method,
            one.name,
            one.classes,
            vectors,
            torch.tensor([[0, num_layers]]).repeat(len(vectors), 1),
            remark,
        )
        for one, vectors in zip(job.attributes, normals, strict=True)
    ]


def _ganspace(job: _Job) -> list[Directions]:
    found = bank_components(job.generator, job.bank.latents, job.options.components)
    chosen = choose_components(
        job.validation(), found, job.pairs(), job.report, job.onlooker.sees_images
    )
    return _from_choices(job, "ganspace", chosen)


def _stylespace(job: _Job) -> list[Directions]:
    generator = styled(job.generator)
    population = style_population(generator, job.bank.latents)
    num_layers = generator.card.latent_shape[0]
    candidates: dict[tuple[int, int], Sequence[Candidate]] = {}
    for attribute, target in job.pairs():
        name = job.onlooker.attributes[attribute]
        chosen = job.samples[name]
        members = chosen[job.labels[name].labels()[chosen] == target]
        latents = torch.from_numpy(np.asarray(job.bank.latents[members]))
        positives = style_vectors(generator, latents)
        candidates[attribute, target] = channel_candidates(positives, population, num_layers)
    if job.onlooker.sees_images:
        found = choose_channels(job.validation(), candidates, job.report)
    else:  # nobody can look at styles: take the channel that ranks first
        found = {pair: Chosen(own[0], None, 0.0) for pair, own in candidates.items()}
    return _from_choices(job, "stylespace", found)


def _from_choices(
    job: _Job, method: str, chosen: Mapping[tuple[int, int], Chosen]
) -> list[Directions]:
    found = []
    for one in job.attributes:
        if one.name not in job.onlooker.attributes:
            continue
        a = job.onlooker.attributes.index(one.name)
        own = [chosen[a, k] for k in range(len(one.classes))]
        remarks = zip(one.classes, own, strict=True)
        found.append(
            Directions(
                method,
                one.name,
                one.classes,
                torch.stack([choice.candidate.vector for choice in own]),
                torch.tensor([choice.candidate.layers for choice in own]),
                "; ".join(f"{name}: {choice.remark}" for name, choice in remarks),
            )
        )
    return found


_FITS: dict[str, Callable[[_Job], list[Directions]]] = {
    "interfacegan": _interfacegan,
    "interfacegan-conditional": _conditional,
    "ganspace": _ganspace,
    "stylespace": _stylespace,
}
