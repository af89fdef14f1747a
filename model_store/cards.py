"""The model card: everything about a model that is not a weight. Knows nothing about tensors."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Family = Literal["dcgan", "stylegan1", "stylegan2", "stylegan3"]
Space = Literal["z", "w", "w_plus"]
HeadsRead = Literal["one_layer", "all_layers"]
MethodName = Literal[
    "gradctrl",
    "gradctrl-released",
    "gradctrl-paper",
    "interfacegan",
    "interfacegan-conditional",
    "ganspace",
    "stylespace",
]
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
LATENT_STD = (
    "standard deviation of sampled latents as its head reads them, root mean square over channels; "
    "gradctrl averages the row of this attribute over normal noise of that size when it edits it; "
    "0: it does not"
)
SIDE_EFFECTS = (
    "what edits of this attribute with its defaults do to other attributes though its direction "
    "does not, measured in images by gradctrl tune; gradctrl counters them unless a request names "
    "exclusions or layers of its own"
)
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CardModel(BaseModel):
    """Base of all parts of a card: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Exclusion(CardModel):
    """An attribute to protect, with the number of its most salient channels to mask."""

    attribute: Name
    top_k: int = Field(ge=0)


class EditDefaults(CardModel):
    """What an edit does where the request is silent."""

    steps: int = Field(default=20, ge=0, le=64)
    step_size: float = Field(
        default=0.3, gt=0, description="L2 length of a step, of the latent that heads read"
    )
    goal: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="probability of the target that the last step aims at, by steps of up to six "
        "times step_size; null: every step has step_size",
    )
    exclude: tuple[Exclusion, ...] = ()
    layers: tuple[int, int] | None = Field(default=None, description="half-open; null is all")

    def as_pairs(self) -> list[tuple[str, int]]:
        """The exclusions as (attribute, top_k)."""
        return [(exclusion.attribute, exclusion.top_k) for exclusion in self.exclude]


class Swap(CardModel):
    """Two classes of an attribute, of which edits lose one to the other."""

    lost: Name
    gained: Name
    rate: float = Field(gt=0, le=1, description="share of edits that do, less those that undo it")


class SideEffect(CardModel):
    """How edits to a class change another attribute, and what each step adds against it."""

    target: Name = Field(description="class that is edited to")
    attribute: Name = Field(description="that changes")
    swaps: tuple[Swap, ...] = Field(min_length=1)
    share: float = Field(gt=0, le=1, description="length of what is added, in lengths of the step")


class AttributeCard(CardModel):
    """One attribute with its named classes; index order is the order of the logits.

    A binary attribute has two classes: its single logit is positive for the second one.
    """

    name: Name
    classes: tuple[Name, ...] = Field(min_length=2)
    defaults: EditDefaults = EditDefaults()
    validation_accuracy: float | None = Field(default=None, ge=0, le=1)
    validation_samples: int | None = Field(default=None, ge=0)
    training_samples_per_class: int | None = Field(default=None, ge=1)
    labelled_by: str | None = None
    latent_std: float = Field(
        default=0.0,
        ge=0,
        exclude_if=lambda std: not std,  # else every model without would get a new version
        description=LATENT_STD,
    )
    side_effects: tuple[SideEffect, ...] = Field(
        default=(), exclude_if=lambda found: not found, description=SIDE_EFFECTS
    )

    def with_defaults(self, defaults: EditDefaults) -> Self:
        """The same attribute with other defaults."""
        return self.model_copy(update={"defaults": defaults})

    def with_side_effects(self, effects: tuple[SideEffect, ...]) -> Self:
        """The same attribute with other side effects."""
        return self.model_copy(update={"side_effects": effects})

    def with_share_of_masks(self, share: float) -> Self:
        """With that share (0..1) of every default top_k, and no mask lost."""
        masks = tuple(
            one.model_copy(update={"top_k": max(min(one.top_k, 1), round(share * one.top_k))})
            for one in self.defaults.exclude
        )
        return self.with_defaults(self.defaults.model_copy(update={"exclude": masks}))


class Provenance(CardModel):
    """Where the weights come from and under which terms."""

    source: str
    source_sha256: Sha256
    licence: str
    notes: str = ""


class InversionCard(CardModel):
    """What is known of a model's inversion."""

    max_error: float = Field(
        gt=0, description="mean squared error of pixels in 0..1 above which an inversion failed"
    )
    measured: str = Field(description="how that was chosen")
    aligns_faces: bool = Field(
        default=False, description="photos are cut so that their only face lies as in training"
    )


