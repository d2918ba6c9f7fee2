# SPDX-License-Identifier: Apache-2.0
"""Bad input: an exception that names argument, value and rule, and a model that still answers afterwards."""

import numpy as np
import pytest
import scipy.sparse as sp
from models import N, checkerboard


@pytest.fixture(autouse=True)
def still_answers(model):
    before = model.recommend(0)
    yield
    np.testing.assert_array_equal(model.recommend(0)[1], before[1])


def broken(**parts):
    """A CSR matrix whose arrays scipy did not check."""
    m = checkerboard()
    for name, value in parts.items():
        setattr(m, name, value)
    return m


def with_value(value):
    m = checkerboard()
    m.data[7] = value
    return m


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_not_finite(case, model, value):
    matrix = with_value(1).astype(np.float64)
    matrix.data[7] = value
    if case.matrices:
        with pytest.raises(ValueError, match=r"data.*(nan|inf).*must be finite"):
            case.fit(matrix)
    with pytest.raises(ValueError, match=r"user_items.*(nan|inf).*must be finite"):
        model.recommend(np.arange(N), matrix)


def test_broken_matrices(case, model):
    good = checkerboard()
    negative, beyond = good.indices.copy(), good.indices.copy()
    negative[3], beyond[3] = -1, N
    wide = good.indices.astype(np.int64)
    wide[3] = 2**40
    falling = good.indptr.copy()
    falling[5] = falling[7]
    for parts, message in (({"indices": negative}, r"-1.*must be in \[0, 50\)"), ({"indices": beyond}, r"50.*must be in \[0, 50\)"),
                           ({"indices": wide, "indptr": good.indptr.astype(np.int64)}, "1099511627776"),
                           ({"indptr": falling}, "offset")):
        with pytest.raises((ValueError, IndexError), match=message):
            model.recommend(np.arange(N), broken(**parts))


def test_wrong_types(case, model):
    text = np.array([["a"] * N], dtype=object)
    for bad in ("rows", 7, [[1, 0]], {"a": 1}, text):
        with pytest.raises((TypeError, ValueError, AttributeError), match="user_items"):
            model.recommend(0, bad)
    with pytest.raises(TypeError, match="user_items.data has dtype complex.*must be"):
        model.recommend(0, sp.csr_matrix(np.ones((1, N), complex)))
    if not case.name.startswith("Vectors"):
        for bad in (None, "data", 3, [1, 2]):
            with pytest.raises((TypeError, ValueError), match="data is"):
                case.fit(bad)


def test_wrong_shapes(model, rows):
    with pytest.raises(ValueError, match="user_items has 3 rows, must have one for each of the 2"):
        model.recommend([0, 1], rows[:3])
    with pytest.raises(ValueError, match="user_items has 50 rows, must have one for each of the 1"):
        model.recommend(0, rows)
    with pytest.raises(ValueError, match="user_items has 49 columns, must have 50"):
        model.recommend(0, rows[0, :49])
    with pytest.raises(ValueError, match=r"user_index has shape \(2, 1\)"):
        model.recommend(np.array([[0], [1]]))
    with pytest.raises(ValueError, match="filter_items has 3 rows, must be one list for all or have one row for each of the 2"):
        model.recommend([0, 1], filter_items=[[1], [2], [3]])
    with pytest.raises(ValueError, match="items has 1 rows"):
        model.recommend([0, 1], items=sp.csr_matrix((1, N)))


@pytest.mark.parametrize("index", [-1, N, 2**31 - 1, -(2**31), 2**40, [0, N], np.array([3, -2])])
def test_indices_out_of_range(case, model, index):
    for call in (lambda: model.recommend(index, k=3), lambda: model.score(index, None, [1])):
        with pytest.raises(IndexError, match="user_index"):
            call()
    if case.has("similar_items"):
        with pytest.raises(IndexError, match="item_index"):
            model.similar_items(index)
    if case.has("similar_users"):
        with pytest.raises(IndexError, match="user_index"):
            model.similar_users(index)
    items = index if isinstance(index, (list, np.ndarray)) else [index]
    with pytest.raises(IndexError, match="session_items"):
        model.recommend_session(items)
    with pytest.raises(IndexError, match="filter_items"):
        model.recommend(0, filter_items=items)
    with pytest.raises(IndexError, match="items"):
        model.recommend(0, items=items)
    with pytest.raises(IndexError, match="items"):
        model.score(0, None, items)


