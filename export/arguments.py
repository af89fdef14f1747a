"""Small notations of the command line: 0-7, age:10,smile:5 and 2:10."""

import re
from pathlib import Path

from PIL import Image

from export.errors import ExportError
from model_store import METHODS, MethodName

MAX_SEEDS = 100_000


def parse_seeds(text: str) -> list[int]:
    """Seeds of `0-7` or `1,5,9` or both; ExportError shows the notation."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise ExportError(f"seeds: expected something like 0-7 or 1,5,9, got {text!r}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < 2**32:
            raise ExportError(f"seeds: {part.strip()!r} is not a range within 0..{2**32 - 1}")
        if (count := len(seeds) + last - first + 1) > MAX_SEEDS:
            raise ExportError(f"seeds: at most {MAX_SEEDS:,} at once, got {count:,} or more")
        seeds += range(first, last + 1)
    return seeds


def expect_image_file(path: Path) -> None:
    """ExportError unless an image can be written there under a name that says its format."""
    if path.is_dir() or Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ExportError(f"-o: expected an image file such as strip.png, got {str(path)!r}")


def parse_exclude(text: str) -> list[tuple[str, int]]:
    """(attribute, top_k) pairs of `age:10,smile:5`; an empty text is no exclusion."""
    pairs = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, k = part.partition(":")
        if not name or not k.isdigit():
            raise ExportError(f"exclude: expected attribute:top_k pairs, got {part!r}")
        pairs.append((name, int(k)))
    return pairs


def parse_layers(text: str) -> tuple[int, int]:
    """The half-open range of `2:10`."""
    match = re.fullmatch(r"(\d+):(\d+)", text.strip())
    if not match:
        raise ExportError(f"layers: expected a half-open range such as 2:10, got {text!r}")
    return int(match[1]), int(match[2])


def parse_method(text: str) -> MethodName:
    """The name of a method, whether a model has it or not."""
    for name in METHODS:
        if name == text:
            return name
    raise ExportError(f"no method {text!r}; there are: {', '.join(METHODS)}")


def parse_classes(texts: list[str]) -> dict[str, list[str]]:
    """Class names by attribute of texts such as `gender=female,male`."""
    classes = {}
    for text in texts:
        name, _, names = text.partition("=")
        if not name or not names:
            raise ExportError(f"classes: expected attribute=class,class, got {text!r}")
        classes[name] = [part.strip() for part in names.split(",")]
    return classes


def parse_names(text: str, known: list[str]) -> list[str]:
    """Names of `smile,age` out of the known ones; an empty text is all of them."""
    names = list(split_names(text))
    if unknown := [name for name in names if name not in known]:
        raise ExportError(f"attributes: {unknown} are not labelled; there are {known}")
    return names or known


def split_names(text: str) -> tuple[str, ...]:
    """Names of `smile,age`; none of an empty text."""
    return tuple(name for name in (piece.strip() for piece in text.split(",")) if name)
