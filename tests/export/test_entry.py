"""export/entry.py: what a start of the service does not wait for."""

import subprocess
import sys

from tests.servers import ROOT

ASK = """
import os, sys
from export.entry import main
os.execv = lambda program, command: print(command[1:], "torch" in sys.modules)
sys.argv = ["gradctrl", *{}]
try:
    main()
except SystemExit:
    print("torch" in sys.modules)
"""


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", ASK.format(list(arguments))]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_serve_becomes_the_service_and_imports_no_job() -> None:
    first, *_ = run("serve", "--port", "1").splitlines()
    assert first == "['-m', 'service', '--port', '1'] False"


def test_all_else_is_a_job() -> None:
    assert run("--help").splitlines()[-1] == "True"