@pytest.mark.parametrize("index", [1.0, np.float32(2), "3", True, None, [1.0, 2.0], ["a"], [[1, 2], [3]], [True], {"a": 1}, b"1"])
def test_what_is_no_index(case, model, index):
    with pytest.raises((TypeError, ValueError), match="user_index"):
        model.recommend(index)
    if case.has("similar_items"):
        with pytest.raises((TypeError, ValueError), match="item_index"):
            model.similar_items(index)


def test_a_list_where_one_index_stands(case, model):
    if not case.has("explain"):
        pytest.skip("has no explain")
    with pytest.raises(TypeError, match=r"item_index is \[1, 2\] \(list\), must be one integer"):
        model.explain(0, None, [1, 2])
    with pytest.raises(TypeError, match=r"user_index is \[0\] \(list\), must be one integer"):
        model.explain([0], None, 1)
    with pytest.raises(IndexError, match="item_index"):
        model.explain(0, None, N)


def test_k(model):
    for bad in (-1, -(10**30)):
        with pytest.raises(ValueError, match="k is -1.*must be >= 0"):
            model.recommend(0, k=bad)
    for bad in (1.5, "3", None, [3], True):
        with pytest.raises(TypeError, match="k is .*must be one integer"):
            model.recommend(0, k=bad)
    assert model.recommend(0, k=10 * N)[0].shape == (10 * N,)


def test_lists_that_are_none(model):
    for bad in (5, "12", [1.5], ["a"], [[1], 2], [1, [2]], np.ones((2, 2, 2), int)):
        with pytest.raises((TypeError, ValueError), match="items"):
            model.recommend([0, 1], filter_items=bad)
    for bad in (5, "12", [1.5], ["a"], [[1], 2], None):
        with pytest.raises((TypeError, ValueError), match="session_items"):
            model.recommend_session(bad)


def test_empty_matrices(case):
    if case.name.startswith("Vectors"):
        pytest.skip("is fitted on vectors")
    for shape in ((0, 0), (0, 5), (5, 0), (5, 5)):
        rows = sp.csr_matrix(shape, dtype=np.float32)
        try:
            model = case.fit(rows)
        except ValueError as error:
            assert "must" in str(error)
            continue
        users = np.arange(shape[0])
        items, scores = model.recommend(users, rows, k=3)
        assert items.shape == (shape[0], 3) and not np.isnan(scores).any()


def test_arguments_of_als():
    import etalage

    for name, value in (("factors", 0), ("factors", -3), ("regularization", -1.0), ("regularization", float("nan")),
                        ("alpha", float("inf")), ("iterations", -1), ("num_threads", -2), ("seed", -1), ("solver", "magic"),
                        ("nu", 3.0), ("cg_steps", 0), ("tolerance", -1.0), ("factors", 2**40)):
        with pytest.raises(ValueError, match=f"{name} is .*must be"):
            etalage.models.ALS(**{name: value})
    for name, value in (("factors", 2.5), ("factors", "64"), ("alpha", "1"), ("alpha", None), ("iterations", [3]),
                        ("keep_history", 1), ("factors", True), ("warm_start", "no")):
        with pytest.raises(TypeError, match=f"{name} is .*must be"):
            etalage.models.ALS(**{name: value})
    model = etalage.models.ALS(factors=4)
    with pytest.raises(ValueError, match="factors is 0"):
        model.set_params(alpha=2.0, factors=0)
    assert model.get_params()["alpha"] == "auto" and model.factors == 4


def test_more_factors_than_items():
    import etalage

    rows = checkerboard(6)
    for solver in ("cg", "cholesky", "subspace"):
        model = etalage.models.ALS(factors=40, iterations=4, solver=solver).fit(rows)
        items, scores = model.recommend(np.arange(6), rows, k=2)
        assert np.isfinite(scores[items >= 0]).all()
        assert np.isfinite(model.user_factors).all()


def test_callback_that_is_none():
    import etalage

    with pytest.raises(TypeError, match="callback is 3"):
        etalage.models.ALS(factors=2).fit(checkerboard(), callback=3)
