"""service/runner_clients.py: how long a client waits for a runner."""

import subprocess
import sys

from service.settings import LONGEST_JOB_S
from tests.servers import ROOT

ASK = """
from service.app import EditService
from service.runner_clients import connect_to
from service.runners import ClassifierRunner, GeneratorRunner

EditService.inject_config()  # as BentoML does before it serves
for runner in (ClassifierRunner, GeneratorRunner):
    print(connect_to(runner)("http://localhost:1")._client.timeout)
"""


def test_a_client_waits_for_as_long_as_the_longest_job_may_last() -> None:
    command = [sys.executable, "-c", ASK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    timeouts = [float(line) for line in done.stdout.split()]
    assert len(timeouts) == 2
    assert min(timeouts) > LONGEST_JOB_S
