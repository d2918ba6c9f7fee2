# SPDX-License-Identifier: Apache-2.0
"""Data that tests read where they are there, and matrices of lists."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ETALAGE_DATA", ROOT / "../shared/data"))


def frames_of(name):
    """(pandas, the path of this file or folder of the data), or the test is skipped."""
    pandas = pytest.importorskip("pandas")
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there (set ETALAGE_DATA)")
    return pandas, path


def rows(*lists, width):
    """A CSR matrix with a one for each item of each list."""
    m = sp.lil_matrix((len(lists), width), dtype=np.float32)
    for u, items in enumerate(lists):
        m[u, items] = 1
    return m.tocsr()
