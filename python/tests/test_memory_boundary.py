# SPDX-License-Identifier: Apache-2.0
"""What crosses between NumPy and the library: nothing that outlives a call rests on the caller's memory, and nothing that is
handed out rests on memory that NumPy may not own."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from contract.models import CASES

import etalage
from etalage.models import ALS, ColdStart, FeatureALS, Popularity, SessionKNN, Transitions, UserKNN, Vectors
from etalage.profile import Profiles, PurchaseIntent
from etalage.retrieval import ItemFilter, ItemIndex
from etalage.serving import Engine, IndexSource, ListSource, ModelSource, Ranker, Snapshot

USERS, ITEMS = 40, 30


def matrix(seed=0, users=USERS, items=ITEMS):
    rng = np.random.default_rng(seed)
    rows = sp.csr_matrix((rng.random((users, items)) < 0.3).astype(np.float32))
    rows.sort_indices()
    return rows


def spoil(*arrays):
    """Writes nonsense to every array, as far as anybody may."""
    for a in arrays:
        parts = (a.data, a.indices, a.indptr) if sp.issparse(a) else (a,)
        for part in parts:
            if part.dtype == object:
                part[:] = "spoilt"
            else:
                part[:] = 1 if part.dtype == bool else np.iinfo(part.dtype).max if part.dtype.kind in "iu" else -7


def answers(model):
    """Everything that a model says, as bytes."""
    rows = matrix(9, users=3)
    out = [model.recommend(None, rows, k=8), model.recommend_session([1, 5, 9], k=8)]
    for call in (lambda: model.similar_items([0, 3], k=5), lambda: model.similar_users([0, 3], k=5),
                 lambda: model.recommend([0, 1, 2], rows, k=8), lambda: model.recommend([0, 1, 2], None, k=8)):
        try:
            out.append(call())
        except (NotImplementedError, ValueError):
            pass
    return [(np.asarray(a).tobytes(), np.asarray(b).tobytes()) for a, b in out]


# What is kept is the library's own


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_fitted_model_does_not_change_with_the_matrix(case):
    rows = matrix()
    model = case.fit(rows)
    before = answers(model)
    spoil(rows)
    assert answers(model) == before


@pytest.mark.parametrize("make", [
    lambda rows: rows, sp.csr_array, lambda rows: rows.tocsc(), lambda rows: rows.tocoo(), lambda rows: rows.toarray(),
    lambda rows: sp.csr_matrix((rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)), rows.shape),
    lambda rows: rows.astype(np.float64)], ids=["csr", "csr_array", "csc", "coo", "dense", "int64", "float64"])
def test_no_layout_of_a_matrix_is_borrowed(make):
    rows = make(matrix())
    model = UserKNN().fit(rows)
    data = etalage.Interactions.from_csr(rows)
    before, kept = answers(model), data.user_items_view.toarray()
    for name in ("data", "indices", "indptr", "row", "col"):
        if sp.issparse(rows) and hasattr(rows, name):
            part = getattr(rows, name)
            part[:] = np.iinfo(part.dtype).max if part.dtype.kind == "i" else -7
    if not sp.issparse(rows):
        rows[:] = -7
    assert answers(model) == before
    np.testing.assert_array_equal(data.user_items_view.toarray(), kept)


def keepers():
    """(name, make): make() gives (what keeps, the arrays it was given, what it says)."""
    rng = np.random.default_rng(3)

    def vectors():
        u, i, rows = rng.normal(size=(USERS, 4)).astype(np.float32), rng.normal(size=(ITEMS, 4)).astype(np.float32), matrix()
        users, items = np.arange(100, 100 + USERS), np.arange(900, 900 + ITEMS)
        return Vectors(u, i, user_items=rows, user_ids=users, item_ids=items), [u, i, rows, users, items], lambda m: (
            answers(m), m.recommend_ids([100, 101])[0].tolist())

    def vectors_later():
        m = Vectors(rng.normal(size=(USERS, 4)), rng.normal(size=(ITEMS, 4)))
        u, i, at = np.ones((1, 4), np.float32), np.full((1, 4), 2, np.float32), np.array([2], np.int32)
        m.partial_fit_users(at, u).partial_fit_items(at, i)
        return m, [u, i, at], lambda m: m.recommend([1, 2], k=5, filter_already_liked_items=False)[1].tobytes()

    def als_later():
        m = ALS(factors=4, iterations=2).fit(etalage.Interactions.from_csr(matrix()))
        at, rows, columns = np.array([3, 5], np.int32), matrix(4, users=2), matrix(5, users=2, items=USERS)
        m.partial_fit_users(at, rows)
        m.partial_fit_items(at, columns)
        return m, [at, rows, columns], lambda m: (answers(m), m.user_items.toarray().tobytes())

    def popularity_later():
        m = Popularity().fit(etalage.Interactions.from_csr(matrix()))
        at, rows, segments = np.array([3, 5], np.int32), matrix(4, users=2), np.arange(USERS, dtype=np.int32) % 3
        m.set_segments(segments)
        m.partial_fit_users(at, rows)
        return m, [at, rows, segments], lambda m: (answers(m), m.recommend(3, k=5)[0].tolist())

    def features():
        m, rows = FeatureALS(factors=4, iterations=2), matrix()
        u, i = matrix(6, USERS, 5), matrix(7, ITEMS, 5)
        m.fit(rows, user_features=u, item_features=i)
        more = matrix(8, 2, 5)
        m.add_users(more)
        return m, [rows, u, i, more], lambda m: (answers(m), m.user_rows(matrix(1, 2, 5)).tobytes(), pickle.dumps(m))

    def cold_start():
        m = ALS(factors=4, iterations=2).fit(etalage.Interactions.from_csr(matrix()))
        x = matrix(7, ITEMS, 5)
        return ColdStart(m, x), [x], lambda c: c.factors(matrix(1, 3, 5)).tobytes()

    def sequences():
        offsets, items = np.array([0, 3, 5], np.int64), np.array([1, 2, 3, 2, 4], np.int32)
        times, users, ids = np.arange(5, dtype=np.int64), np.array([1, 0], np.int32), np.arange(10, 12)
        s = etalage.Sequences(offsets, items, times, 6, user_index=users, user_ids=ids)
        return s, [offsets, items, times, users, ids], lambda s: (
            s.offsets.tolist(), s.items.tolist(), s.times.tolist(), s.user_index.tolist(), s.user_ids.tolist(), s[1].tolist())

    def sequence_model(kind):
        def make():
            offsets, items = np.array([0, 3, 5, 8], np.int64), np.array([1, 2, 3, 2, 4, 1, 3, 4], np.int32)
            m = kind().fit(etalage.Sequences(offsets, items, num_items=6))
            more = np.array([3, 1, 0, 2], np.int32), np.array([0, 4], np.int64)
            m.add_sessions(etalage.Sequences(more[1], more[0], num_items=6))
            return m, [offsets, items, *more], lambda m: m.recommend_session([[1, 2], [3]], k=4)[1].tobytes()
        return make

    def index(kind):
        def make():
            v, ids = rng.normal(size=(ITEMS, 8)).astype(np.float32), np.arange(ITEMS)
            ix = ItemIndex(8, kind=kind)
            ix.add(v, ids)
            w, some = v[:3].copy() + 1, ids[:3].copy()
            ix.update(w, some)
            q = np.ones((2, 8), np.float32)
            return ix, [v, ids, w, some], lambda x: (x.ids.tolist(), x.search(q, 5)[1].tobytes())
        return make

    def item_filter():
        ids = np.arange(5)
        return ItemFilter(allow=ids), [ids], lambda f: [f.allows(i) for i in range(7)]

    def id_map():
        numbers, words = np.arange(3), np.array(["a", "b"], object)
        return (etalage.IdMap(numbers), etalage.IdMap(words)), [numbers, words], lambda m: (
            m[0].keys.tolist(), m[1].keys.tolist(), m[0].find([2]).tolist(), m[1].find(["b"]).tolist())

    def catalogue():
        ids, prices, stock, v = np.arange(ITEMS), np.ones(ITEMS, np.float32), np.ones(ITEMS, np.float32), np.ones((ITEMS, 4), np.float32)
        names = np.array([f"n{i}" for i in range(ITEMS)], object)
        c = etalage.Catalog(ids, prices=prices, stock=stock, vectors=v, names=names)
        return c, [ids, prices, stock, v, names], lambda c: (
            c.item_ids.tolist(), c.prices.tolist(), c.stock.tolist(), c.vectors.tolist(), c.names)

    def trees():
        a = {"feature": np.array([0, -1, -1], np.int32), "threshold": np.array([0.5, 0, 0]), "left": np.array([1, 0, 0], np.int32),
             "right": np.array([2, 0, 0], np.int32), "nan_left": np.array([1, 0, 0], np.uint8), "value": np.array([0, 1.0, 2.0]),
             "roots": np.array([0], np.int32)}
        t = etalage._core.TreeEnsemble(**a, base=0.5, num_features=1)
        return t, list(a.values()), lambda t: t.predict(np.array([[0.0], [1.0]], np.float32)).tolist()

    def log(wrap):
        def make():
            n = 50
            c = {"user": rng.integers(0, 9, n), "item": rng.integers(0, 9, n), "time": np.arange(n) + 10**12, "value": np.ones(n, np.float32)}
            frame = wrap(c)
            log = etalage.EventLog.from_frame(frame, time="time", value="value", time_unit="ms")
            return log, list(c.values()), lambda x: (x.times.tolist(), x.values.tolist(), x.users.tolist(), x.user_ids.tolist())
        return make

    def sources():
        v, items, scores = np.eye(4, dtype=np.float32), np.arange(4, dtype=np.int32), np.arange(4, 0, -1).astype(np.float32)
        c = etalage.serving.CatalogIndex(etalage.Catalog(np.arange(4)))
        ix = ItemIndex(4, kind="exact")
        ix.add(np.eye(4, dtype=np.float32), np.arange(4))
        rows = sp.csr_matrix(np.eye(4, dtype=np.float32)[::-1])
        r = Ranker(c, [ListSource("best", (items, scores)), ListSource("with", rows), IndexSource("near", ix, vectors=v)], vectors=v,
                   rerank={"method": "mmr"})
        return r, [v, items, scores, rows], lambda r: [r.rank(4, anchors=[a]).scores.tobytes() for a in range(4)]

    def snapshot():
        m = ALS(factors=4, iterations=2).fit(etalage.Interactions.from_csr(matrix(), item_ids=np.arange(ITEMS), user_ids=np.arange(USERS)))
        row = np.ones(4, np.float32)
        s = Snapshot({"als": m}, segment_factors={"gold": row})
        return s, [row], told

    def told(s):
        with Engine() as e:
            e.publish(s)
            return e.recommend(10**9, 5, segment="gold").scores.tobytes()

    def evaluation():
        lists, users = np.array([[1, 2], [3, 4]], np.int32), np.array([1, 0], np.int32)
        e = etalage.evaluation.evaluate_ranking(lists, matrix(), users=users, k=2)
        return e, [lists, users], lambda e: (e.user_index.tolist(), e["recall@2"])

    out = [vectors, vectors_later, als_later, popularity_later, features, cold_start, sequences, sequence_model(Transitions),
           sequence_model(SessionKNN), *(index(k) for k in ("exact", "hnsw", "ivf")), item_filter, id_map, catalogue, trees, log(dict),
           sources, snapshot, evaluation]
    names = ["Vectors", "Vectors.partial_fit", "ALS.partial_fit", "Popularity.partial_fit", "FeatureALS", "ColdStart", "Sequences",
             "Transitions", "SessionKNN", "ItemIndex exact", "ItemIndex hnsw", "ItemIndex ivf", "ItemFilter", "IdMap", "Catalog",
             "TreeEnsemble", "EventLog dict", "Ranker", "Snapshot", "Evaluation"]
    for module, wrap in (("pandas", lambda m: m.DataFrame), ("pyarrow", lambda m: m.table), ("polars", lambda m: m.DataFrame)):
        try:
            out.append(log(wrap(__import__(module))))
            names.append(f"EventLog {module}")
        except ImportError:
            pass
    return [pytest.param(make, id=name) for make, name in zip(out, names)]


@pytest.mark.parametrize("make", keepers())
def test_what_keeps_something_keeps_its_own(make):
    thing, arrays, say = make()
    before = say(thing)
    assert all(a.flags.writeable for a in arrays if isinstance(a, np.ndarray)), "nothing to spoil"
    spoil(*arrays)
    assert say(thing) == before


# What is handed out


def handed_out():
    """{what: array or CSR} of every call that hands some out."""
    log = etalage.EventLog.from_frame(
        {"user": ["a", "b", "a", "c"] * 5, "item": [f"i{i % 7}" for i in range(20)], "event": ["view", "purchase"] * 10,
         "time": np.arange(20) * 3_600_000, "value": np.ones(20, np.float32), "session": [f"s{i // 4}" for i in range(20)]},
        event="event", time="time", value="value", session="session", time_unit="ms")
    data, rows = log.interactions(), matrix()
    als = ALS(factors=4, iterations=2).fit(data)
    knn = etalage.models.ItemKNN().fit(data)
    lists = log.sequences()
    ix = ItemIndex(4)
    ix.add(np.eye(4, dtype=np.float32), np.arange(4))
    c = etalage.Catalog(["i0", "i1"], prices=[1, 2], stock=[1, 2], vectors=np.eye(2))
    profiles = Profiles().add(log)
    vectors = Vectors(np.eye(3), np.eye(3))
    out = {
        "user_index": data.user_index(["a"]), "item_index": data.item_index(["i0"]), "user_items": data.user_items,
        "user_items_view": data.user_items_view, "model.user_items": als.user_items, "user_ids": data.user_ids, "item_ids": data.item_ids,
        "IdMap.at": data.user_id_map.at([[0, 1], [2, -1]]), "IdMap.at int": etalage.IdMap([5, 6]).at([0, 1]),
        "recommend": als.recommend([0, 1], k=3), "recommend one": als.recommend(0, k=3), "recommend_ids": als.recommend_ids(["a", "b"], k=3),
        "recommend_ids one": als.recommend_ids("a", k=3), "session": als.recommend_session([0], k=3), "similar": als.similar_items([0], k=2),
        "similar one": als.similar_items(0, k=2), "similar users": als.similar_users(0, k=2), "score": als.score([0, 1], None, [0, 1]),
        "score one": als.score(0, None, [0, 1]), "explain": als.explain(0, None, 0)[1:], "user_factors": als.user_factors,
        "item_factors": als.item_factors, "weights": knn.item_weights, "recommend_vectors": vectors.recommend_vectors(np.ones(3), k=2),
        "ids": ix.ids, "search": ix.search(np.eye(4), 3), "search one": ix.search(np.ones(4), 3),
        "log": [log.users, log.items, log.events, log.times, log.values, log.sessions, log.user_ids],
        "sequences": [lists.offsets, lists.items, lists.times, lists[0]], "prices": c.prices, "stock": c.stock, "vectors": c.vectors,
        "rows": c.rows_of(data.item_id_map), "profiles": [v for v in profiles.to_dict().values()],
        "buy_again": list(profiles.buy_again(0).values()), "evaluation": etalage.evaluation.evaluate(als, data, data, filter_already_liked_items=False).user_index,
        "popularity": Popularity().fit(data).item_scores, "rerank": etalage.serving.rerank([0.5, 0.25], 2, "none"),
        "feature rows": FeatureALS(factors=2, iterations=1).fit(rows, user_features=matrix(1, USERS, 3)).user_rows(matrix(2, 2, 3)),
    }
    with Engine(models={"als": als}) as engine:
        answer = engine.recommend("a", 3)
        out["answer"] = [answer.keys, answer.scores]
    return out


def arrays_of(value):
    if isinstance(value, (tuple, list)):
        for v in value:
            yield from arrays_of(v)
    elif sp.issparse(value):
        yield from (value.data, value.indices, value.indptr)
    elif isinstance(value, np.ndarray):
        yield value


def test_arrays_handed_out_own_their_memory_or_are_read_only():
    count = 0
    for what, value in handed_out().items():
        for a in arrays_of(value):
            count += 1
            assert a.flags.owndata or not a.flags.writeable, f"{what} is writable memory of something else"
            if a.flags.writeable:
                a.flags.writeable = False
                a.flags.writeable = True  # what SciPy does; memory that NumPy does not own refuses it
    assert count > 60


SCIPY_CALLS = {
    "pick pairs": lambda m: m[np.array([0, 1], np.int32), np.array([0, 0], np.int32)],
    "pick rows": lambda m: m[np.array([1, 0])].toarray(),
    "pick columns": lambda m: m[:, [0, 1]].toarray(),
    "one cell": lambda m: m[0, 0],
    "slice": lambda m: m[:2, 1:].toarray(),
    "mask": lambda m: m[m > 0].sum(),
    "transpose": lambda m: m.T.tocsr().toarray(),
    "product": lambda m: (m.T @ m).toarray(),
    "vector": lambda m: m @ np.ones(m.shape[1]),
    "sum": lambda m: [m.sum(), m.sum(axis=0).tolist(), m.sum(axis=1).tolist()],
    "arithmetic": lambda m: ((m + m) * 0.5 - m.multiply(m)).toarray(),
    "compare": lambda m: (m != 0).toarray(),
    "formats": lambda m: [m.tocsc().toarray().tolist(), m.tocoo().toarray().tolist(), m.tolil().toarray().tolist(), m.todok().toarray().tolist()],
    "astype": lambda m: m.astype(np.float64).toarray(),
    "sorted": lambda m: m.sorted_indices().toarray(),
    "max": lambda m: [m.max(), m.min(), m.mean(), m.argmax(axis=1).tolist()],
    "stack": lambda m: sp.vstack([m, m]).tocsr().toarray(),
    "getnnz": lambda m: [m.getnnz(axis=0).tolist(), m.count_nonzero()],
    "sum_duplicates": lambda m: m.sum_duplicates(),
    "copy, in place": lambda m: in_place(m.copy()),
    "deepcopy": lambda m: copy.deepcopy(m).toarray(),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)).toarray(),
    "new": lambda m: sp.csr_matrix(m, copy=True).toarray(),
    "new array": lambda m: sp.csr_array(m).toarray(),
}


def in_place(m):
    m.data[:1] = 0
    m.eliminate_zeros()
    m.sort_indices()
    m.sum_duplicates()
    m.data *= 2
    m.setdiag(3)
    m.resize(m.shape[0] + 1, m.shape[1])
    return m.toarray()


@pytest.mark.parametrize("call", SCIPY_CALLS, ids=str)
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
def test_csr_handed_out_works_like_any_other(call):
    data = etalage.Interactions.from_csr(matrix())
    knn = etalage.models.ItemKNN().fit(data)
    for m in (data.user_items, data.user_items_view, knn.user_items, knn.item_weights):
        own = sp.csr_matrix((m.data.copy(), m.indices.copy(), m.indptr.copy()), m.shape)
        np.testing.assert_equal(SCIPY_CALLS[call](m), SCIPY_CALLS[call](own))


def test_user_items_is_a_private_copy():
    data = etalage.Interactions.from_csr(matrix())
    model = UserKNN().fit(data)
    before, view = answers(model), data.user_items_view.toarray()
    for rows in (data.user_items, model.user_items):
        rows.data[:] = 0
        rows.eliminate_zeros()
        assert rows.nnz == 0
    assert data.user_items is data.user_items and data.user_items.nnz == 0, "one copy, made on first access"
    np.testing.assert_array_equal(data.user_items_view.toarray(), view)
    assert answers(model) == before and answers(UserKNN().fit(data)) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).user_items.toarray(), view)
    np.testing.assert_array_equal(model.recommend([0, 1])[0], model.recommend([0, 1], matrix()[:2])[0])


def test_user_items_of_a_changed_model_are_those_of_the_change():
    model = ALS(factors=4, iterations=2).fit(etalage.Interactions.from_csr(matrix()))
    old = model.user_items
    model.partial_fit_users([0], sp.csr_matrix(np.eye(ITEMS, dtype=np.float32)[:1]))
    assert model.user_items[0].indices.tolist() == [0] and old[0].nnz > 1


def test_interactions_serve_as_user_items_without_a_copy():
    data = etalage.Interactions.from_csr(matrix())
    model = ALS(factors=4, iterations=2).fit(matrix())
    a = model.recommend(np.arange(USERS), data, k=5)
    b = model.recommend(np.arange(USERS), matrix(), k=5)
    np.testing.assert_array_equal(a[0], b[0])
    assert model.objective(data) == model.objective(matrix())
