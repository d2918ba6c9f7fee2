# SPDX-License-Identifier: Apache-2.0
"""Instructions of each hot path, counted by valgrind's callgrind, beside those of the stored baseline.

    python3 tests/instructions/check_instructions.py PROGRAM COMPILER [--update] [PATH ...]

Fails when a path takes more instructions than the baseline of this compiler allows (tolerance in baseline.json, a share).
Fewer by more than that is said too, so that the baseline follows. A compiler without a baseline, or a machine without
valgrind, skips (exit 77). One thread and ETALAGE_SIMD=avx2, since valgrind runs no AVX-512: counts do not depend on the
machine. --update writes the counts seen.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).with_name("baseline.json")


def count(program: str, path: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=etalage_measured", f"--callgrind-out-file={out}",
             program, path],
            capture_output=True, text=True, env=os.environ | {"ETALAGE_SIMD": "avx2", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
        if run.returncode != 0:
            raise SystemExit(f"{path}: {run.stderr[-2000:]}")
        found = re.search(r"^(?:summary|totals):\s*(\d+)", out.read_text(), re.M)
        total = int(found[1]) if found else 0
        if total == 0:
            raise SystemExit(f"{path}: callgrind counted nothing inside etalage_measured")
        return total


def main() -> int:
    program, compiler, *rest = sys.argv[1:]
    update = "--update" in rest
    wanted = [r for r in rest if r != "--update"]
    if shutil.which("valgrind") is None:
        print("SKIPPED: valgrind is not installed")
        return 77
    baseline = json.loads(BASELINE.read_text())
    known = baseline["instructions"].get(compiler)
    if known is None and not update:
        print(f"SKIPPED: no baseline for {compiler}; known: {', '.join(baseline['instructions'])}. --update makes one")
        return 77
    paths = wanted or subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    if not wanted and not update and (absent := sorted(set(paths) ^ set(known))):
        print(f"baseline and program differ in {', '.join(absent)}: run with --update")
        return 1
    tolerance, worse = baseline["tolerance"], []
    seen = dict(known or {})
    for path in paths:
        now = count(program, path)
        before = (known or {}).get(path)
        change = "" if not before else f"{100 * (now / before - 1):+6.1f} %"
        verdict = ""
        if before and now > before * (1 + tolerance):
            verdict = "MORE"
            worse.append(path)
        elif before and now < before * (1 - tolerance):
            verdict = "less: --update keeps it"
        print(f"{path:24s} {now:14,d} {change} {verdict}", flush=True)
        seen[path] = now
    if update:
        baseline["instructions"][compiler] = {p: seen[p] for p in sorted(seen) if p in paths or wanted}
        BASELINE.write_text(json.dumps(baseline, indent=1) + "\n")
        return 0
    if worse:
        print(f"more than {100 * tolerance:.0f} % above the baseline: {', '.join(worse)}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
