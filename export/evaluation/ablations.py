"""Variants of the walk that answer one question each: how many channels, how many labels?

Knows nothing about images. A variant is a method with a number, made when its edits are run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from editing import EditSettings, GradCtrlWalk, Method, StackedHeads
from export.banks import Bank
from export.labels import AttributeLabels
from export.teaching import TeachOptions, teach_model
from export.training import train_model
from model_store import ModelCard, StoredModel, stack_by_card

TOP_K_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of C; the paper's 50..250 are .1 to .5 of 512
LABEL_COUNTS = (10, 30, 100, 500)  # per class

Progress = Callable[[str, int, int], None]  # what, done, of so many


@dataclass(frozen=True)
class Variant:
    """One point of an ablation."""

    ablation: str  # top-k or labels
    value: int
    make: Callable[[], Method]

    @property
    def name(self) -> str:
        """The name in tables and files."""
        return f"{self.ablation}={self.value}"


def top_k_variants(
    card: ModelCard,
    heads: StackedHeads,
    settings: Sequence[EditSettings],
    shares: Sequence[float] = TOP_K_SHARES,
) -> list[Variant]:
    """The walk with k channels protected for each of the other attributes (paper, Fig. 8c).

    What counters side effects of the card's masks is left out.
    """
    counts = sorted({round(share * card.head_channels) for share in shares})

    def made(k: int) -> Callable[[], Method]:
        return lambda: GradCtrlWalk(heads, with_top_k(settings, k))

    return [Variant("top-k", k, made(k)) for k in counts]


def with_top_k(settings: Sequence[EditSettings], top_k: int) -> list[EditSettings]:
    """The same settings with `top_k` channels protected for each of the other attributes."""
    return [
        replace(one, top_k=tuple(0 if b == a else top_k for b in range(len(settings))), pulls={})
        for a, one in enumerate(settings)
    ]


def label_variants(
    model: StoredModel,
    bank: Bank,
    labels: Mapping[str, AttributeLabels],
    settings: Sequence[EditSettings],
    counts: Sequence[int] = LABEL_COUNTS,
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
) -> list[Variant]:
    """The walk with heads of so many labels per class.

    Attributes that the bank has no labels for keep their stored heads.
    """

    def made(per_class: int) -> Callable[[], Method]:
        return lambda: GradCtrlWalk(
            retrained_heads(model, bank, labels, per_class, seed, progress), settings
        )

    return [Variant("labels", count, made(count)) for count in counts]


def retrained_heads(
    model: StoredModel,
    bank: Bank,
    labels: Mapping[str, AttributeLabels],
    per_class: int,
    seed: int,
    progress: Progress,
) -> StackedHeads:
    """Heads of the model after training with another number of labels, in its own way."""
    names = {attribute.name for attribute in model.card.attributes}
    own = {name: one for name, one in labels.items() if name in names}
    if _were_taught(model.card):
        trained = teach_model(model, bank, own, TeachOptions(per_class, seed=seed), progress)
    else:
        trained = train_model(model, bank, own, per_class, seed=seed, progress=progress)
    heads = {**model.heads(), **{one.card.name: one.head for one in trained}}
    return stack_by_card(heads, model.card.attributes)


def _were_taught(card: ModelCard) -> bool:
    """Whether readers of images taught the heads; of one layer they may all the same, as in z."""
    in_one_layer = card.latent_shape[0] == 1 and any(one.latent_std for one in card.attributes)
    return card.heads_read == "all_layers" or in_one_layer
