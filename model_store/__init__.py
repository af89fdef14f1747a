"""What a model is on disk and in memory."""

from model_store.cards import (
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
from model_store.generators import Generator, to_pixels, z_from_seed
from model_store.networks import Dcgan
from model_store.plans import PlannedEdit, plan_edit, walk_plan
from model_store.readers import read_dcgan
from model_store.store import (
    StoredModel,
    find_model,
    list_models,
    models_to_serve,
    save_model,
)

__all__ = [
    "AttributeCard",
    "CheckpointError",
    "CorruptModelError",
    "Dcgan",
    "EditDefaults",
    "EmptyStoreError",
    "Exclusion",
    "Generator",
    "ModelCard",
    "ModelStoreError",
    "PlanError",
    "PlannedEdit",
    "Provenance",
    "Space",
    "StoredModel",
    "UnknownModelError",
    "find_model",
    "list_models",
    "models_to_serve",
    "plan_edit",
    "read_dcgan",
    "read_heads",
    "save_heads",
    "save_model",
    "sha256_of",
    "stack_by_card",
    "to_pixels",
    "walk_plan",
    "z_from_seed",
]
