# SPDX-License-Identifier: Apache-2.0
"""Writes python/etalage/_core.pyi anew from the built module, and _faiss.pyi where that module is built: PYTHONPATH=<build>/python python python/update_stubs.py

Needs mypy. python/tests/test_stubs.py compares the files with the modules.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = Path(__file__).parent / "etalage"
# What the module's own signatures cannot say.
EXCEPTIONS = """class FormatError(ValueError): ...
class NotFittedError(ValueError, AttributeError): ...
class NumericalError(ArithmeticError): ...
class TooFewError(ValueError): ...

"""


def stub(module, head_of_it=""):
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, "-c", "from mypy.stubgen import main; main()", "--inspect-mode", "-q", "-m", f"etalage.{module}", "-o", out], check=True)
        text = (Path(out) / "etalage" / f"{module}.pyi").read_text()
    text = re.sub(r"^from etalage[.\w]* import .*\n", "", text, flags=re.M)
    text = text.replace("typing.SupportsInt | typing.SupportsIndex", "typing.SupportsIndex")
    text = re.sub(r"\b(start|user_ids|item_ids): (AlsModel|IdMap)\b", r"\1: \2 | None", text)
    head, _, body = text.partition("\n\n")
    return f"# SPDX-License-Identifier: Apache-2.0\n# Written by python/update_stubs.py.\n{head}\n\n{head_of_it}{body}"


if __name__ == "__main__":
    (TARGETS / "_core.pyi").write_text(stub("_core", EXCEPTIONS))
    if subprocess.run([sys.executable, "-c", "import etalage._faiss"], capture_output=True).returncode == 0:
        (TARGETS / "_faiss.pyi").write_text(stub("_faiss"))
