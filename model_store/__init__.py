"""What a model is on disk and in memory."""

from model_store.cards import (
    NAME_PATTERN,
    AttributeCard,
    EditDefaults,
    Exclusion,
    ModelCard,
    Provenance,
    Space,
)
from model_store.classifiers import read_heads, save_heads, stack_by_card
from model_store.errors import (
    CheckpointError,
    CorruptModelError,
    EmptyStoreError,
    ModelStoreError,
    PlanError,
    UnknownModelError,
)
from model_store.files import sha256_of
from model_store.generators import Generator, Mapper, to_pixels, z_from_seed
from model_store.networks import Dcgan, Stylegan1, Stylegan2, Stylegan3
from model_store.plans import PlannedEdit, plan_edit, walk_plan
from model_store.readers import (
    DCGAN_FORMAT,
    FORMATS,
    read_checkpoint,
    read_dcgan,
    read_gradctrl_classifiers,
)
from model_store.starts import (
    MAX_MAGNITUDE,
    Starts,
    class_labels,
    latent_shape_in,
    one_hot,
    start_latents,
    z_of_seeds,
)
from model_store.store import (
    DISCRIMINATOR_FILE,
    GENERATOR_FILE,
    StoredModel,
    find_model,
    list_models,
    models_to_serve,
    save_attributes,
    save_model,
)

__all__ = [
    "DCGAN_FORMAT",
    "DISCRIMINATOR_FILE",
    "FORMATS",
    "GENERATOR_FILE",
    "MAX_MAGNITUDE",
    "NAME_PATTERN",
    "AttributeCard",
    "CheckpointError",
    "CorruptModelError",
    "Dcgan",
    "EditDefaults",
    "EmptyStoreError",
    "Exclusion",
    "Generator",
    "Mapper",
    "ModelCard",
    "ModelStoreError",
    "PlanError",
    "PlannedEdit",
    "Provenance",
    "Space",
    "Starts",
    "StoredModel",
    "Stylegan1",
    "Stylegan2",
    "Stylegan3",
    "UnknownModelError",
    "class_labels",
    "find_model",
    "latent_shape_in",
    "list_models",
    "models_to_serve",
    "one_hot",
    "plan_edit",
    "read_checkpoint",
    "read_dcgan",
    "read_gradctrl_classifiers",
    "read_heads",
    "save_attributes",
    "save_heads",
    "save_model",
    "sha256_of",
    "stack_by_card",
    "start_latents",
    "to_pixels",
    "walk_plan",
    "z_from_seed",
    "z_of_seeds",
]
