# SPDX-License-Identifier: Apache-2.0
"""Builds the API reference of the public headers with Doxygen; a warning is a failure.

    check_reference.py ROOT OUT    writes OUT/html; exit 1 when there is a warning

Headers are read as their authors mean them: a comment speaks for all declarations below it up to a blank line or the next
comment; special members (destructors, copies, moves) go without saying; names that mean the same in every class are said once,
here. Types, functions, constants and enumerations of the library must all be documented; of members, those that are not may
only become fewer.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

SPECIAL = re.compile(
    r"^\s*(?:virtual\s+)?~\w+\(\)(?:\s*(?:override|noexcept))*(?:\s*=\s*\w+)?;"
    r"|^\s*(?:constexpr\s+)?(\w+)\((?:const\s+)?\1\s*&&?\)(?:\s*noexcept)?(?:\s*=\s*\w+)?;"
    r"|^\s*(\w+)&\s*operator=\((?:const\s+)?\2\s*&&?\)(?:\s*noexcept)?(?:\s*=\s*\w+)?;"
)
# Members without a comment of their own. Lower it with every one that gets it.
UNDOCUMENTED_MEMBERS = 0

EVERYWHERE = {
    "num_users": "Rows of users; 0 before the first fit.",
    "num_items": "Rows of items; 0 before the first fit.",
    "options": "The settings that it was made with.",
    "settings": "The settings that it was made with.",
    "validate": "Throws std::invalid_argument with the field, its value and the rule.",
    "fitted": "Whether there was a fit.",
    "fit": "Fits anew; what was there before is forgotten.",
    "report": "What the last fit did.",
    "size": "How many there are.",
    "empty": "Whether there are none.",
    "save_state": "Writes all that from_state() needs.",
    "from_state": "Made from what save_state() wrote; FormatError where that is damaged.",
    "load_base": "Reads the part of the state that Recommender::save_state() wrote.",
    "kind": "The name of the class in files and messages.",
    "name": "By which it is asked for and reported.",
    "user_ids": "The shop's keys of users; null without.",
    "item_ids": "The shop's keys of items; null without.",
    "impl": "For the library's own use.",
    "view": "The same without owning it.",
    "nnz": "Stored entries.",
}
DECLARES = re.compile(r"^\s*(?:\[\[nodiscard\]\]\s*)?(?:static\s+|virtual\s+|constexpr\s+)*[\w:<>,&*\s]+?[\s&*](\w+)\(")

NEW_GROUP = re.compile(r"(?:public|protected|private):|#|//|[{}]|namespace\b|(?:class|struct|enum)\b[^;]*$")


def as_meant(text: str) -> str:
    """The header with the shared comments repeated; line numbers hold."""
    out: list[str] = []
    comment: list[str] = []
    fresh = False
    depth = 0  # of a declaration that goes on
    for line in text.split("\n"):
        stripped = line.strip()
        if depth == 0 and SPECIAL.match(line):
            out.append("")
            continue
        if depth == 0 and stripped.startswith("///") and not stripped.startswith("///<"):
            comment = comment + [stripped] if fresh else [stripped]
            fresh = True
            out.append(line)
            continue
        if depth == 0 and (not stripped or NEW_GROUP.match(stripped)):
            comment, fresh = [], False
        elif depth == 0:
            known = DECLARES.match(line)
            if not fresh and not comment and "///<" not in line and known and known.group(1) in EVERYWHERE:
                line = f"/** {EVERYWHERE[known.group(1)]} */ " + line.lstrip()
            elif not fresh and comment and "///<" not in line:
                line = "/** " + " ".join(c.lstrip("/ ") for c in comment) + " */ " + line.lstrip()
            fresh = False
        code = line.split("*/", 1)[1] if line.startswith("/**") else line
        code = re.sub(r"//.*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", "", code)
        if not re.match(r"\s*(?:class|struct|enum|namespace)\b", code) or ";" in code:
            depth = max(0, depth + code.count("(") + code.count("{") - code.count(")") - code.count("}"))
        out.append(line)
    return "\n".join(out)


def main() -> int:
    root, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    shutil.rmtree(out / "include", ignore_errors=True)  # headers that have moved since
    for header in sorted((root / "include").rglob("*.hpp")):
        copy = out / "include" / header.relative_to(root / "include")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(as_meant(header.read_text(encoding="ascii")), encoding="ascii")
    config = (root / "docs" / "Doxyfile").read_text(encoding="ascii")
    config += f"\nINPUT = {out}/include/etalage\nSTRIP_FROM_PATH = {out}/include\nSTRIP_FROM_INC_PATH = {out}/include\nOUTPUT_DIRECTORY = {out}\n"
    run = subprocess.run(["doxygen", "-"], input=config, capture_output=True, text=True, check=False)
    warnings = [line.replace(f"{out}/", "") for line in run.stderr.splitlines() if line.strip()]
    members = [line for line in warnings if re.search(r"Member .* of (?:class|struct) .* is not documented", line)]
    bad = [line for line in warnings if line not in members]
    print("\n".join(bad + (members if len(members) > UNDOCUMENTED_MEMBERS else [])))
    print(f"{len(bad)} warnings, {len(members)} members without a comment of at most {UNDOCUMENTED_MEMBERS}")
    return 1 if bad or len(members) > UNDOCUMENTED_MEMBERS or run.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
