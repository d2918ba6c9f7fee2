# SPDX-License-Identifier: Apache-2.0
"""Stock and prices without publishing, and what people hold when they ask; the rules themselves are tested in C++."""

import threading

import numpy as np
import pytest

import etalage
from etalage.serving import CatalogIndex, Engine, Filter, Rules, Snapshot

KEYS = [f"i{i}" for i in range(30)]


def catalog(keys=KEYS):
    return etalage.Catalog(list(keys), brands=[f"b{i % 3}" for i in range(len(keys))], prices=[float(i) for i in range(len(keys))],
                           stock=[1.0] * len(keys), tags=[["size:S"]] * len(keys))


@pytest.fixture
def engine():
    return Engine(catalog=catalog(), metrics=True)


def shown(engine, k=30, **request):
    return set(engine.recommend(k=k, **request).keys)


def test_the_next_request_knows(engine):
    engine.set_available("i3", False)
    engine.set_available("i4", False, place="north")
    engine.set_price("i7", 900)
    engine.set_attribute("i8", "size", ["M", "L"])
    assert shown(engine) == set(KEYS) - {"i3"}
    assert shown(engine, place="north") == set(KEYS) - {"i3", "i4"}
    assert shown(engine, filter=Filter.price(min=500)) == {"i7"}
    assert shown(engine, filter=Filter.attribute("size", "L")) == {"i8"}
    assert shown(engine, filter=Filter.in_stock(place="north")) == set(KEYS) - {"i3", "i4"}
    assert engine.offer("i7") == {"available": None, "price": 900.0}
    assert engine.offer("i4", "north") == {"available": False, "price": None}
    engine.set_available("i3", None)
    engine.set_price("i7", None)
    engine.set_attribute("i8", "size", None)
    assert shown(engine) == set(KEYS)
    assert shown(engine, filter={"price": {"min": 500}}) == set()
    assert shown(engine, filter={"attribute": {"size": "L"}}) == set()
    assert engine.availability_bytes() > 0


def test_journaled(tmp_path):
    engine = Engine(tmp_path / "shop", durability="every event", catalog=catalog())
    engine.set_available("i3", np.bool_(False), place="north")
    number = engine.set_price("i7", np.float32(19.99))
    assert engine.durable_through() == number
    engine.compact()
    engine.set_attribute("i8", "size", "XL")
    del engine
    engine = Engine(tmp_path / "shop", catalog=catalog())
    assert engine.offer("i3", "north")["available"] is False
    assert engine.offer("i7")["price"] == np.float32(19.99)
    assert shown(engine, filter={"price": {"min": 19.99, "max": 19.99}}) == {"i7"}
    assert shown(engine, filter={"attribute": {"size": "XL"}}) == {"i8"}
    assert "i3" not in shown(engine, place="north")
    engine.save(tmp_path / "saved.etalage")
    assert Engine.load(tmp_path / "saved.etalage").offer("i7")["price"] == np.float32(19.99)


@pytest.mark.parametrize("call, error", [
    (lambda e: e.set_price("i1", -1), r"price is -1"),
    (lambda e: e.set_price("i1", float("nan")), r"price is nan"),
    (lambda e: e.set_price("i1", float("inf")), r"price is inf"),
    (lambda e: e.set_attribute("i1", "a:b", "x"), r"name is 'a:b'"),
    (lambda e: e.set_attribute("i1", "size", ""), r"empty text"),
    (lambda e: e.set_available("k" * 2000, True), r"1024"),
    (lambda e: e.set_available("i1", True, place="p" * 2000), r"place.*1024"),
])
def test_refused(engine, call, error):
    with pytest.raises(ValueError, match=error):
        call(engine)


@pytest.mark.parametrize("call", [lambda e: e.set_available("i1", "no"), lambda e: e.set_price("i1", "cheap"), lambda e: e.set_price(1.5, 2),
                                  lambda e: e.set_available(["i1"], True)])
def test_refused_by_type(engine, call):
    with pytest.raises(TypeError):
        call(engine)


def test_ten_thousand_prices_beside_a_reader(engine):
    stop = threading.Event()

    def write():
        rng = np.random.default_rng(0)
        while not stop.is_set():
            engine.set_price(KEYS[rng.integers(10)], float(rng.integers(100)))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for i in range(200):
            engine.set_price("i20", 5000)
            assert shown(engine, filter={"price": {"min": 4000}}) == {"i20"}
            engine.set_price("i20", 1)
            assert shown(engine, filter={"price": {"min": 4000}}) == set()
    finally:
        stop.set()
        thread.join()
    filters = engine.metrics()["filters"]
    assert filters["misses"] <= 2 and filters["patches"] > 0


def holdings():
    return {
        "list": ["i1", "i2"], "tuple": ("i1", "i2"), "object": np.array(["i1", "i2"], object), "unicode": np.array(["i1", "i2"]),
        "generator": (k for k in ["i1", "i2"]), "dict": {"i1": 2, "i2": 1}, "set": {"i1", "i2"},
    }


