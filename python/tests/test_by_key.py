# SPDX-License-Identifier: Apache-2.0
"""Questions in the shop's keys say what the questions by index say, for every kind of model, fitted or loaded."""

import numpy as np
import pytest
import scipy.sparse as sp

import etalage
from etalage import Catalog, EventLog
from etalage.models import ALS, Blend, ItemKNN, Popularity, Transitions, Vectors

USERS, ITEMS = 12, 15


def frame(strings):
    rng = np.random.default_rng(3)
    user, item = rng.integers(0, USERS, 90), rng.integers(0, ITEMS, 90)
    name = (lambda letter, codes: [f"{letter}{c}" for c in codes]) if strings else (lambda letter, codes: [int(c) * 7 + 100 for c in codes])
    return {"user": name("u", user), "item": name("i", item), "time": np.arange(90) * 86_400_000 + 1_600_000_000_000}


def make(kind, strings=True):
    log = EventLog.from_frame(frame(strings), time="time", time_unit="ms")
    data = log.interactions()
    if kind == "blend":
        return Blend([("knn", ItemKNN()), ("popular", Popularity())], weights=[1.0, 0.5]).fit(data)
    if kind == "vectors":
        rng = np.random.default_rng(1)
        return Vectors(rng.normal(size=(data.num_users, 4)).astype(np.float32), rng.normal(size=(data.num_items, 4)).astype(np.float32),
                       user_items=data.user_items, user_ids=data.user_ids, item_ids=data.item_ids)
    cls = {"als": ALS, "knn": ItemKNN, "popularity": Popularity, "transitions": Transitions}[kind]
    model = cls(factors=8, iterations=3) if cls is ALS else cls()
    return model.fit(log if cls is Transitions else data)


KINDS = ["als", "knn", "transitions", "popularity", "blend", "vectors"]


@pytest.fixture(params=[(k, s, loaded) for k in KINDS for s in (True, False) for loaded in (False, True)],
                ids=lambda p: f"{p[0]}-{'strings' if p[1] else 'integers'}-{'loaded' if p[2] else 'fitted'}")
def model(request, tmp_path):
    kind, strings, loaded = request.param
    model = make(kind, strings)
    if loaded:
        model.save(tmp_path / "m.etalage")
        model = etalage.load(tmp_path / "m.etalage")
    model.unknown = "nobody" if strings else 9999
    model.other = 5 if strings else "5"
    return model


def answers(call, *args):
    """What a call gives, or that the model does not have it."""
    try:
        return call(*args)
    except NotImplementedError:
        return None


def padded(keys, found):
    none = None if keys.dtype == object else -1
    return [keys[i] if i >= 0 else none for i in found]


def test_index_of_keys(model):
    for call, keys in ((model.user_index, model.user_ids), (model.item_index, model.item_ids)):
        found = call([keys[3], model.unknown, keys[0]])
        assert found.dtype == np.int32 and found.tolist() == [3, -1, 0]
        one = call(keys[2])
        assert np.ndim(one) == 0 and one.dtype == np.int32 and one == 2
        assert call(model.unknown) == -1 and call([]).shape == (0,)
        assert call(np.array(keys)).tolist() == list(range(len(keys)))
        assert call(np.array(keys[4])) == 4 and call([None]).tolist() == [-1]
        for wrong in (model.other, [model.other]):
            with pytest.raises(ValueError, match="as the keys here are"):
                call(wrong)
        for wrong in (None, b"u1", {"u1": 1}, {keys[0], keys[1]}, True):
            with pytest.raises(TypeError):
                call(wrong)


