# SPDX-License-Identifier: Apache-2.0
"""The checked-in types say what the module is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import etalage


@pytest.mark.parametrize("module", ["_core", "_faiss"])
def test_the_stubs_are_those_of_the_module(module, tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    pytest.importorskip(f"etalage.{module}", reason="this build of etalage is without FAISS")
    package = Path(etalage.__file__).parent
    # Beside an empty package, so that the comparison looks at nothing else.
    alone = tmp_path / "types" / "etalage"
    alone.mkdir(parents=True)
    (alone / "__init__.pyi").touch()
    for name in {"_core", module}:
        (alone / f"{name}.pyi").write_text((package / f"{name}.pyi").read_text())
    paths = {**os.environ, "MYPYPATH": str(alone.parent), "PYTHONPATH": str(package.parent.absolute())}
    run = subprocess.run([sys.executable, "-m", "mypy.stubtest", f"etalage.{module}", "--concise"], capture_output=True, text=True,
                         cwd=tmp_path, env=paths)
    assert run.returncode in (0, 1), run.stderr
    # pybind11's metaclass has no place in a stub; newer versions of mypy mention it, or the layout that follows from it.
    wrong = [line for line in run.stdout.splitlines()
             if line.startswith("etalage.") and "metaclass differs" not in line and "disjoint base" not in line]
    assert not wrong, "\n".join([*wrong, "refresh with python/update_stubs.py"])
    assert "Success" in run.stdout or "etalage." in run.stdout, run.stdout + run.stderr


def test_the_package_says_that_it_is_typed():
    package = Path(etalage.__file__).parent
    assert (package / "py.typed").exists() and (package / "_core.pyi").exists()