@pytest.mark.parametrize("kind", holdings())
def test_keys_as_people_hold_them(engine, kind):
    for name in ("anchors", "session"):
        held = holdings()[kind]
        assert shown(engine, **{name: held}, exclude_seen=True) == set(KEYS) - {"i1", "i2"}


def test_keys_of_frames(engine):
    pandas = pytest.importorskip("pandas")
    arrow = pytest.importorskip("pyarrow")
    for held in (pandas.Series(["i1", "i2"]), pandas.Index(["i1", "i2"]), pandas.Series(["i1", "i2"], dtype="string"), arrow.array(["i1", "i2"])):
        assert shown(engine, anchors=held) == set(KEYS) - {"i1", "i2"}


def test_integer_keys():
    engine = Engine(catalog=catalog(range(30)))
    want = set(range(30)) - {1, 2}
    for held in ([1, 2], np.array([1, 2]), np.array([1, 2], np.uint8), [np.int64(1), np.int32(2)], range(1, 3)):
        assert set(engine.recommend(k=30, anchors=held).keys) == want
    for one in (1, np.int64(1), np.array(1)):
        assert set(engine.recommend(k=30, anchors=one).keys) == set(range(30)) - {1}
    engine.observe(np.int64(7), np.int32(3))
    assert engine.recommend(np.uint16(7)).known_user
    engine.set_price(np.int64(4), np.float64(77))
    assert engine.offer(4)["price"] == 77
    assert list(engine.recommend(placement="search", given=np.array([5, 3, 9])).keys) == [5, 3, 9]


@pytest.mark.parametrize("wrong", [1.5, [1.5], np.array([1.5]), [None], b"i1", [b"i1"], [["i1"]]])
def test_what_is_no_key(engine, wrong):
    for name in ("anchors", "session"):
        with pytest.raises(TypeError, match=name):
            engine.recommend(**{name: wrong})


def test_its_own_answers(engine):
    first = engine.recommend(k=4)
    assert shown(engine, anchors=first) == set(KEYS) - set(first.keys)
    assert shown(engine, session=first.keys, exclude_seen=True) == set(KEYS) - set(first.keys)
    again = engine.recommend(k=30, placement="search", given=first)
    assert list(again.keys) == list(first.keys)


@pytest.mark.parametrize("given", [
    {"i5": 3.0, "i9": 2.0, "i2": 1.0}, [("i5", 3.0), ("i9", 2.0), ("i2", 1.0)], [["i5", 3], ["i9", 2], ["i2", 1]], ["i5", "i9", "i2"],
    np.array(["i5", "i9", "i2"]), (np.array(["i5", "i9", "i2"]), np.array([3.0, 2.0, 1.0], np.float32)), (["i5", "i9", "i2"], [3, 2, 1]),
    (("i5", 3.0), ("i9", 2.0), ("i2", np.float64(1))), {"i5": np.float32(3), "i9": np.int64(2), "i2": 1}, ["i5", "unheard of", "i9", "i2", "i5"],
])
def test_given(engine, given):
    engine.observe("ann", "i5", "purchase")
    answer = engine.recommend("ann", k=30, placement="search", given=given)
    assert list(answer.keys) == ["i5", "i9", "i2"]
    assert len(engine.recommend("ann", k=30, placement="search", given=given, fill=True).keys) == 30
    assert list(engine.recommend("ann", k=30, placement="search", given=given, exclude_seen=True).keys) == ["i9", "i2"]


def test_given_nothing(engine):
    assert len(engine.recommend(k=5, placement="search", given=[]).keys) == 0
    assert len(engine.recommend(k=5, placement="search").keys) == 5
    assert len(engine.recommend(k=5, placement="home", given=[]).keys) == 5


@pytest.mark.parametrize("given", [[("i5", 1.0), "i9"], [("i5",)], (["i5", "i9"], [1.0]), [("i5", "dear")], [("i5", None)]])
def test_given_wrongly(engine, given):
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        engine.recommend(placement="search", given=given)


def test_filters_as_people_hold_them(engine):
    want = {f"i{i}" for i in range(11)}
    for held in (Filter.price(max=10), {"price": {"max": np.float32(10)}}, {"price": {"max": np.int64(10)}}, '{"price": {"max": 10}}',
                 {"all": [Filter.price(max=10), {"in_stock": np.True_}]}, {"all": (Filter.price(max=np.float32(10)),)},
                 {"items": np.array(KEYS[:11])}, Filter.items(np.array(KEYS[:11])), Filter.items(*KEYS[:11]), Filter.items(KEYS[:11]),
                 {"brand": np.array(["b0", "b1", "b2"]), "price": {"max": 10}}):
        assert shown(engine, filter=held) == want
    assert Filter.brand(["b0", "b1"]) == Filter.brand("b0", "b1")
    with pytest.raises(TypeError, match="a filter or a rule holds"):
        engine.recommend(filter={"price": {"max": object()}})
    with pytest.raises(ValueError):
        engine.recommend(filter={"price": {"max": float("nan")}})


