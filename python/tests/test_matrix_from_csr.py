# SPDX-License-Identifier: Apache-2.0
"""Interactions of a matrix that is there already."""

import numpy as np
import pytest
import scipy.sparse as sp

from etalage import Interactions
from small_logs import dense


def test_from_csr_round_trip():
    m = sp.random(20, 30, 0.2, "csr", np.float32, random_state=0)
    data = Interactions.from_csr(m, user_ids=[f"u{i}" for i in range(20)], item_ids=np.arange(30) * 10)
    assert (data.user_items != m).nnz == 0
    assert data.item_ids.tolist() == list(range(0, 300, 10)) and data.user_index(["u3", "x"]).tolist() == [3, -1]
    m.data[:] = 7
    assert data.user_items.data[0] != 7
    bare = Interactions.from_csr(m)
    assert bare.user_ids is None
    with pytest.raises(ValueError, match="user_ids are not known"):
        bare.user_index([1])


def test_from_csr_converts_what_is_harmless():
    m = sp.csr_matrix(np.array([[0, 2], [1, 0]], np.float64))
    wide = sp.csr_matrix((m.data, m.indices.astype(np.int64), m.indptr.astype(np.int64)), shape=m.shape)
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    strided = m.astype(np.float32).toarray()[:, ::-1]
    for given in (m, wide, m.tocoo(), m.tocsc(), m.astype(np.int32), sp.csr_array(m)):
        assert dense(Interactions.from_csr(given)).tolist() == [[0, 2], [1, 0]]
    assert dense(Interactions.from_csr(strided)).tolist() == [[2, 0], [0, 1]]
    unsorted = sp.csr_matrix((np.array([1, 2, 3], np.float32), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2))
    assert Interactions.from_csr(unsorted).user_items.indices.tolist() == [0, 1]
    assert dense(Interactions.from_csr(unsorted)).tolist() == [[2, 4]]
    empty = Interactions.from_csr(sp.csr_matrix((0, 0), dtype=np.float32))
    assert empty.shape == (0, 0) and empty.nnz == 0


def broken(data=(1.0,), indices=(0,), indptr=(0, 1), shape=(1, 2)):
    m = sp.csr_matrix(shape, dtype=np.float32)
    m.data, m.indices, m.indptr = np.array(data, np.float32), np.array(indices), np.array(indptr)
    return m


@pytest.mark.parametrize("matrix,text", [
    (broken(data=(float("nan"),)), "user_items has value nan at row 0, column 0, must be finite"),
    (broken(data=(float("inf"),)), "must be finite"),
    (broken(indices=(-1,)), "user_items has column index -1"),
    (broken(indices=(2,)), r"column index 2 at entry 0, must be in \[0, 2\)"),
    (broken(indptr=(0, 1, 1)), "offsets"),
    (np.array([1.0, 2.0]), "must have 2 dimensions"),
])
def test_from_csr_refuses_what_is_broken(matrix, text):
    with pytest.raises(ValueError, match=text):
        Interactions.from_csr(matrix)


def test_from_csr_refuses_keys_that_do_not_fit():
    m = sp.csr_matrix(np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="user_ids has 3 keys"):
        Interactions.from_csr(m, user_ids=[1, 2, 3])
    with pytest.raises(ValueError, match="must be unique"):
        Interactions.from_csr(m, item_ids=["a", "a"])
    with pytest.raises(TypeError):
        Interactions.from_csr([[1, 0], [0, 1]])
