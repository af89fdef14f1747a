"""What an attack raises when it worked."""


class BrokenError(Exception):
    """The service did what it must not do."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise BrokenError unless something holds."""
    if not holds:
        raise BrokenError(otherwise)