class OnnxCard(CardModel):
    """How an ONNX file of a model was made."""

    opset: int = Field(ge=1, description="version of the operators that it is written in")
    compared_with: str = Field(
        description="provider of ONNX Runtime on which it computed what torch does"
    )
    tolerance: float = Field(
        gt=0, description="largest difference from torch that was allowed, of w or pixels in -1..1"
    )


class ModelCard(CardModel):
    """Facts of one stored model; `files` maps every stored file to its sha256."""

    name: Name
    family: Family
    resolution: int = Field(ge=4, description="pixels, height = width")
    z_dim: int = Field(ge=1)
    w_dim: int | None = Field(default=None, ge=1, description="null where there is no W space")
    num_ws: int | None = Field(default=None, ge=1)
    spaces: tuple[Space, ...] = Field(min_length=1, description="spaces in which it edits")
    c_dim: int = Field(default=0, ge=0, description="class labels of a conditional model; 0: none")
    truncation: float = Field(default=1.0, ge=0, le=1, description="default psi")
    truncation_cutoff: int | None = Field(
        default=None, ge=0, description="layers that truncation touches; null is all"
    )
    network: dict[str, Any] = Field(
        default={}, description="options of the network that its weights do not show"
    )
    heads_read: HeadsRead = Field(
        default="one_layer",
        description="one_layer: w_dim or z_dim channels, the mean of the edited layers; "
        "all_layers: num_ws * w_dim channels of w_plus",
    )
    attributes: tuple[AttributeCard, ...] = ()
    inversion: InversionCard | None = Field(
        default=None, description="of real images; null: never measured, optimising works anyway"
    )
    onnx: dict[str, OnnxCard] = Field(
        default={},
        exclude_if=lambda cards: not cards,  # else every model without would get a new version
        description="of its ONNX files, by name",
    )
    provenance: Provenance
    files: dict[str, Sha256] = {}

    @property
    def edit_space(self) -> Space:
        """The space in which heads read and walks move."""
        return self.spaces[0]

    @property
    def source_spaces(self) -> tuple[Space, ...]:
        """Spaces in which a latent can be given: all that lead to the edit space."""
        return ("z",) if self.edit_space == "z" else ("z", "w", "w_plus")

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Layers and channels [L, C] of a latent in the edit space; L = 1 in z."""
        if self.edit_space == "z":
            return (1, self.z_dim)
        assert self.num_ws is not None
        assert self.w_dim is not None
        return (self.num_ws, self.w_dim)

    @property
    def head_channels(self) -> int:
        """Channels that heads read, and that a top_k counts."""
        layers, channels = self.latent_shape
        return layers * channels if self.heads_read == "all_layers" else channels

    def as_one_layer(self) -> Self:
        """The same card for heads that read one layer: masks take the same share of channels."""
        narrow = self.model_copy(update={"heads_read": "one_layer"})
        share = narrow.head_channels / self.head_channels
        if share == 1:
            return self
        attributes = tuple(one.with_share_of_masks(share) for one in self.attributes)
        return narrow.model_copy(update={"attributes": attributes})

    @model_validator(mode="after")
    def _names_are_consistent(self) -> Self:
        names = [attribute.name for attribute in self.attributes]
        if len(set(names)) != len(names):
            raise ValueError(f"attributes: names must differ, got {names}")
        for attribute in self.attributes:
            if len(set(attribute.classes)) != len(attribute.classes):
                raise ValueError(f"{attribute.name}: class names must differ")
            for exclusion in attribute.defaults.exclude:
                if exclusion.attribute not in names or exclusion.attribute == attribute.name:
                    raise ValueError(f"{attribute.name}: cannot exclude {exclusion.attribute!r}")
            self._expect_known(attribute)
        if self.edit_space != "z" and (self.num_ws is None or self.w_dim is None):
            raise ValueError(f"num_ws, w_dim: required to edit in {self.edit_space}")
        return self

    def _expect_known(self, attribute: AttributeCard) -> None:
        """ValueError for a side effect between classes that are not there."""
        classes = {one.name: one.classes for one in self.attributes if one.name != attribute.name}
        for effect in attribute.side_effects:
            named = {name for swap in effect.swaps for name in (swap.lost, swap.gained)}
            known = set(classes.get(effect.attribute, ()))
            if effect.target not in attribute.classes or not known.issuperset(named):
                raise ValueError(f"{attribute.name}: unknown classes in a side effect: {effect}")
