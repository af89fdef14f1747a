"""Why a photo cannot be used: a code that clients see, a message, and what would be allowed."""

from collections.abc import Sequence
from typing import Any, Literal

from model_store.errors import ModelStoreError

PhotoCode = Literal["bad_image", "image_too_large", "no_face", "several_faces"]


class PhotoError(ModelStoreError):
    """A file that is no usable photo."""

    def __init__(self, code: PhotoCode, message: str, allowed: Sequence[Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.allowed = None if allowed is None else list(allowed)
