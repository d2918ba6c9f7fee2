# SPDX-License-Identifier: Apache-2.0
"""Writes python/etalage/_core.pyi anew from the built module: PYTHONPATH=<build>/python python python/update_stubs.py

Needs mypy. python/tests/test_stubs.py compares the file with the module.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = Path(__file__).parent / "etalage" / "_core.pyi"
# What the module's own signatures cannot say.
EXCEPTIONS = """class FormatError(ValueError): ...
class NotFittedError(ValueError, AttributeError): ...
class NumericalError(ArithmeticError): ...
class TooFewError(ValueError): ...
"""


def stub():
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([sys.executable, "-c", "from mypy.stubgen import main; main()", "--inspect-mode", "-q", "-m", "etalage._core", "-o", out], check=True)
        text = (Path(out) / "etalage" / "_core.pyi").read_text()
    text = re.sub(r"^from etalage[.\w]* import .*\n", "", text, flags=re.M)
    text = text.replace("typing.SupportsInt | typing.SupportsIndex", "typing.SupportsIndex")
    text = re.sub(r"\b(start|user_ids|item_ids): (AlsModel|IdMap)\b", r"\1: \2 | None", text)
    head, _, body = text.partition("\n\n")
    return f"# SPDX-License-Identifier: Apache-2.0\n# Written by python/update_stubs.py.\n{head}\n\n{EXCEPTIONS}\n{body}"


if __name__ == "__main__":
    TARGET.write_text(stub())