def test_similar_by_key(model):
    for by_index, by_key, keys in ((model.similar_items, model.similar_items_ids, model.item_ids),
                                   (model.similar_users, model.similar_users_ids, model.user_ids)):
        want = answers(by_index, [1, 4], 3)
        if want is None:
            with pytest.raises(NotImplementedError):
                by_key(keys[1], 3)
            continue
        found, scores = by_key([keys[1], model.unknown, keys[4]], 3)
        assert found.shape == scores.shape == (3, 3) and scores.dtype == np.float32
        for row, expected in ((0, 0), (2, 1)):
            assert found[row].tolist() == padded(keys, want[0][expected]) and scores[row].tolist() == want[1][expected].tolist()
        assert found[1].tolist() == padded(keys, [-1] * 3) and (scores[1] == -np.inf).all()
        one, score = by_key(keys[1], k=3)
        assert one.shape == score.shape == (3,) and one.tolist() == found[0].tolist()
        assert by_key(model.unknown, 2)[0].tolist() == padded(keys, [-1, -1])
        with pytest.raises(ValueError, match="as the keys here are"):
            by_key(model.other, 2)


def test_filters_of_similar_items():
    model = make("knn")
    best = model.similar_items_ids("i3", 3)[0].tolist()
    assert best[0] not in model.similar_items_ids("i3", 14, filter_items=[best[0], "gone"])[0].tolist()
    found, scores = model.similar_items_ids(["i3", "i4"], 2, items=[[best[1], "gone"], {"i3"}])
    assert found.tolist() == [[best[1], None], ["i3", None]] and scores[0, 1] == -np.inf
    assert model.similar_items_ids("i3", 2, items=["gone"])[0].tolist() == [None, None]
    with pytest.raises(TypeError, match="mixes lists and keys"):
        model.similar_items_ids(["i3", "i4"], 2, items=[["i1"], "i2"])
    with pytest.raises(TypeError, match="mixes lists and keys"):
        model.recommend_ids(["u3", "u4"], 2, items=[["i1"], "i2"])
    with pytest.raises(TypeError):
        model.similar_items_ids("i3", 2, items="i1")


def test_sessions_by_key(model):
    keys = model.item_ids
    want = model.recommend_session([2, 5], 4)
    found, scores = model.recommend_session_ids([keys[2], model.unknown, keys[5]], k=4)
    assert found.tolist() == padded(keys, want[0]) and scores.tolist() == want[1].tolist()
    many, _ = model.recommend_session_ids([[keys[2], keys[5]], [], [model.unknown]], k=4)
    cold = model.recommend_session([[]], 4)[0][0]
    assert many.shape == (3, 4) and many[0].tolist() == found.tolist()
    assert many[1].tolist() == many[2].tolist() == padded(keys, cold)
    first = found[0]
    assert first not in model.recommend_session_ids([keys[2], keys[5]], 4, filter_items=[first])[0].tolist()
    assert set(model.recommend_session_ids([keys[2]], 4, items=[first])[0].tolist()) <= {first, None, -1}
    kept = model.recommend_session_ids([keys[2]], 15, False, exclude_last=True)[0].tolist()
    assert keys[2] not in kept
    for wrong in (keys[2], {keys[2]}, None, 3.5):
        with pytest.raises(TypeError):
            model.recommend_session_ids(wrong)
    with pytest.raises(ValueError, match="as the keys here are"):
        model.recommend_session_ids([model.other])
    assert len(model.recommend_session_ids([], 3)[0]) == 3


def test_explain_by_key(model):
    users, items = model.user_ids, model.item_ids
    want = answers(model.explain, 2, None, 6, 3)
    if want is None:
        for who in (users[2], model.unknown):
            with pytest.raises(NotImplementedError):
                model.explain_ids(who, items[6])
        return
    score, found, weights = model.explain_ids(users[2], items[6], 3)
    assert score == want[0] and found.tolist() == [items[i] for i in want[1]] and weights.tolist() == want[2].tolist()
    score, found, weights = model.explain_ids(model.unknown, items[6])
    assert len(found) == len(weights) == 0 and score == model.score_ids(model.unknown, items[6])
    row = sp.csr_matrix(([1.0, 1.0], [1, 4], [0, 2]), shape=(1, len(items)))
    folded, by_index = model.explain_ids(model.unknown, items[6], 3, row), model.explain(None, row, 6, 3)
    assert folded[0] == by_index[0] and folded[1].tolist() == [items[i] for i in by_index[1]]
    with pytest.raises(KeyError, match="item_id is"):
        model.explain_ids(users[2], model.unknown)
    with pytest.raises(TypeError, match="user_id is .* must be one key"):
        model.explain_ids([users[2]], items[6])
    with pytest.raises(ValueError, match="as the keys here are"):
        model.explain_ids(model.other, items[6])


