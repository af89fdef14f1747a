"""Writes the OpenAPI document of the REST API to a file. Serves nothing.

python -m service.openapi clients/openapi.json
"""

import json
import sys
from pathlib import Path

from service.access import Access
from service.rest import build_rest
from service.settings import Settings


def document() -> str:
    """The document as the service answers it at /v1/openapi.json, indented."""
    rest = build_rest(Settings(), Access(keys=None, limit=None, trusts_machine=False))
    return json.dumps(rest.openapi(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document to the file that the command line names."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m service.openapi FILE")
    Path(sys.argv[1]).write_text(document())


if __name__ == "__main__":
    main()
