# SPDX-License-Identifier: Apache-2.0
"""Keys of one kind are looked up by keys of that kind, by one rule in every call: the other kind is an error."""

import numpy as np
import pytest

import etalage
from etalage import Catalog, EventLog, IdMap, Interactions
from etalage.models import ItemKNN, Popularity, SequentialRules

INTEGERS = {"user": [1, 1, 2, 2, 3], "item": [100, 200, 100, 300, 200], "time": ["2020-01-01"] * 5}
STRINGS = {"user": ["1", "1", "2", "2", "3"], "item": ["100", "200", "100", "300", "200"], "time": ["2020-01-01"] * 5}
TIMED = {"time": "time"}


def log(strings, **kw):
    return EventLog.from_frame(STRINGS if strings else INTEGERS, **TIMED, **kw)


def right_and_wrong(strings):
    return (["1", "9"], [1, 9]) if strings else ([1, 9], ["1", "9"])


def forms(keys):
    yield keys
    yield tuple(keys)
    yield np.array(keys)
    yield np.array(keys, object)
    pd = pytest.importorskip("pandas")
    yield pd.Series(keys)
    yield pd.Index(keys)
    if isinstance(keys[0], int):
        yield np.array(keys, np.float64)
        yield np.array(keys, np.uint8)
        yield pd.array(keys, "Int64")


@pytest.mark.parametrize("strings", [False, True])
def test_every_look_up(strings):
    right, wrong = right_and_wrong(strings)
    data, events = log(strings).interactions(), log(strings)
    model = ItemKNN().fit(data)
    order = SequentialRules().fit(events)
    catalogue = Catalog(["1", "2"] if strings else [1, 2])
    calls = {
        "user_index": data.user_index, "log.user_index": events.user_index, "find": IdMap(["1", "2"] if strings else [1, 2]).find,
        "catalogue": catalogue.item_index,
    }
    for name, call in calls.items():
        for keys in forms(right):
            assert call(keys).tolist() == [0, -1], name
        for keys in forms(wrong):
            with pytest.raises(ValueError, match="must be strings, as the keys here are" if strings else "must be integers, as the keys here are"):
                call(keys)
        assert call([]).tolist() == [] and call([None, float("nan")]).tolist() == [-1, -1]
    with pytest.raises(ValueError, match="item_ids holds"):
        data.item_index(wrong)
    for m in (model, order, Popularity().fit(data)):
        for keys in (wrong, wrong[0], np.array(wrong)):
            with pytest.raises(ValueError, match="as the keys here are"):
                m.recommend_ids(keys, k=2)
        known = ["100"] if strings else [100]
        other = [100] if strings else ["100"]
        for argument in ("filter_items", "items"):
            with pytest.raises(ValueError, match="as the keys here are"):
                m.recommend_ids(right, k=2, **{argument: other})
            with pytest.raises(ValueError, match="as the keys here are"):
                m.recommend_ids(right, k=2, **{argument: [other, other]})
            m.recommend_ids(right, k=2, **{argument: known})
        got, _ = m.recommend_ids(right, k=3, filter_items=known, filter_already_liked_items=False)
        assert known[0] not in np.asarray(got).ravel().tolist()


@pytest.mark.parametrize("strings", [False, True])
def test_catalogues_of_the_other_kind(strings):
    catalogue = Catalog([100, 200, 300] if strings else ["100", "200", "300"], prices=[1, 2, 3])
    with pytest.raises(ValueError, match="the catalogue's keys are .* those that are looked up .* must be of one kind"):
        etalage.profile.Profiles(catalogue).add(log(strings))
    with pytest.raises(ValueError, match="must be of one kind"):
        etalage.profile.PurchaseIntent().fit(log(strings), catalogue)
    with pytest.raises(ValueError, match="must be of one kind"):
        catalogue.rows_of(log(strings).item_id_map)
    profiles = etalage.profile.Profiles(Catalog(STRINGS["item"][:2] if strings else INTEGERS["item"][:2])).add(log(strings))
    with pytest.raises(ValueError, match="as the keys here are"):
        profiles.by_id(1 if strings else "1")


