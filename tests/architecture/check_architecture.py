# SPDX-License-Identifier: Apache-2.0
"""Holds the sources to the rooms' one-way table and the house rules.

    check_architecture.py ROOT              reads every source; prints each violation; exit 1 when there is one
    check_architecture.py ROOT --symbols A  reads the symbols that the objects of archive A ask for
    check_architecture.py ROOT --self-test  seeds one violation of each rule and expects it to be found
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOMS = {
    "core": {"detail"},
    "detail": set(),
    "kernels": {"core", "detail"},
    "search": {"core", "kernels", "detail"},
    "trees": {"core", "kernels", "detail"},
    "models": {"core", "kernels", "search", "trees", "detail"},
    "retrieval": {"core", "kernels", "search", "detail"},
    "profile": {"core", "trees", "detail"},
    "serving": {"core", "kernels", "search", "trees", "models", "retrieval", "profile", "marketing", "detail"},
    "marketing": {"core", "kernels", "models", "retrieval", "profile", "detail"},
    "evaluation": {"core", "detail"},
    "datasets": {"core", "detail"},
    "io": {"core", "detail", "trees", "models", "retrieval", "profile", "serving", "marketing", "evaluation", "datasets"},
}
# What extenders implement lies in one folder; each header belongs to the room whose interface it is.
EXTEND = {"state.hpp": "core", "vector_index.hpp": "core", "candidate_source.hpp": "serving", "journal_files.hpp": "serving"}
# A room's one header that a room otherwise closed to it may see.
EXTRA = {
    "evaluation": {"models/recommender.hpp"},
}
THIRD_PARTY = {  # pattern of an include: folders under src/ that may have it (none of them in public headers)
    r"faiss/": {"retrieval/faiss"},
    r"boost/": {"io"},
    r"Eigen/": {"models", "kernels", "evaluation"},
    r"hwy/": {"kernels"},
    r"omp\.h": {"detail", "retrieval/faiss"},  # FAISS takes its number of threads from there
    r"zlib\.h": {"io"},
    r"xxhash\.h": {"io", "serving"},
    r"nlohmann/": {"serving", "trees"},
    r"iostream": set(),
}
# Headers that are long to read and that no interface needs: not in public ones, which every host's file reads.
HEAVY = re.compile(r"regex|[io]?stream|[sfo]stream|[io]fstream|iomanip|random|future|thread")
# Where the bindings read pybind11's casters, and what would give one file another caster than the others.
CASTERS = "numpy_helpers.hpp"
FOREIGN_CASTERS = re.compile(r"pybind11/(stl_bind|functional|chrono|complex|eigen|embed|operators|iostream)")
DEFINES = re.compile(r"^(?:class|struct) (?:ETALAGE_EXPORT )?(\w+)(?: final)?(?: :[^:].*)? \{$", re.M)
FORWARD = re.compile(r"^(?:class|struct) (\w+);$", re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
# A library inside somebody's process neither prints nor ends it. std::terminate stays: noexcept needs it.
FORBIDDEN_SYMBOLS = re.compile(
    r"^(printf|fprintf|vprintf|puts|putchar|putc|fputs|fputc|perror|__printf_chk|__fprintf_chk|abort|exit|_exit|_Exit|quick_exit"
    r"|__assert_fail|setlocale|omp_set_num_threads|_ZSt4cout|_ZSt4cerr|_ZSt4clog)(@.*)?$"
)


def home_of(inner: str) -> str | None:
    """The room of an include path below etalage/ or src/."""
    folder, _, name = inner.partition("/")
    return (EXTEND.get(name) if folder == "extend" else folder) if name else None


def room_of(path: Path, root: Path) -> str | None:
    parts = path.relative_to(root).parts
    if parts[:2] == ("include", "etalage"):
        return home_of("/".join(parts[2:])) if len(parts) > 3 else "umbrella"
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def defined_in(files: list[Path], root: Path) -> dict[str, set[str]]:
    """The public headers, below etalage/, that define a type outside any class."""
    headers: dict[str, set[str]] = {}
    for path in files:
        parts = path.relative_to(root).parts
        if parts[0] == "include":
            for name in DEFINES.findall(path.read_text(encoding="ascii", errors="replace")):
                headers.setdefault(name, set()).add("/".join(parts[2:]))
    return headers


def may_see(room: str | None, target: str | None) -> bool:
    return room not in ROOMS or target not in ROOMS or target == room or target in ROOMS[room]


def check_file(path: Path, root: Path, types: dict[str, set[str]]) -> list[str]:
    text = path.read_bytes()
    where = path.relative_to(root)
    found = []
    try:
        text = text.decode("ascii")
    except UnicodeDecodeError as error:
        return [f"{where}: byte {error.start} is not ASCII"]
    if not text.startswith("// SPDX-License-Identifier: Apache-2.0"):
        found.append(f"{where}: does not begin with the SPDX line")
    room = room_of(path, root)
    public = where.parts[0] == "include"
    folder = "/".join(where.parts[1:3])
    if where.parts[:3] == ("include", "etalage", "extend") and room is None:
        found.append(f"{where}: EXTEND does not say whose interface it is")
    for name in INCLUDE.findall(text):
        for pattern, allowed in THIRD_PARTY.items():
            if re.match(pattern, name) and (public or not {room, folder} & allowed):
                found.append(f"{where}: includes {name}, which belongs to {', '.join(sorted(allowed)) or 'nobody'}")
        inner = name.removeprefix("etalage/")
        target = home_of(inner)
        if not may_see(room, target) and inner not in EXTRA.get(room, ()):
            found.append(f"{where}: room {room} includes {name}, but may see only {', '.join(sorted(ROOMS[room])) or 'nothing'}")
        if public and HEAVY.fullmatch(name):
            found.append(f"{where}: a public header includes {name}, which is long to read")
        if public and target in ("detail", "kernels", "search"):
            found.append(f"{where}: a public header includes the private {name}")
    for name in FORWARD.findall(text):
        headers = types.get(name, set())
        if headers and not any(may_see(room, home_of(h)) or h in EXTRA.get(room or "", ()) for h in headers):
            found.append(f"{where}: room {room} names {name} of {', '.join(sorted(headers))}, which it may not see")
    if re.search(r"^\s*#\s*pragma\s+omp", text, re.M) and str(where) != "src/detail/parallel_for.cpp":
        found.append(f"{where}: has an OpenMP pragma; all loops go through detail::parallel_for")
    return found


def check_bindings(root: Path) -> list[str]:
    """Every file of the bindings sees the same casters: a type that one file converts and another passes as a class would be two functions of one name."""
    folder = root / "python" / "bindings"
    includes = {p.name: INCLUDE.findall(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.?pp"))}

    def reaches(name: str, seen: set[str]) -> bool:
        if name in seen or name not in includes:
            return False
        seen.add(name)
        return name == CASTERS or any(reaches(i, seen) for i in includes[name])

    found = [f"python/bindings/{f}: includes {i}, which belongs into {CASTERS} or nowhere" for f, names in includes.items() for i in names
             if FOREIGN_CASTERS.match(i)]
    found += [f"python/bindings/{f}: does not see {CASTERS}, where the casters are" for f in includes if f.startswith("bind_") and not reaches(f, set())]
    return found


def check_tree(root: Path) -> list[str]:
    files = sorted(p for top in ("include", "src") for p in (root / top).rglob("*") if p.suffix in (".hpp", ".cpp", ".h", ".inc"))
    if not files:
        return [f"{root}: no sources found"]
    types = defined_in(files, root)
    return [v for f in files for v in check_file(f, root, types)] + check_bindings(root)


def check_symbols(archive: Path) -> list[str]:
    listing = subprocess.run(["nm", "--undefined-only", "-A", str(archive)], check=True, capture_output=True, text=True).stdout
    names = [(line.split(":")[1], line.split()[-1]) for line in listing.splitlines() if " U " in line]
    if not names:
        return [f"{archive}: no symbols read"]
    return [f"{member}: asks for {name}" for member, name in names if FORBIDDEN_SYMBOLS.match(name)]


def self_test() -> list[str]:
    """Each rule must find the violation seeded for it."""
    spdx = "// SPDX-License-Identifier: Apache-2.0\n"
    seeded = {
        "src/core/a.cpp": spdx + '#include "etalage/models/als.hpp"\n',
        "src/models/b.cpp": spdx + "#include <faiss/Index.h>\n",
        "src/models/c.cpp": spdx + "#include <boost/archive/text_oarchive.hpp>\n",
        "include/etalage/models/d.hpp": spdx + "#include <Eigen/Dense>\n",
        "include/etalage/core/e.hpp": spdx + '#include "kernels/dot.hpp"\n',
        "src/models/f.cpp": spdx + "#pragma omp parallel for\n",
        "src/core/g.cpp": "int x;\n",
        "src/core/h.cpp": spdx + "// na\u00efve\n",
        "src/evaluation/i.cpp": spdx + '#include "etalage/models/als.hpp"\n',
        "src/core/k.cpp": spdx + "#include <nlohmann/json.hpp>\n",
        "src/retrieval/n.cpp": spdx + "#include <faiss/Index.h>\n",
        "src/core/j.cpp": spdx + "#include <iostream>\n",
        "include/etalage/extend/l.hpp": spdx,
        "src/core/m.cpp": spdx + '#include "etalage/extend/candidate_source.hpp"\n',
        "include/etalage/models/o.hpp": spdx + "class Model {\n};\n",
        "src/core/p.cpp": spdx + "class Model;\n",
        "include/etalage/core/q.hpp": spdx + "#include <sstream>\n",
        "python/bindings/bind_r.cpp": spdx + "#include <pybind11/stl.h>\n",
        "python/bindings/bind_s.cpp": spdx + '#include "numpy_helpers.hpp"\n#include <pybind11/stl_bind.h>\n',
        "python/bindings/numpy_helpers.hpp": spdx + "#include <pybind11/stl.h>\n",
        "src/kernels/n.cpp": spdx + '#include "search/best.hpp"\n',
    }
    right = {"include/etalage/models/o.hpp", "python/bindings/numpy_helpers.hpp"}
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in seeded.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        found = check_tree(root)
        missed += [f"self-test: the violation in {n} was not found" for n in seeded if n not in right and not any(v.startswith(n) for v in found)]
        source = root / "bad.cpp"
        source.write_text('#include <cstdio>\n#include <cstdlib>\nvoid f(int n) { std::printf("%d", n); std::abort(); }\n')
        subprocess.run(["c++", "-c", "-O0", str(source), "-o", str(root / "bad.o")], check=True)
        subprocess.run(["ar", "qc", str(root / "bad.a"), str(root / "bad.o")], check=True)
        symbols = check_symbols(root / "bad.a")
        missed += [f"self-test: {s} was not found" for s in ("printf", "abort") if not any(v.endswith(s) for v in symbols)]
    return missed


def main() -> int:
    root = Path(sys.argv[1])
    if "--self-test" in sys.argv:
        found = self_test()
    elif "--symbols" in sys.argv:
        found = check_symbols(Path(sys.argv[sys.argv.index("--symbols") + 1]))
    else:
        found = check_tree(root)
    print("\n".join(found) or "no violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
