# SPDX-License-Identifier: Apache-2.0
"""Holds docs/architecture.md to the tree: its table of rooms to folders, files, types and includes, its list of option structs to the headers.

    check_picture.py ROOT              prints what differs; exit 1 when anything does
    check_picture.py ROOT --self-test  changes a copy of the picture in each way that must be found
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from check_architecture import EXTEND, EXTRA, ROOMS

PICTURE = "docs/architecture.md"
STRUCT = re.compile(r"^struct (?:ETALAGE_EXPORT )?(\w*(?:Options|Config|Parameters|Settings)) \{\n(.*?)^\};", re.M | re.S)
SOURCES = (".hpp", ".cpp", ".h", ".inc")


def table(text: str, head: str) -> dict[str, list[str]]:
    """Rows of the table whose first column is headed so: {first cell without backticks: the other cells}."""
    rows = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {head} |"):
            next(lines, None)
            for row in lines:
                if not row.startswith("|"):
                    break
                cells = [c.strip() for c in row.strip().strip("|").split("|")]
                rows[cells[0].strip("`")] = cells[1:]
            break
    return rows


def folders(root: Path) -> dict[str, list[Path]]:
    """Sources of each folder right below src/ and include/etalage/; "" for those in neither."""
    found: dict[str, list[Path]] = {}
    for top in (root / "src", root / "include/etalage"):
        for path in sorted(top.rglob("*")):
            if path.suffix not in SOURCES:
                continue
            parts = path.relative_to(top).parts
            room = "" if len(parts) == 1 else EXTEND.get(parts[-1], "extend") if parts[0] == "extend" else parts[0]
            found.setdefault(room, []).append(path)
    return found


def below(path: Path, room: str) -> list[str]:
    """Folders between a file and its room."""
    return [] if path.parent.name in (room, "extend") else list(path.parts[len(path.parts) - 1 - path.parts[::-1].index(room) + 1 : -1])


def check_rooms(root: Path, text: str) -> list[str]:
    rows, found = table(text, "room"), folders(root)
    if not rows:
        return [f"{PICTURE}: has no table of rooms"]
    wrong = [f"{room}: is a room of check_architecture.py without a row in {PICTURE}" for room in sorted(set(ROOMS) - set(rows))]
    wrong += [f"{path.relative_to(root)}: lies in a folder without a row in {PICTURE}" for room in sorted(set(found) - set(rows) - {""}) for path in found[room]]
    outside = re.search(r"^Outside the rooms.*?(?=\n\n)", text, re.M | re.S)
    said = set(re.findall(r"`([\w.]+)`", outside[0])) if outside else set()
    wrong += [f"{path.relative_to(root)}: lies outside the rooms and is not named there in {PICTURE}" for path in found.get("", ()) if not {path.name, path.stem} & said]
    for room, (about, may) in rows.items():
        if room.endswith("/"):
            if not (root / room).is_dir():
                wrong.append(f"{PICTURE}: names the folder {room}, which is not there")
            continue
        files = found.get(room, [])
        if not files:
            wrong.append(f"{PICTURE}: names the room {room}, which has no files")
            continue
        allowed = set(re.findall(r"`([^`]+)`", may))
        if room in ROOMS and may != "every room's state" and allowed != ROOMS[room] | EXTRA.get(room, set()):
            wrong.append(f"{PICTURE}: says that {room} may include {', '.join(sorted(allowed)) or 'nothing'}, check_architecture.py allows "
                         f"{', '.join(sorted(ROOMS[room] | EXTRA.get(room, set()))) or 'nothing'}")
        names = re.findall(r"`([^`]+)`", about)
        inner = {n.strip("/") for n in names if n.endswith("/")}
        wrong += [f"{path.relative_to(root)}: lies in {folder}/, which the row of {room} in {PICTURE} does not name"
                  for path in files for folder in below(path, room) if folder not in inner]
        there = {folder for path in files for folder in below(path, room)}
        wrong += [f"{PICTURE}: names {folder}/ in the row of {room}, which has no such folder" for folder in sorted(inner - there)]
        defined = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in [*files, *(root / "include/etalage" / h for h in EXTRA.get(room, ()))])
        for name in names:
            if re.fullmatch(r"[A-Z]\w+", name) and not re.search(rf"\b(?:class|struct) (?:ETALAGE_EXPORT )?{name}\b(?! *;)|\busing {name}\b", defined):
                wrong.append(f"{PICTURE}: names {name} in the row of {room}, which does not define it")
            if re.fullmatch(r"[a-z_]+", name) and name not in rows and not any(path.stem == name for path in files) and f" {name}(" not in defined:
                wrong.append(f"{PICTURE}: names {name} in the row of {room}, which has no such file")
    return wrong


def check_options(root: Path, text: str) -> list[str]:
    argued = set(table(text, "struct"))
    without = {}
    for path in sorted((root / "include").rglob("*.hpp")):
        for name, body in STRUCT.findall(path.read_text(encoding="utf-8", errors="replace")):
            if "static void each(" not in body:
                without[name] = path.relative_to(root)
    return ([f"{path}: {name} has no list of its fields (each) and {PICTURE} does not say why" for name, path in without.items() if name not in argued]
            + [f"{PICTURE}: says why {name} has no list of its fields, which is not so" for name in sorted(argued - set(without))])


def check(root: Path) -> list[str]:
    text = (root / PICTURE).read_text(encoding="utf-8")
    return check_rooms(root, text) + check_options(root, text)


def self_test(root: Path) -> list[str]:
    text = (root / PICTURE).read_text(encoding="utf-8")
    changes = {
        "a room without a row": (r"\| `trees` \|[^\n]*\n", ""),
        "a row without a room": (r"\| `trees` \|", "| `bushes` |"),
        "another rule of includes": (r"(\| `datasets` \|[^|]*\|) `core`, `detail` \|", r"\1 `core`, `models` |"),
        "a folder that no row names": (r"`lists/`", "lists"),
        "a folder that is not there": (r"`lists/`", "`lists/`, `heaps/`"),
        "a type that is not there": (r"`UserProfile`, ", "`UserPortrait`, "),
        "a file that is not there": (r"\(`row_order`\)", "(`row_disorder`)"),
        "a file outside the rooms": (r"`version\.hpp`, ", ""),
        "a struct that is not argued": (r"\| `CsvOptions` \|[^\n]*\n", ""),
        "an argued struct with a list": (r"\| `CsvOptions` \|", "| `AlsOptions` | none |\n| `CsvOptions` |"),
    }
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for top in ("src", "include", "python"):
            (copy / top).symlink_to(root.resolve() / top)
        (copy / "docs").mkdir()
        for what, (pattern, to) in changes.items():
            changed, times = re.subn(pattern, to, text, count=1)
            (copy / PICTURE).write_text(changed, encoding="utf-8")
            if times != 1:
                missed.append(f"self-test: nothing to change for {what}")
            elif not check(copy):
                missed.append(f"self-test: {what} was not found")
    return missed


def main() -> int:
    root = Path(sys.argv[1])
    found = self_test(root) if "--self-test" in sys.argv else check(root)
    print("\n".join(found) or "the picture is as the tree is")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
