# SPDX-License-Identifier: Apache-2.0
"""What a repaired wheel must hold: the module, stubs, licences, and a notice for every library bundled with it."""

import re
import sys
import zipfile

names = zipfile.ZipFile(sys.argv[1]).namelist()
notices = [n for n in names if n.endswith("THIRD_PARTY_NOTICES")]
problems = []
for pattern in (r"etalage/_core.*\.so$", r"etalage/py\.typed$", r"etalage/evaluation/templates/experiment\.html$", r".*dist-info/.*LICENSE$", r".*dist-info/entry_points\.txt$"):
    if not any(re.match(pattern, n) for n in names):
        problems.append(f"nothing matches {pattern}")
if not notices:
    problems.append("no THIRD_PARTY_NOTICES")
else:
    text = zipfile.ZipFile(sys.argv[1]).read(notices[0]).decode().lower()
    # What is linked in, and what auditwheel has copied beside the module.
    wanted = {"eigen", "boost", "highway", "xxhash", "zlib", "pybind11", *(["faiss"] if any(n.startswith("etalage/_faiss") for n in names) else [])}
    for name in names:
        bundled = re.match(r"etalage\.libs/lib([a-z]+)", name)
        if bundled:
            wanted.add(bundled.group(1))
    problems += [f"THIRD_PARTY_NOTICES says nothing of {w}" for w in sorted(wanted) if w not in text]
for name in names:
    if name.endswith((".hpp", ".a", ".cmake")) or "tests/" in name:
        problems.append(f"{name} does not belong in a wheel")
    if re.search(r"blas|gfortran|quadmath|libfaiss", name):
        problems.append(f"{name} is bundled, and nothing in the library asks for it: FAISS is inside etalage/_faiss, its BLAS is SciPy's")
print("\n".join(problems) or f"{len(names)} files, as they should be")
sys.exit(bool(problems))
