# SPDX-License-Identifier: Apache-2.0
"""Uses an installed etalage with nothing but numpy and scipy beside it: imports, fits, searches, saves and loads."""

import os
import pathlib
import subprocess
import sys

LOAD = """
import sys, etalage
model = etalage.load(sys.argv[1])
keys, scores = model.recommend_ids(["u0"], k=3)
print(",".join(str(k) for k in keys[0]))
"""


def threads() -> int:
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0


def main() -> None:
    import numpy
    import scipy

    before = threads()
    import etalage

    assert threads() == before, f"importing etalage made {threads() - before} threads"
    where = pathlib.Path(etalage.__file__)
    assert "site-packages" in where.parts, f"{where} is not the installed package"
    info = etalage.build_info()
    print(f"etalage {etalage.__version__}, numpy {numpy.__version__}, scipy {scipy.__version__}, {info}")

    folder = pathlib.Path(sys.argv[1])
    rng = numpy.random.default_rng(1)
    users, items = 200, 60
    # Two tastes: even shoppers buy even products.
    rows = numpy.repeat(numpy.arange(users), 12)
    columns = (rng.integers(0, items // 2, rows.size) * 2 + rows % 2) % items
    log = etalage.EventLog.from_frame({"user": [f"u{r}" for r in rows], "item": [f"i{c}" for c in columns]}, user="user", item="item")
    data = log.interactions(duplicates="binary")
    assert data.user_items.shape == (users, items)
    model = etalage.models.ALS(factors=8, iterations=5, num_threads=2).fit(data)
    found, scores = model.recommend(numpy.arange(users), k=5)
    assert found.shape == scores.shape == (users, 5) and numpy.isfinite(scores).all()
    keys, _ = model.recommend_ids(["u0"], k=3)
    assert all(int(str(k)[1:]) % 2 == 0 for k in keys[0]), f"an even shopper was offered {keys[0]}"

    vectors = rng.standard_normal((500, 16)).astype(numpy.float32)
    for kind in ("exact", "hnsw"):
        index = etalage.retrieval.ItemIndex(16, metric="cosine", kind=kind)
        index.add(vectors, numpy.arange(500))
        nearest, _ = index.search(vectors[:50], 1)
        assert (nearest[:, 0] == numpy.arange(50)).mean() > 0.95, f"{kind} does not find a vector by itself"

    path = folder / "model.etalage"
    model.save(path)
    again = subprocess.run([sys.executable, "-I", "-c", LOAD, str(path)], check=True, capture_output=True, text=True).stdout.strip()
    assert again == ",".join(str(k) for k in keys[0]), f"the loaded model says {again}"
    print("imports, fits, searches, saves and loads")


main()
