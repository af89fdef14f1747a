"""The exact versions that the processes of a tree serve, in a file: one that starts anew reads it.

So neither a model that is stored meanwhile nor the end of a worker splits the tree. Pods have no
such file: each begins with what its setting says then.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bentoml._internal.configuration.containers import BentoMLContainer

from service.settings import Settings


@contextmanager
def new_pins(tags: Sequence[str]) -> Iterator[Path]:
    """A file of tags for as long as a tree lives; a parent that is killed leaves it behind."""
    home = BentoMLContainer.bentoml_home.get()  # not /tmp, which may be cleaned meanwhile
    with TemporaryDirectory(prefix="gradctrl-pins-", dir=home) as folder:
        file = Path(folder) / "tags"
        pin(file, tags)
        yield file


def pin(file: Path, tags: Sequence[str]) -> None:
    """Have processes that start from now on serve these."""
    written = file.with_suffix(".new")
    written.write_text("\n".join(tags))
    written.replace(file)  # readers find the old tags or the new ones, whole


def models_of(config: Settings) -> tuple[str, ...]:
    """What a process that starts now serves: the pinned tags, or the models of the setting."""
    if config.pins_file is None:
        return config.models
    return tuple(config.pins_file.read_text().split())