def test_score_by_key(model):
    users, items = model.user_ids, model.item_ids
    want = model.score([1, 3], None, [0, 5])
    got = model.score_ids([users[1], users[3]], [items[0], model.unknown, items[5]])
    assert got.dtype == np.float32 and got.shape == (2, 3)
    assert got[:, [0, 2]].tolist() == want.tolist() and (got[:, 1] == -np.inf).all()
    assert model.score_ids(users[3], [items[0], items[5]]).tolist() == want[1].tolist()
    assert model.score_ids(users[3], items[5]) == want[1, 1] and model.score_ids([users[1], users[3]], items[5]).tolist() == want[:, 1].tolist()
    rows = model.score_ids([users[1], model.unknown], [[items[0], items[1]], [items[5], items[5]]])
    assert rows[0].tolist() == model.score(1, None, [0, 1]).tolist()
    cold, value = model.recommend_ids(model.unknown, len(items))
    ranking = dict(zip(cold.tolist(), value.tolist()))
    assert rows[1] == pytest.approx([ranking[items[5]]] * 2, rel=1e-6)
    assert model.score_ids(model.unknown, items) == pytest.approx([ranking[i] for i in items.tolist()], rel=1e-6)
    row = sp.csr_matrix(([1.0, 1.0], [1, 4], [0, 2]), shape=(1, len(items)))
    assert model.score_ids(model.unknown, [items[6]], row).tolist() == model.score(None, row, [6])[0].tolist()
    assert model.score_ids([], items).shape == (0, len(items)) and model.score_ids(users[1], []).shape == (0,)
    with pytest.raises(ValueError, match="item_ids has rows"):
        model.score_ids([users[1], users[3]], [[items[0]], [items[1], items[2]]])


def test_a_model_without_keys_says_so():
    model = ItemKNN().fit(sp.csr_matrix(np.eye(4, dtype=np.float32)))
    calls = [lambda: model.user_index("a"), lambda: model.item_index(["a"]), lambda: model.similar_items_ids("a"),
             lambda: model.similar_users_ids("a"), lambda: model.recommend_session_ids(["a"]), lambda: model.explain_ids("a", "b"),
             lambda: model.score_ids("a", ["b"]), lambda: model.recommend_ids("a"), lambda: model.recommend_frame()]
    for call in calls:
        with pytest.raises(ValueError, match="this ItemKNN has no keys of (user|item)s"):
            call()
    with pytest.raises(etalage.NotFittedError):
        ItemKNN().item_index("a")
    halves = Vectors(item_vectors=np.eye(3, dtype=np.float32), user_vectors=np.eye(3, dtype=np.float32), item_ids=["a", "b", "c"])
    assert halves.item_index("b") == 1 and halves.similar_items_ids("a", 1)[0].shape == (1,)
    with pytest.raises(ValueError, match="no keys of users"):
        halves.user_index("b")


# The table


def of_user(table, user):
    held = table["user"] == user
    return table["item"][held].tolist(), table["score"][held].tolist()


def test_a_frame_holds_what_recommend_ids_says(model):
    everybody = model.recommend_frame(k=4, frame="dict")
    assert list(everybody) == ["user", "rank", "item", "score"]
    assert (everybody["rank"].dtype, everybody["score"].dtype) == (np.int32, np.float32)
    keys, scores = model.recommend_ids(model.user_ids, 4)
    for row, user in enumerate(model.user_ids):
        held = scores[row] > -np.inf
        assert of_user(everybody, user) == (keys[row][held].tolist(), scores[row][held].tolist())
    assert set(everybody["rank"][everybody["user"] == model.user_ids[0]]) <= {1, 2, 3, 4} and everybody["rank"][0] == 1
    asked = [model.user_ids[5], model.unknown]
    some = model.recommend_frame(asked, 2, frame="dict")
    assert list(dict.fromkeys(some["user"].tolist())) == asked and some["user"].dtype == model.user_ids.dtype
    assert of_user(some, model.unknown)[0] == model.recommend_ids(model.unknown, 2)[0].tolist()
    assert of_user(model.recommend_frame(asked[0], 2, frame="dict"), asked[0]) == of_user(some, asked[0])
    empty = model.recommend_frame([], 3, frame="dict")
    assert {c: (len(a), a.dtype) for c, a in empty.items()} == {c: (0, a.dtype) for c, a in everybody.items()}
    assert len(model.recommend_frame(asked, 0, frame="dict")["rank"]) == 0
    with pytest.raises(ValueError, match="as the keys here are"):
        model.recommend_frame([model.other])


