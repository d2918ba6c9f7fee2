# SPDX-License-Identifier: Apache-2.0
"""Compiles without code generation.

    check_compiles.py ROOT BUILD --clang CLANG     every source of the library and the tests under clang
    check_compiles.py ROOT BUILD --headers CXX     every public header alone, with no other include before it
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# Clang has no OpenMP runtime of its own here, so it reads the std::thread side of parallel_for.
NOT_FOR_CLANG = {"-fopenmp", "-DETALAGE_USE_OPENMP", "-Werror"}


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode == 0 else f"{' '.join(command)}\n{done.stdout}{done.stderr}"


def each_alone(root: Path, build: Path) -> Path:
    """A build folder whose commands compile every source alone: this one, or one configured like it where files are
    compiled together."""
    cached = [line for line in (build / "CMakeCache.txt").read_text().splitlines() if not line.startswith(("#", "//"))]
    if "ETALAGE_UNITY:BOOL=ON" not in cached:
        return build
    alone = build / "each_alone"
    kept = [f"-D{line}" for line in cached
            if line.startswith(("ETALAGE_BUILD_", "ETALAGE_WITH_", "ETALAGE_SANITIZE:", "ETALAGE_THREADS:", "ETALAGE_WERROR:", "CMAKE_BUILD_TYPE:",
                                "CMAKE_CXX_COMPILER:", "Python_EXECUTABLE:"))]
    done = subprocess.run(["cmake", "-S", root, "-B", alone, "-G", "Ninja", *kept, "-DETALAGE_UNITY=OFF"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return alone


def clang_commands(root: Path, build: Path, clang: str) -> list[list[str]]:
    commands = []
    build = each_alone(root, build)
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"]).resolve()
        if not source.is_relative_to(root) or source.is_relative_to(build):
            continue
        words = shlex.split(entry["command"])
        words = words[next(i for i, w in enumerate(words) if w.startswith("-")):]
        flags = []
        skip = False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-c", "-MF", "-MT"):
                skip = word != "-c"
            elif word not in NOT_FOR_CLANG and word != entry["file"] and not word.startswith(("-fsanitize", "-fno-sanitize")):
                flags.append(word)
        commands.append([clang, *flags, "-Werror", "-fsyntax-only", str(source)])
    return commands


def header_commands(root: Path, build: Path, compiler: str, folder: Path) -> list[list[str]]:
    commands = []
    for header in sorted((root / "include").rglob("*.hpp")):
        name = header.relative_to(root / "include").as_posix()
        source = folder / (name.replace("/", "_") + ".cpp")
        source.write_text(f'#include "{name}"\n#include "{name}"\n')
        commands.append([compiler, "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror",
                         f"-I{root / 'include'}", f"-I{build / 'include'}", "-fsyntax-only", str(source)])
    return commands


def main() -> int:
    root, build, mode, compiler = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3], sys.argv[4]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        if mode == "--clang":
            commands = clang_commands(root, build, compiler)
        else:
            commands = header_commands(root, build, compiler, Path(folder))
        failed = [output for output in pool.map(run, commands) if output]
    print("\n".join(failed) or f"{len(commands)} files compile")
    return 1 if failed or not commands else 0


if __name__ == "__main__":
    sys.exit(main())
