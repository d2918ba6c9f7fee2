# SPDX-License-Identifier: Apache-2.0
"""docs/cpp.md shows examples/csv_to_service.cpp as it is built.

    check_guide.py ROOT            exit 1 where the two differ
    check_guide.py ROOT --write    brings the page up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def main() -> int:
    root = Path(sys.argv[1])
    page = root / "docs" / "cpp.md"
    text = page.read_text(encoding="utf-8")
    program = (root / "examples" / "csv_to_service.cpp").read_text(encoding="ascii").split("\n", 1)[1]
    shown = re.search(r"<!-- examples/csv_to_service.cpp -->\n```cpp\n(.*?)```\n", text, re.S)
    if shown is None:
        print("docs/cpp.md does not show examples/csv_to_service.cpp")
        return 1
    if "--write" in sys.argv:
        page.write_text(text[: shown.start(1)] + program + text[shown.end(1) :], encoding="utf-8")
        return 0
    if shown.group(1) != program:
        print("docs/cpp.md shows another program than examples/csv_to_service.cpp: check_guide.py . --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
