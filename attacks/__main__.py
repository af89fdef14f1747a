"""`python -m attacks URL`: every attack on a service of yours; exit code 1 if one works."""

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator

import httpx

import attacks
from attacks.broken import BrokenError
from attacks.client import open_client

PARTS = ("__main__", "broken", "client")  # of the package that are no attacks

Attack = Callable[[httpx.Client], str]


def all_attacks() -> Iterator[tuple[str, Attack]]:
    """Name and function of every attack."""
    for module in pkgutil.iter_modules(attacks.__path__):
        if module.name not in PARTS:
            yield module.name, importlib.import_module(f"attacks.{module.name}").attack


def main() -> None:
    """Run all and say what became of each."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m attacks URL")
    worked = 0
    with open_client(sys.argv[1]) as client:
        for name, attack in all_attacks():
            try:
                print(f"{name}: {attack(client)}")
            except BrokenError as error:
                worked += 1
                print(f"{name}: WORKED: {error}")
    raise SystemExit(min(worked, 1))


if __name__ == "__main__":
    main()
