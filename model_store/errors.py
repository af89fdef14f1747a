"""What can go wrong between a file and a model in memory.

ModelStoreError
├── UnknownModelError   no such model in the store
├── EmptyStoreError     there is no model at all
├── CorruptModelError   a stored file differs from the hash on its card
├── CheckpointError     a file is not a checkpoint that we can read, or its tensors are wrong
├── OnnxError           ONNX files that are not there or cannot run where they are asked to
└── PlanError          an edit that the model's card does not allow
"""

from collections.abc import Sequence
from typing import Any, Literal


class ModelStoreError(Exception):
    """Base of every error that `model_store` raises."""


class UnknownModelError(ModelStoreError):
    """A model name or tag that the store does not hold."""


class EmptyStoreError(ModelStoreError):
    """The store holds no model."""


class CorruptModelError(ModelStoreError):
    """A stored file whose sha256 is not the one on its card."""


class CheckpointError(ModelStoreError):
    """A checkpoint that cannot be read safely or completely."""


class OnnxError(ModelStoreError):
    """ONNX files that are missing, of another generator, or that a provider cannot run."""


class PlanError(ModelStoreError):
    """An edit that the card does not allow: which field, and what it may be."""

    def __init__(
        self,
        code: Literal["bad_request", "unknown_attribute", "unknown_class"],
        message: str,
        field: str,
        allowed: Sequence[Any],
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.allowed = list(allowed)
