# SPDX-License-Identifier: Apache-2.0
"""Types, constants and functions (overloads aside) of unnamed namespaces are named once in a folder, so that its files may be compiled together (ETALAGE_UNITY).

    check_names.py ROOT              reads src/ and python/bindings/; prints each name that two files of a folder share; exit 1 when there is one
    check_names.py ROOT --self-test  seeds two files that share names and expects them to be found
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

UNNAMED = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.M | re.S)
TYPE = re.compile(r"^(?:template <[^>]*>\s*)?(?:struct|class|enum class|enum) (\w+)", re.M)
VALUE = re.compile(r"^(?:template <[^>]*>\s*)?(?:constexpr|const|inline|static|thread_local)\b[^(=;{\n]*?\b(\w+)(?:<[\w:]+>)?(?:\[[^\]\n]*\])?\s*(?:=|\{|;)", re.M)
FUNCTION = re.compile(r"^(?:template <[^\n]*>\s*)?(?!return\b|else\b|using\b|struct\b|class\b|enum\b)[\w:][\w:<>,&* \t]*?[ &*](\w+)\(([^{;]*?)\)(?: noexcept)? \{", re.M)
# Kernels are compiled for each instruction set by themselves; their scalar twins share names by design.
ALONE = ("src/kernels",)


def functions(block: str) -> set[str]:
    """name(types of its parameters) of each function."""
    out = set()
    for m in FUNCTION.finditer(block):
        types = [re.sub(r"\s*=.*| ?\b\w+$", "", " ".join(p.split())) for p in re.split(r",(?![^<(]*[>)])", m[2])]
        out.add(f"{m[1]}({', '.join(types)})")
    return out


def shared_names(root: Path) -> list[str]:
    files: dict[tuple[str, str], list[str]] = defaultdict(list)
    sources = sorted(p for top in ("src", "python/bindings") for p in (root / top).rglob("*.cpp"))
    if not sources:
        return [f"{root}: no sources found"]
    for path in sources:
        folder = str(path.parent.relative_to(root))
        if folder in ALONE:
            continue
        names = {m[1] for block in UNNAMED.findall(path.read_text(encoding="utf-8")) for rule in (TYPE, VALUE) for m in rule.finditer(block)}
        names |= {name for block in UNNAMED.findall(path.read_text(encoding="utf-8")) for name in functions(block)}
        for name in names:
            files[folder, name].append(path.name)
    return [f"{folder}: {name} is defined in {' and '.join(where)}" for (folder, name), where in sorted(files.items()) if len(where) > 1]


def self_test() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder) / "src" / "core"
        room.mkdir(parents=True)
        for name in ("a", "b"):
            (room / f"{name}.cpp").write_text(f"namespace {{\nconstexpr int kOne = 1;\nstruct Two {{}};\nint {name};\nint three(const int& {name}, std::map<int, int> m) {{\n  return 3;\n}}\n}}  // namespace\n")
        found = shared_names(Path(folder))
    return [f"self-test: {name} was not found" for name in ("kOne", "Two", "three(const int&, std::map<int, int>)") if not any(f": {name} " in line for line in found)]


def main() -> int:
    found = self_test() if "--self-test" in sys.argv else shared_names(Path(sys.argv[1]))
    print("\n".join(found) or "no violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
