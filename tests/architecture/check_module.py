# SPDX-License-Identifier: Apache-2.0
"""Inline functions and templates that both the library and the bindings have are the library's in the Python module.

Bindings are compiled with -O1. Of a function that several objects have, a linker keeps the one it sees first: were that a binding's, loops of the
library would call slower code than it was compiled with.

    check_module.py MODULE ARCHIVE   compares the sizes of all functions that the archive has in vague linkage; exit 1 when some are not the archive's
    check_module.py --self-test      links two objects in the wrong order and expects it to be found
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path


def sizes(file: Path, kinds: str) -> dict[str, set[int]]:
    """Sizes of the functions of these kinds, by name."""
    listing = subprocess.run(["nm", "--defined-only", "-S", str(file)], check=True, capture_output=True, text=True).stdout
    out: dict[str, set[int]] = defaultdict(set)
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 4 and words[2] in kinds:
            out[words[3]].add(int(words[1], 16))
    return out


def foreign(module: Path, archive: Path) -> list[str]:
    ours, linked = sizes(archive, "W"), sizes(module, "WwTt")
    both = sorted(ours.keys() & linked.keys())
    if not both:
        return [f"{module}: has none of the {len(ours)} inline functions of {archive}"]
    wrong = [name for name in both if not linked[name] & ours[name]]
    return [f"{module}: {name} has {sorted(linked[name])} bytes, {sorted(ours[name])} in the library" for name in wrong]


def self_test() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        text = "#include <vector>\nint %s(std::vector<int>& v) { v.push_back(1); return v.at(3); }\n"
        for name, level in (("library", "-O3"), ("binding", "-O0")):
            (root / f"{name}.cpp").write_text(text % name)
            subprocess.run(["c++", "-fPIC", level, "-c", root / f"{name}.cpp", "-o", root / f"{name}.o"], check=True)
        subprocess.run(["ar", "qc", root / "library.a", root / "library.o"], check=True)
        found = []
        for first, second, right in (("library", "binding", True), ("binding", "library", False)):
            subprocess.run(["c++", "-shared", root / f"{first}.o", root / f"{second}.o", "-o", root / "module.so"], check=True)
            if (not foreign(root / "module.so", root / "library.a")) != right:
                found.append(f"self-test: {first} before {second} was taken for {'wrong' if right else 'right'}")
    return found


def main() -> int:
    found = self_test() if "--self-test" in sys.argv else foreign(Path(sys.argv[1]), Path(sys.argv[2]))
    print("\n".join(found) or "no violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
