"""Photos of any kind to pixels of a model: read, find the face, align, paste back."""

from model_store.photos.alignment import (
    CELEBA_TEMPLATE,
    Placement,
    crop,
    fit_photo,
    paste_back,
    place_face,
)
from model_store.photos.errors import PhotoError
from model_store.photos.faces import FACES_FILE, Face, FaceFinder
from model_store.photos.reading import MIN_SIDE, READABLE, read_photo, square

__all__ = [
    "CELEBA_TEMPLATE",
    "FACES_FILE",
    "MIN_SIDE",
    "READABLE",
    "Face",
    "FaceFinder",
    "PhotoError",
    "Placement",
    "crop",
    "fit_photo",
    "paste_back",
    "place_face",
    "read_photo",
    "square",
]