def test_suppression(model):
    users, plain = model.user_ids, model.recommend_frame(k=5, frame="dict")
    gone = [plain["item"][0], plain["item"][6], model.unknown]
    everywhere = model.recommend_frame(k=15, exclude=gone, frame="dict")
    assert len(everywhere["item"]) and not set(gone) & set(everywhere["item"].tolist())
    for form in (set(gone), np.array(gone), tuple(gone)):
        assert model.recommend_frame(k=15, exclude=form, frame="dict")["item"].tolist() == everywhere["item"].tolist()
    assert gone[0] not in model.recommend_frame(k=15, exclude=gone[0], frame="dict")["item"].tolist()
    first = of_user(plain, users[0])[0]
    mine = model.recommend_frame(k=5, exclude={users[0]: first[:2], model.unknown: first}, frame="dict")
    assert not set(first[:2]) & set(of_user(mine, users[0])[0])
    for user in users[1:]:
        assert of_user(mine, user) == of_user(plain, user)
    newcomer = model.recommend_frame([users[1], model.unknown], 5, exclude={model.unknown: first[0]}, frame="dict")
    assert first[0] not in of_user(newcomer, model.unknown)[0]
    both = model.recommend_frame(users[:2], 15, filter_items=[[first[2]], []], exclude={users[0]: first[0]}, frame="dict")
    assert not {first[0], first[2]} & set(of_user(both, users[0])[0])
    both = model.recommend_frame(users[:2], 15, filter_items=[first[2]], exclude=[first[0]], frame="dict")
    assert not {first[0], first[2]} & set(both["item"].tolist())
    assert set(model.recommend_frame(users[:2], 5, items=[[first[1]], []], frame="dict")["user"].tolist()) == {users[0]}
    with pytest.raises(ValueError, match="as the keys here are"):
        model.recommend_frame(exclude={model.other: first})
    with pytest.raises(ValueError, match="as the keys here are"):
        model.recommend_frame(exclude={users[0]: [model.other]})
    with pytest.raises(ValueError, match="filter_items has 1 rows, must have one for each of the 2 users"):
        model.recommend_frame(users[:2], filter_items=[[first[0]]])


def test_reasons_are_those_of_explain(model):
    users = [*model.user_ids[:3], model.unknown]
    if answers(model.explain, 0, None, 0, 1) is None:
        with pytest.raises(NotImplementedError):
            model.recommend_frame(users, 2, reasons=True)
        return
    none = None if model.item_ids.dtype == object else -1
    table = model.recommend_frame(users, 3, reasons=2, names={model.item_ids[0]: "Zero"}, frame="dict")
    assert list(table) == ["user", "rank", "item", "score", "name", "reason", "reason_name", "reason_2", "reason_name_2"]
    for i in range(len(table["user"])):
        why, weights = [], []
        if table["user"][i] != model.unknown:
            _, why, weights = model.explain_ids(table["user"][i], table["item"][i], 2)
        want = [key for key, weight in zip(why, weights) if weight > 0] + [none] * 2
        assert [table["reason"][i], table["reason_2"][i]] == want[:2]
        named = {none: None, model.item_ids[0]: "Zero"}
        assert table["reason_name"][i] == named.get(want[0], str(want[0])) and table["name"][i] == named.get(table["item"][i], str(table["item"][i]))
    one = model.recommend_frame(users, 3, reasons=True, frame="dict")
    assert list(one) == ["user", "rank", "item", "score", "reason"] and one["reason"].tolist() == table["reason"].tolist()


