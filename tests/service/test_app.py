"""service/app.py: what its import leaves behind."""

import subprocess
import sys

from tests.servers import ROOT

ASK = "import {}, gc; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"


def test_garbage_is_collected_again_once_all_is_imported() -> None:
    for module in ("service.app", "service.__main__"):
        command = [sys.executable, "-c", ASK.format(module)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "True True\n", module
