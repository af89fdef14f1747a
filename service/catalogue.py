"""Which models are served now: a reload replaces them all at once.

A request holds on to the card that it began with. Knows no process and no transport.
"""

from collections.abc import Sequence

from model_store import method_offers, models_to_serve
from service.specs import ServedCard


class Catalogue:
    """The served cards; the first is the default of requests."""

    def __init__(self, served: Sequence[ServedCard]) -> None:
        self._served = tuple(served)

    @property
    def served(self) -> tuple[ServedCard, ...]:
        """In order."""
        return self._served

    @property
    def tags(self) -> list[str]:
        """Of the served cards."""
        return [one.tag for one in self._served]

    def replace(self, served: Sequence[ServedCard]) -> None:
        """From the next request on serve these."""
        self._served = tuple(served)


def stored_cards(names: tuple[str, ...]) -> list[ServedCard]:
    """The newest versions of named models, or of all, with their hashes verified.

    ModelStoreError for a model that is missing or was changed on disk.
    """
    return [
        ServedCard(model.tag, model.card, method_offers(model)) for model in models_to_serve(names)
    ]