def test_reasons_say_something():
    for kind in ("als", "knn", "transitions"):
        model = make(kind)
        table = model.recommend_frame(k=2, reasons=True, frame="dict")
        bought = {u: set(model.item_ids[model.user_items[i].indices]) for i, u in enumerate(model.user_ids)}
        told = [(u, r) for u, r in zip(table["user"], table["reason"]) if r is not None]
        assert len(told) > len(table["user"]) / 2 and all(r in bought[u] for u, r in told)


def test_rows_of_the_caller():
    model, data = make("knn"), EventLog.from_frame(frame(True)).interactions()
    bare = ItemKNN().fit(data, keep_history=False)
    with pytest.raises(ValueError, match="keeps no rows"):
        bare.recommend_frame(k=3)
    with pytest.raises(ValueError, match="reasons is given and this ALS keeps no rows"):
        ALS(factors=4, iterations=1).fit(data, keep_history=False).recommend_frame(k=3, reasons=True, filter_already_liked_items=False)
    want = model.recommend_frame(k=3, reasons=True, frame="dict")
    for rows in (data, data.user_items, data.user_items.tocoo(), data.user_items.toarray()):
        got = bare.recommend_frame(k=3, reasons=True, user_items=rows, frame="dict")
        assert all(got[c].tolist() == want[c].tolist() for c in want)
    visitor = bare.recommend_frame(["zz"], 1, reasons=True, user_items=data.user_items[2], frame="dict")
    assert visitor["reason"][0] == bare.explain_ids("u0", visitor["item"][0], 1, data.user_items[2])[1][0]
    order = make("transitions")
    lists = order.user_sequences
    want, got = order.recommend_frame(k=3, reasons=2, frame="dict"), order.recommend_frame(k=3, reasons=2, user_items=lists, frame="dict")
    assert all(got[c].tolist() == want[c].tolist() for c in want)
    free = bare.recommend_frame(k=3, recalculate_user=True, user_items=data.user_items, filter_already_liked_items=False, frame="dict")
    assert len(free["user"]) == 3 * len(model.user_ids)


@pytest.mark.parametrize("strings", [True, False])
def test_names(strings):
    model = make("knn", strings)
    ids = model.item_ids.tolist()
    names = {key: f"Product {i}" for i, key in enumerate(ids[:-1])}
    by_dict = model.recommend_frame(k=15, names=names, filter_already_liked_items=False, frame="dict")
    assert by_dict["name"].tolist() == [names.get(i, str(i)) for i in by_dict["item"].tolist()] and str(ids[-1]) in by_dict["name"].tolist()
    catalogue = Catalog(ids[:-1], names=list(names.values()))
    others = [catalogue, {**names, ids[-1]: None}]
    pd = pytest.importorskip("pandas")
    for other in [*others, pd.Series(names)]:
        got = model.recommend_frame(k=15, names=other, filter_already_liked_items=False, frame="dict")
        assert got["name"].tolist() == by_dict["name"].tolist()
    with pytest.raises(ValueError, match="as the keys here are"):
        model.recommend_frame(names={5 if strings else "5": "x"})
    with pytest.raises(TypeError, match="names is .* must be a Catalog or a mapping"):
        model.recommend_frame(names=["x"])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("strings", [True, False])
def test_frames(library, strings):
    module = pytest.importorskip(library)
    model = make("als", strings)
    options = {"names": {model.item_ids[0]: "Zero"}, "reasons": True, "k": 3}
    want = model.recommend_frame(frame="dict", **options)
    for users in (None, [], model.user_ids[:1]):
        got = model.recommend_frame(users, frame=library, **options)
        assert isinstance(got, module.Table if library == "pyarrow" else module.DataFrame)
        assert list(got.column_names if library == "pyarrow" else got.columns) == list(want)
        assert len(got) == (len(want["user"]) if users is None else 3 * len(users))
    got = model.recommend_frame(frame=library, **options)
    for c in want:
        column = got[c].to_pylist() if library == "pyarrow" else got[c].to_list()
        assert [None if isinstance(v, float) and v != v else v for v in column] == want[c].tolist()
    pytest.importorskip("pandas")
    assert type(model.recommend_frame(**options)).__module__.startswith("pandas")


