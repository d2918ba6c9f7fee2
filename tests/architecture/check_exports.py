# SPDX-License-Identifier: Apache-2.0
"""Holds what the public headers declare against what a host can link.

    check_exports.py ROOT              every declaration without a body in a public header stands in an exported class, or is
                                       exported itself
    check_exports.py ROOT --library L  the same against the symbols of a shared library, overloads counted; and it exports
                                       nothing of another library
    check_exports.py ROOT --symbols F  what the public headers declare is what the list F says, so that a change of it is meant and seen:
                                       with --write the list is made anew (with --library, these are symbols that nm finds)
    check_exports.py ROOT --self-test  seeds violations and expects them to be found
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple


class Declared(NamedTuple):
    header: str
    name: str  # "etalage::AlsOptions::validate"
    exported: bool


NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:[^\n\\]|\\\n|\\.)*', re.S | re.M)
CLASS = re.compile(r"^(?:template\s*<.*?>\s*)?(?:class|struct|union)\s+((?:\[\[[^\]]*\]\]\s*)?(?:ETALAGE_EXPORT\s+)?)(\w+)(?:\s+final)?\s*(?::(?!:).*)?$", re.S)
NOT_FUNCTIONS = re.compile(r"^(?:using|typedef|friend|static_assert|enum|class|struct|union|template|extern\s+template|return)\b")


def function_name(statement: str) -> str | None:
    """The name of a declared function; None for anything else."""
    if NOT_FUNCTIONS.match(statement) or re.search(r"=\s*(?:default|delete|0)\s*$", statement):
        return None
    operator = re.search(r"\boperator\s*(\(\)|\[\]|[^\s\w(]+|[\w:<>&*\s]+?)\s*\(", statement)
    if operator:
        return "operator" + re.sub(r"\s+", " ", operator.group(1)).strip()
    depth = 0
    for i, c in enumerate(statement):
        if c == "<":
            depth += 1
        elif c == ">" and statement[i - 1] != "-":
            depth -= 1
        elif c == "=" and depth == 0:
            return None  # a variable with a value
        elif c == "(" and depth == 0:
            if statement[i + 1 :].lstrip().startswith("*"):
                return None  # a pointer to a function
            found = re.search(r"(~?\w+)\s*$", statement[:i])
            return found.group(1) if found and found.group(1) not in ("ETALAGE_EXPORT", "noexcept", "requires", "alignas") else None
    return None


def declarations(text: str, header: str) -> list[Declared]:
    text = NOISE.sub(lambda m: '""' if m.group()[0] == '"' else "0" if m.group()[0] == "'" else " ", text)
    out: list[Declared] = []
    scopes: list[tuple[str, str, bool]] = []  # kind, name, exported
    statement = ""
    depth = 0  # of braces that are neither a namespace nor a class
    parens = 0
    for c in text:
        if c == "(":
            parens += 1
        elif c == ")":
            parens -= 1
        if c == "{" and (depth or parens):
            depth += 1
        elif c == "{":
            head = re.sub(r"\s+", " ", statement).strip()
            space = re.match(r"^(?:inline )?namespace ([\w:]*)$", head)
            named = CLASS.match(head)
            if space:
                scopes.append(("namespace", space.group(1), False))
                statement = ""
            elif named:
                private = head.startswith("template")
                scopes.append(("template" if private else "class", named.group(2), "ETALAGE_EXPORT" in named.group(1)))
                statement = ""
            else:
                depth = 1
        elif c == "}" and depth:
            depth -= 1
            if depth == 0 and not parens:
                head = re.sub(r"\s+", " ", statement).strip()
                # A body ends the statement, a braced value of a member does not.
                if ")" in head and not re.search(r"=\s*$", head):
                    statement = ""
        elif c == "}":
            if scopes:
                scopes.pop()
            statement = ""
        elif depth:
            continue
        elif c == ";" and not parens:
            head = re.sub(r"\s+", " ", re.sub(r"^\s*(?:(?:public|protected|private)\s*:(?!:)\s*)+", "", statement)).strip()
            head = re.sub(r"^(?:\[\[[^\]]*\]\]\s*)+", "", head)
            name = function_name(head) if head else None
            if name and scopes and scopes[0][:2] == ("namespace", "etalage") and all(kind != "template" for kind, _, _ in scopes):
                inside = [s for s in scopes if s[0] == "class"]
                exported = any(s[2] for s in inside) if inside else "ETALAGE_EXPORT" in head
                out.append(Declared(header, "::".join([s[1] for s in scopes] + [name]), exported))
            statement = ""
        elif c == ":" and re.match(r"^\s*(public|protected|private)\s*$", statement):
            statement = ""
        else:
            statement += c
    return out


def read(root: Path) -> list[Declared]:
    out = []
    for header in sorted((root / "include" / "etalage").rglob("*.hpp")):
        out += declarations(header.read_text(encoding="ascii"), str(header.relative_to(root)))
    return out


OURS = re.compile(r"^_Z(?:N[KRO]*|T[ISVT]N[KR]*|T[hv]n?\d+_(?:n?\d+_)?N[K]*|Tc.*|GVZ?N[KR]*|ZN[KRO]*)7etalage")


# Headers of etalage::faiss, a library beside.
OF_FAISS = ("io/faiss_files.hpp", "retrieval/faiss_index.hpp")


def check_library(root: Path, library: str, table: str | None = None) -> list[str]:
    if table is None:
        table = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    mangled = {line.split()[-1].split("@")[0] for line in table.splitlines() if line.strip()}
    found = [f"{library}: exports {name}, which is none of the library's own" for name in sorted(mangled) if not OURS.match(name)]
    plain = subprocess.run(["c++filt"], input="\n".join(sorted(mangled)), capture_output=True, text=True, check=True).stdout
    # Constructors and destructors have several symbols each of one demangled name: a set counts them once.
    exported = Counter(re.sub(r"\[abi:\w+\]", "", s.split("(", 1)[0] if "operator()" not in s else s.split("operator()")[0] + "operator()")
                       for s in set(plain.splitlines()))
    declared = [d for d in read(root) if d.header.endswith(OF_FAISS) == ("libetalage_faiss" in library)]
    wanted = Counter(d.name for d in declared)
    headers = {d.name: d.header for d in declared}
    for name, count in sorted(wanted.items()):
        if exported[name] < count:
            found.append(f"{headers[name]}: declares {name} {count} times, {library} exports {exported[name]}")
    return found


def check_headers(root: Path) -> list[str]:
    return [f"{d.header}: {d.name} is declared, and neither it nor its class is exported" for d in read(root) if not d.exported]


def check_symbols(root: Path, path: Path, write: bool) -> list[str]:
    """A line a name with how many overloads it has, in order."""
    counts = Counter(d.name for d in read(root))
    lines = [f"{name} {count}" if count > 1 else name for name, count in sorted(counts.items())]
    if write:
        path.write_text("\n".join(lines) + "\n", encoding="ascii")
        return []
    listed = path.read_text(encoding="ascii").split("\n")[:-1]
    return ([f"{line}: is declared, and not in {path.name} (--write makes it anew)" for line in lines if line not in set(listed)]
            + [f"{line}: is in {path.name}, and not declared (--write makes it anew)" for line in listed if line not in set(lines)])


def self_test() -> list[str]:
    seeds = {
        "struct Options { int a = 1; void validate() const; };": "etalage::Options::validate",
        "class Source { public: Source(); private: int a_; };": "etalage::Source::Source",
        "void save(int x, const char* y = \"(\");": "etalage::save",
        "struct ETALAGE_EXPORT Fine { std::function<int()> f = {}; void go() const { if (true) { g(); } } ~Fine(); };": None,
        "template <class T> T get(T);": None,
        "ETALAGE_EXPORT void fine(int);": None,
        "struct Plain { bool (*call)(int); int a = 3; std::vector<int> b = {{1, 2}, {3}}; bool has() const noexcept { return a > 0; } };": None,
    }
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        header = Path(folder) / "include" / "etalage" / "x.hpp"
        header.parent.mkdir(parents=True)
        for body, name in seeds.items():
            header.write_text("namespace etalage {\n" + body + "\n}\n", encoding="ascii")
            got = [d.name for d in read(Path(folder)) if not d.exported]
            if got != ([name] if name else []):
                missed.append(f"found {got} in {body!r}, expected {name}")
        header.write_text("namespace etalage { ETALAGE_EXPORT int save(int); ETALAGE_EXPORT int save(float); }\n", encoding="ascii")
        ours = "0 T _ZN7etalage4saveEi\n"
        for table, said in ((ours, "2 times"), (ours + "0 T _ZN7etalage4saveEf\n0 W _ZN5boost3fooEv\n", "none of the library's own")):
            if not any(said in line for line in check_library(Path(folder), "seed", table)):
                missed.append(f"did not find that {said}")
        table = Path(folder) / "symbols.txt"
        for text, said in (("etalage::save 2\n", None), ("etalage::save\n", "is declared"), ("etalage::gone\netalage::save 2\n", "is in symbols.txt")):
            table.write_text(text, encoding="ascii")
            got = check_symbols(Path(folder), table, write=False)
            if bool(got) != (said is not None) or (said and not any(said in line for line in got)):
                missed.append(f"found {got} for the list {text!r}")
    return missed


def main() -> int:
    root = Path(sys.argv[1])
    if "--self-test" in sys.argv:
        found = self_test()
    elif "--library" in sys.argv:
        found = check_library(root, sys.argv[sys.argv.index("--library") + 1])
    elif "--symbols" in sys.argv:
        found = check_symbols(root, Path(sys.argv[sys.argv.index("--symbols") + 1]), "--write" in sys.argv)
    else:
        found = check_headers(root)
    print("\n".join(found) if found else f"{len(read(root))} declarations hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
