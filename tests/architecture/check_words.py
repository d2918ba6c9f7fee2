# SPDX-License-Identifier: Apache-2.0
"""Words that the project does not use: 'they' for a shopper, the field's words for its own.

    check_words.py ROOT              prints each; exit 1 when there is one
    check_words.py ROOT --self-test  seeds one of each and expects it to be found
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

PEOPLE = re.compile(r"\b(?:he|she|his|hers?|him|himself|herself)\b", re.I)
# Names that once stood for budgets per list, times, classes of norms, selections, predictions for new products and weights of segments.
OWN = re.compile(r"\b(?:Wish(?:es)?|Moment|Era|\w*_eras?|[Kk]eeper|foretell\w*|foretold\w*|lean_on\w*)\b(?=[^\"']*$|[(<:;,])", re.M)
PLACES = ("include", "src", "python", "docs", "examples", "bench", "tests", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")
KINDS = {".hpp", ".cpp", ".h", ".inc", ".py", ".pyi", ".md", ".cmake"}


def check(root: Path) -> list[str]:
    found = []
    for place in PLACES:
        top = root / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top] if top.exists() else []:
            if path.suffix not in KINDS or path.name == Path(__file__).name or not path.is_file():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                for what, pattern in (("they are the words for people", PEOPLE), ("the field has a word for it", OWN)):
                    for word in pattern.findall(line):
                        found.append(f"{path.relative_to(root)}:{number}: says '{word}'; {what}")
    return found


def self_test() -> list[str]:
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "src").mkdir()
        for text in ("// what he bought\n", "// Her list\n", "struct Moment {};\n", "class Era;\n", "void foretell_new_products();\n", "int lean_on_segment;\n"):
            (root / "src/a.cpp").write_text(text, encoding="utf-8")
            if not check(root):
                missed.append(f"self-test: {text.strip()!r} was not found")
        (root / "src/a.cpp").write_text("// they, at the moment; a wish; the other; here\n", encoding="utf-8")
        missed += [f"self-test: {f}" for f in check(root)]
    return missed


def main() -> int:
    found = self_test() if "--self-test" in sys.argv else check(Path(sys.argv[1]))
    print("\n".join(found) or "no such words")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
