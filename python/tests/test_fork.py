# SPDX-License-Identifier: Apache-2.0
"""A child forked after the parent used the library can recommend and fit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "prefork_server.py"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are not beside the tests")
def test_workers_recommend_and_fit_after_the_parent_did():
    run = subprocess.run([sys.executable, str(EXAMPLE), "3"], capture_output=True, text=True, timeout=240, env=dict(os.environ))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert sorted(a["worker"] for a in answers) == [0, 1, 2] and len({a["pid"] for a in answers}) == 3
    for a in answers:
        taste = a["worker"] % 4
        assert [int(key.split("-")[1]) % 4 for key in a["for the shopper"]] == [taste] * 3
        assert len(a["for a newcomer"]) == 3 and a["users answered"] == 400
        assert a["same after training here"]
