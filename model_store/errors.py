"""What can go wrong between a file and a model in memory.

ModelStoreError
├── UnknownModelError   no such model in the store
├── EmptyStoreError     there is no model at all
├── CorruptModelError   a stored file differs from the hash on its card
└── CheckpointError     a file is not a checkpoint that we can read, or its tensors are wrong
"""


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
