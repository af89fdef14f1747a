"""What an evaluation compares and how much of it. Knows nothing about models."""

from dataclasses import dataclass, replace

from export.errors import ExportError
from export.evaluation.ablations import LABEL_COUNTS, TOP_K_SHARES
from export.evaluation.protocols import PROTOCOLS
from model_store import METHODS

QUICK_SAMPLES = 8
QUICK_POOL = 256


@dataclass(frozen=True)
class EvaluationOptions:
    """Everything that decides the numbers, beside the model, its bank and the judges."""

    methods: tuple[str, ...] = METHODS  # the first is compared with all others
    protocols: tuple[str, ...] = ("near", "far", "default")
    attributes: tuple[str, ...] = ()  # empty: all that are judged
    samples: int = 300  # edits per attribute and protocol
    pool: int = 4000  # unedited test samples to choose from
    steps: int = 20  # at most, where every frame is looked at
    step_size: float | None = None  # there, of all methods that take the card's; None: that
    seed: int = 0
    truncation: float | None = None  # None: the card's
    top_k_shares: tuple[float, ...] = TOP_K_SHARES  # of the channels; empty: no such ablation
    label_counts: tuple[int, ...] = LABEL_COUNTS  # per class; empty: no such ablation

    def __post_init__(self) -> None:
        """ExportError for unknown names."""
        if unknown := [name for name in self.methods if name not in METHODS]:
            raise ExportError(f"no method {unknown[0]!r}; there are: {', '.join(METHODS)}")
        if unknown := [name for name in self.protocols if name not in PROTOCOLS]:
            raise ExportError(f"no protocol {unknown[0]!r}; there are: {', '.join(PROTOCOLS)}")
        if not self.methods or not self.protocols:
            raise ExportError("methods, protocols: expected at least one of each")

    @property
    def ablation_protocol(self) -> str:
        """The harder protocol where it is there: near the boundary a random walk arrives too."""
        return "far" if "far" in self.protocols else self.protocols[0]

    def without_ablations(self) -> "EvaluationOptions":
        """The comparison of methods alone."""
        return replace(self, top_k_shares=(), label_counts=())

    def quick(self) -> "EvaluationOptions":
        """So little of everything that it ends within two minutes; its numbers mean nothing."""
        return replace(
            self,
            samples=min(self.samples, QUICK_SAMPLES),
            pool=min(self.pool, QUICK_POOL),
            top_k_shares=self.top_k_shares[:1],
            label_counts=self.label_counts[:1],
        )
