# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from protocol import serve  # noqa: E402
from serving_tasks import use_ranx  # noqa: E402

use_ranx()

if __name__ == "__main__":
    serve()