def test_without_any_frame_library(monkeypatch):
    import sys

    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    model = make("knn")
    assert isinstance(model.recommend_frame(k=2), dict)
    with pytest.raises(ImportError, match="frame='polars' needs polars"):
        model.recommend_frame(k=2, frame="polars")


@pytest.mark.parametrize("strings", [True, False])
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "parquet"])
def test_files(tmp_path, monkeypatch, strings, ending):
    pd = pytest.importorskip("pandas")
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    from etalage.models import _recommend_frame

    monkeypatch.setattr(_recommend_frame, "_BLOCK", 2)  # many blocks, the first without a reason
    model, path = make("als", strings), tmp_path / f"recs.{ending}"
    unknown = ["zz", "yy"] if strings else [9999, 9998]
    users = [*unknown, *model.user_ids.tolist()]
    options = {"k": 3, "reasons": True, "names": {model.item_ids[1]: 'Lamp, "red"\n'}}
    want = model.recommend_frame(users, path=path, frame="dict", **options)

    def read():
        if ending == "parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if ending == "tsv" else ",")

    got = read()
    assert list(got.columns) == list(want) and os_list(tmp_path) == [path.name]
    for c in want:
        held = [None if isinstance(v, float) and v != v else v for v in got[c].tolist()]
        if c == "name" and not strings:  # where no name but keys is in the file, it reads as numbers
            held = [str(v) for v in held]
        assert held == want[c].tolist() if c != "score" else np.allclose(held, want[c], rtol=1e-6), c
    before = path.read_bytes()
    assert model.recommend_frame(users, path=path, frame=None, **options) == len(want["user"])
    assert path.read_bytes() == before
    # An error on the way leaves the complete file, and nothing beside it.
    with monkeypatch.context() as broken:
        broken.setattr(type(model), "explain", lambda self, *a: (_ for _ in ()).throw(RuntimeError("stopped")))
        with pytest.raises(RuntimeError, match="stopped"):
            model.recommend_frame(users, path=path, frame=None, **options)
    assert path.read_bytes() == before and os_list(tmp_path) == [path.name]
    model.recommend_frame([], path=path, frame=None, **options)
    assert list(read().columns) == list(want) and len(read()) == 0


def os_list(folder):
    return sorted(p.name for p in folder.iterdir())


def test_bad_arguments(tmp_path):
    model = make("knn")
    for path in ("-", "recs.txt", tmp_path):
        with pytest.raises(ValueError, match="path is .* must end in"):
            model.recommend_frame(k=1, path=path)
    for options, match in (({"frame": "arrow"}, "frame is 'arrow'"), ({"reasons": -1}, "reasons is -1"), ({"k": -1}, "k is -1")):
        with pytest.raises(ValueError, match=match):
            model.recommend_frame(**options)
    for options in ({"reasons": "yes"}, {"k": 2.5}, {"users": None, "exclude": {"u1": None}}, {"users": {"u1": 2}}, {"filter_items": 3}):
        with pytest.raises(TypeError):
            model.recommend_frame(**options)
    whole = model.recommend_frame(k=ITEMS, filter_already_liked_items=False, frame="dict")
    assert len(model.recommend_frame(k=2**31 - 1, filter_already_liked_items=False, frame="dict")["user"]) == len(whole["user"]) == USERS * ITEMS
    with pytest.raises(ValueError, match="must fit in 64 signed bits"):
        make("knn", strings=False).recommend_frame([2**70])


def test_masked_and_missing_users_are_newcomers():
    model = make("knn")
    cold = model.recommend_ids("zz", 2)[0].tolist()
    for users in (["u1", None], np.ma.array(["u1", "u2"], mask=[False, True])):
        table = model.recommend_frame(users, 2, frame="dict")
        assert table["user"].tolist() == ["u1", "u1", None, None] and table["item"][2:].tolist() == cold
    numbers = make("knn", strings=False)
    assert numbers.recommend_frame(np.array([numbers.user_ids[1], np.nan]), 1, frame="dict")["user"].tolist() == [numbers.user_ids[1], -1]