@pytest.mark.parametrize("strings", [False, True])
def test_an_engine_does_not_take_a_known_shopper_for_a_newcomer(strings):
    data = log(strings).interactions()
    engine = etalage.serving.Engine()
    engine.publish(etalage.serving.Snapshot({"knn": ItemKNN().fit(data)}))
    right, wrong = right_and_wrong(strings)
    assert engine.recommend(right[0], k=2).known_user
    with pytest.raises(ValueError, match="user is .* must be .* as the models' keys are"):
        engine.recommend(wrong[0], k=2)
    with pytest.raises(ValueError, match="user is .* as the models' keys are"):
        engine.user(wrong[0])
    known, other = ("100", 100) if strings else (100, "100")
    assert len(engine.recommend(right[1], k=2, placement="product_page", anchors=[known])[0])
    for kw in ({"anchors": [other]}, {"session": [other]}, {"given": [(other, 1.0)], "placement": "search"}):
        with pytest.raises(ValueError, match="(an anchor|an item of session|a given item) is .* as the models' keys are"):
            engine.recommend(right[1], k=2, **kw)


# ---- a model's kind decides


def test_files_of_tomorrow_have_the_kind_of_the_model(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("user,item\n1,100\n2,abc\n007,300\n")
    integers, strings = ItemKNN().fit(log(False).interactions()), ItemKNN().fit(log(True).interactions())
    auto = EventLog.from_csv(path)
    assert list(auto.user_ids) == ["1", "2", "007"]
    like = EventLog.from_csv(path, like=integers, on_error="skip")
    assert like.user_ids.tolist() == [1] and like.item_ids.tolist() == [100]
    assert like.report.refusals == [(3, "item is 'abc', must be a 64-bit integer, as the keys that it is to match are"),
                                    (4, "user is '007', must be a 64-bit integer, as the keys that it is to match are")]
    with pytest.raises(ValueError, match="line 3: item is 'abc'"):
        EventLog.from_csv(path, like=integers)
    path.write_text("user,item\n1,100\n2,200\n")
    assert EventLog.from_csv(path).user_ids.tolist() == [1, 2]
    assert list(EventLog.from_csv(path, like=strings).user_ids) == ["1", "2"]
    integers.save(tmp_path / "m")
    assert EventLog.from_csv(path, keys="str", like=etalage.load(tmp_path / "m")).item_ids.tolist() == [100, 200]


def test_frames_may_be_read_like_a_model_too():
    data = log(True).interactions()
    for frame in (INTEGERS, {"user": np.array([1.0, 2.0]), "item": np.array([100, 200], np.uint64)}):
        assert list(EventLog.from_frame(frame, like=data).user_ids)[:2] == ["1", "2"]
    assert EventLog.from_frame(STRINGS, like=log(False)).item_ids.tolist() == [100, 200, 300]
    assert EventLog.from_frame(STRINGS, like=Interactions.from_csr(np.eye(2))).user_ids[0] == "1"
    with pytest.raises(TypeError, match="like is .* must have user_ids and item_ids"):
        EventLog.from_frame(STRINGS, like=3)


def test_one_key_gives_one_index():
    log = etalage.EventLog.from_frame({"user": [5, 7], "item": ["a", "b"]})
    data = log.interactions()
    catalog = etalage.Catalog(["b", "a"])
    for found, expected in ((log.user_index(7), 1), (data.user_index(np.int64(5)), 0), (log.item_index("b"), 1), (data.item_index(np.array("a")), 0),
                            (catalog.item_index("a"), 1), (log.user_index(9), -1), (catalog.item_index("c"), -1)):
        assert np.ndim(found) == 0 and found == expected
    assert log.user_index([7]).tolist() == [1]
    with pytest.raises(ValueError, match="user_ids"):
        log.user_index("a")