def test_rules_as_people_hold_them():
    only = [{"type": "include", "predicate": Filter.price(max=np.float32(4))}]
    for rules in (only, tuple(only), Rules(only), {"rules": only}, Rules.from_json({"rules": only})):
        engine = Engine()
        engine.publish(Snapshot(catalog=catalog(), rules=rules))
        assert shown(engine) == set(KEYS[:5])


def test_places_in_json(engine):
    f = Filter.from_json('{"price": {"max": 5, "place": "north"}, "in_stock": {"place": "south"}}')
    assert f == Filter.price(max=5, place="north") & Filter.in_stock("south")
    assert Filter.from_json(f.to_json()) == f
    assert Filter.price(max=5) != Filter.price(max=5, place="north")
    for wrong in ('{"in_stock": {"place": ""}}', '{"in_stock": {}}', '{"in_stock": {"where": "x"}}', '{"price": {"place": "x"}}', '{"price": {"max": 1, "place": 3}}'):
        with pytest.raises(ValueError):
            Filter.from_json(wrong)
    assert CatalogIndex(catalog()).count(f) == 6


def test_the_cache_of_filters_has_a_size():
    engine = Engine(catalog=catalog(range(20_000)), filter_cache_bytes=100_000, metrics=True)
    for limit in range(200):
        assert len(engine.recommend(k=1, filter={"price": {"max": limit + 0.5}}).keys) == 1
    filters = engine.metrics()["filters"]
    assert 0 < filters["bytes"] <= 100_000 and 20 < filters["entries"] < 45 and filters["misses"] == 200
    for _ in range(3):
        engine.recommend(k=1, filter={"price": {"max": 199.5}})
    assert engine.metrics()["filters"]["hits"] == 3


def test_trained_is_the_newest_event():
    times = [1_700_000_000_000, 1_700_000_900_000, 1_700_000_500_000]
    log = etalage.EventLog.from_frame({"user": ["a", "a", "b"], "item": ["i1", "i2", "i1"], "at": times}, time="at", time_unit="ms")
    for kind in (etalage.models.RepeatPurchase, etalage.models.Transitions):
        model = kind().fit(log)
        assert Snapshot({"next": model})._core.trained_ms == max(times)
        assert Snapshot({"next": model}, trained=17)._core.trained_ms == 17
    assert Snapshot(catalog=catalog())._core.trained_ms == 0


def test_what_is_given_has_finite_scores(engine):
    for given, words in [({"i1": "x"}, "score 'x' for 'i1'"), ([("i1", float("nan"))], "finite"), ((["i1"], [np.inf]), "finite"), (3, "given is 3"),
                         ("i1", "given is 'i1'")]:
        with pytest.raises((TypeError, ValueError), match=words):
            engine.recommend(k=3, placement="search", given=given)


@pytest.mark.parametrize("call, kind, words", [
    (lambda e: e.set_available("i1", 2.5), TypeError, "available is 2.5 .float., must be True, False or None"),
    (lambda e: e.set_available("i1", "no"), TypeError, "available is 'no'"),
    (lambda e: e.set_available("i1", 7), ValueError, "available is 7, must be True, False or None"),
    (lambda e: e.set_available("i1", True, place=3), TypeError, "place is 3 .int., must be text or None"),
    (lambda e: e.set_price("i1", "9.99"), TypeError, "price is '9.99' .str., must be a number or None"),
    (lambda e: e.set_price("i1", [9.99]), TypeError, "price is .9.99. .list."),
    (lambda e: e.set_price("i1", True), TypeError, "price is True"),
    (lambda e: e.set_price("i1", 9.99, place=b"shop"), TypeError, "place is b'shop'"),
    (lambda e: e.set_attribute("i1", 3, "S"), TypeError, "name is 3 .int., must be text"),
    (lambda e: e.set_attribute("i1", "size", ["S", 3]), TypeError, "value holds 3 .int., must be text"),
    (lambda e: e.offer("i1", place=0), TypeError, "place is 0"),
    (lambda e: e.recommend(k=1, place=3), TypeError, "place is 3"),
])
def test_what_is_said_of_a_product_is_of_its_kind(engine, call, kind, words):
    with pytest.raises(kind, match=words):
        call(engine)
    assert engine.offer("i1") == {"available": None, "price": None}


def test_numpy_scalars_are_numbers_and_truths(engine):
    engine.set_available("i1", np.bool_(False))
    engine.set_price("i1", np.float32(2.5), place=np.str_("shop"))
    engine.set_available("i2", 0)
    assert engine.offer("i1", place="shop") == {"available": False, "price": 2.5} and engine.offer("i2")["available"] is False


@pytest.mark.parametrize("options, words", [
    ({"event_types": {"buy": {"weight": 5, "purchas": True}}}, "has 'purchas'"),
    ({"event_types": {"buy": "5"}}, "is '5', must be a weight"),
    ({"event_types": {3: 1.0}}, "names 3"),
    ({"event_types": 3}, "event_types is a int"),
    ({"visitor_prefix": 3}, "visitor_prefix is 3"),
])
def test_options_of_the_wrong_kind_are_named(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Engine(**options)
    with Engine() as engine, pytest.raises(TypeError, match="snapshot is a NoneType"):
        engine.publish(None)
