"""The face networks of a stored model: for its photos, and for readers of its images."""

from safetensors import SafetensorError
from safetensors.torch import load_file

from model_store.errors import CheckpointError, CorruptModelError
from model_store.photos import FACES_FILE, FaceFinder
from model_store.store import StoredModel


def face_finder(model: StoredModel) -> FaceFinder | None:
    """The networks; None for a model without. CorruptModelError for a file that is not theirs."""
    if FACES_FILE not in model.card.files:
        return None
    try:
        return FaceFinder(load_file(model.path / FACES_FILE))
    except (OSError, SafetensorError, CheckpointError) as error:
        raise CorruptModelError(f"{model.tag}: {FACES_FILE}: {error}") from error
