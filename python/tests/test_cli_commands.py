# SPDX-License-Identifier: Apache-2.0
"""describe, compare, tune, blend: what they write, what they leave alone, and how every mistake is told."""

import csv
import gzip
import io
import json

import numpy as np
import pytest

import etalage
from etalage import cli


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A folder with events (purchases with amounts, returns), products and a model."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(8)
    with open(folder / "events.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "sku", "at", "kind", "amount"])
        for u in range(90):
            for n, item in enumerate(rng.choice(18, size=7, replace=False)):
                kind = "return" if rng.random() < 0.1 else "buy"
                rows.writerow([f"c{u:03d}", f"p{u % 2 * 18 + item:02d}", f"2026-0{1 + n // 3}-{u % 27 + 1:02d}T10:00:00Z", kind, round(float(rng.lognormal(1, 1)), 2)])
    (folder / "products.csv").write_text("sku,title\n" + "".join(f"p{i:02d},{'POSTAGE' if i == 0 else f'Mug {i}'}\n" for i in range(36)), encoding="utf-8")
    (folder / "empty.csv").write_text("customer,sku,at\n", encoding="utf-8")
    (folder / "broken.csv.gz").write_bytes(gzip.compress((folder / "events.csv").read_bytes())[:200])
    (folder / "binary.csv").write_bytes(bytes(range(256)) * 20)
    (folder / "noise.parquet").write_bytes(b"PAR1 no")
    (folder / "noise.etalage").write_bytes(b"what is this")
    (folder / "noise.json").write_text("{", encoding="utf-8")
    (folder / "notes.txt").write_text("keep me", encoding="utf-8")
    assert cli.main(["train", str(folder / "events.csv"), *COLUMNS, "--model", "ease", "--out", str(folder / "model.etalage")]) == 0
    index = etalage.retrieval.ItemIndex(2)
    index.add([1, 0], "a")
    index.save(folder / "items.index")
    return folder


COLUMNS = ["--user", "customer", "--item", "sku", "--time", "at", "--event", "kind", "--value", "amount"]
RETURNS = ["--return-event", "return", "--value-transform", "log1p"]
SPLIT = ["--split", "temporal", "--at", "2026-03-01", "--valid-at", "2026-02-10"]


def call(capsys, *args):
    capsys.readouterr()
    code = cli.main([str(a) for a in args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_describe_prints_and_draws(shop, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    args = ["describe", shop / "events.csv", *COLUMNS, "--catalog", shop / "products.csv", "--catalog-item", "sku", "--catalog-name", "title"]
    code, out, err = call(capsys, *args, "--plot", tmp_path / "a.png")
    assert code == 0, err
    assert "630" in out and "90" in out and "POSTAGE" in out and (tmp_path / "a.png").stat().st_size > 1000
    code, out, _ = call(capsys, *args, "--json")
    assert code == 0 and json.loads(out)["users"] == 90
    assert call(capsys, *args, "--plot", tmp_path / "a.png")[0] == 2
    assert call(capsys, *args, "--plot", tmp_path / "a.png", "--overwrite")[0] == 0


def test_compare_shows_intervals_and_groups(shop, tmp_path, capsys):
    table = tmp_path / "t.csv"
    args = ["compare", shop / "events.csv", *COLUMNS, *RETURNS, *SPLIT[:4], "--models", "popularity,ease,sessionknn", "--k", "5", "--param", "ease.l2=50"]
    code, out, err = call(capsys, *args, "--out", table)
    assert code == 0, err
    assert "with history" in out
    rows = list(csv.DictReader(table.open(encoding="utf-8")))
    assert {r["model"] for r in rows} == {"Popularity", "EASE", "SessionKNN"}
    for r in rows:
        assert float(r["low"]) <= float(r["recall@5"]) <= float(r["high"])
    log = etalage.EventLog.from_csv(shop / "events.csv", user="customer", item="sku", time="at", event="kind", value="amount")
    train, _, test = etalage.evaluation.split.temporal(log, "2026-03-01")
    recipe = etalage.Recipe(return_event="return", value_transform="log1p")
    same = etalage.evaluation.compare({"EASE": etalage.models.EASE(l2=50)}, train, test, k=5, recipe=recipe)
    assert float(next(r for r in rows if r["model"] == "EASE")["recall@5"]) == pytest.approx(same.rows[0]["recall@5"])
    code, out, _ = call(capsys, *args, "--json")
    assert code == 0 and len(json.loads(out)) == 3


def test_tune_then_train_with_what_it_found(shop, tmp_path, capsys):
    pytest.importorskip("optuna")
    settings, trials = tmp_path / "s.json", tmp_path / "trials.csv"
    args = ["tune", shop / "events.csv", *COLUMNS, *RETURNS, *SPLIT, "--model", "itemknn", "--budget", "3", "--metric", "recall@5"]
    code, out, err = call(capsys, *args, "--out", settings, "--trials", trials)
    assert code == 0 and out.strip() == str(settings) and "\r" not in err
    found = json.loads(settings.read_text(encoding="utf-8"))
    assert found["model"] == "ItemKNN" and found["recipe"] == {"return_event": "return", "value_transform": "log1p"} and found["trials"] == 3
    assert len(list(csv.DictReader(trials.open(encoding="utf-8")))) == 3
    assert call(capsys, *args, "--out", settings)[0] == 2
    out = tmp_path / "m.etalage"
    code, _, err = call(capsys, "train", shop / "events.csv", *COLUMNS, "--params-from", settings, "--out", out)
    assert code == 0 and "was tuned with another recipe" in err
    code, _, err = call(capsys, "train", shop / "events.csv", *COLUMNS, "--params-from", settings, "--recipe", settings, "--out", out)
    assert code == 0 and "another recipe" not in err
    model = etalage.load(out)
    assert model.recipe == etalage.Recipe.load(settings)
    assert all(model.get_params()[n] == (pytest.approx(v, rel=1e-6) if isinstance(v, float) else v) for n, v in found["params"].items())  # floats of C++


def test_blend_learns_and_is_fitted_on_everything(shop, tmp_path, capsys):
    out = tmp_path / "b.etalage"
    args = ["blend", shop / "events.csv", *COLUMNS, *RETURNS, *SPLIT, "--out", out, "--k", "5"]
    code, text, err = call(capsys, *args, "--models", "ease,transitions")
    assert code == 0 and "weights learned" in err and "Blend" in text
    blend = etalage.load(out)
    assert blend.recipe == etalage.Recipe(return_event="return", value_transform="log1p") and set(blend.weights_) == {"EASE", "Transitions"}
    assert call(capsys, *args, "--models", "ease,popularity")[0] == 0  # a model replaces a model


@pytest.mark.parametrize("args", [["train", "--model", "ease"], ["blend", "--models", "ease,popularity", *SPLIT]])
def test_only_models_are_replaced(shop, tmp_path, capsys, args):
    kept = tmp_path / "notes.etalage"
    kept.write_text("keep me", encoding="utf-8")
    whole = [args[0], shop / "events.csv", *COLUMNS, *args[1:], "--out", kept]
    code, _, err = call(capsys, *whole)
    assert code == 2 and "which exists and is no model; --overwrite replaces it" in err and kept.read_text(encoding="utf-8") == "keep me"
    assert call(capsys, *whole, "--overwrite")[0] == 0 and etalage.load(kept) is not None
    code, _, err = call(capsys, args[0], shop / "events.csv", *COLUMNS, *args[1:], "--out", shop / "events.csv", "--overwrite")
    assert code == 2 and "which the command reads" in err


READERS = {"describe": [], "train": ["--model", "ease", "--out", "OUT"], "evaluate": ["--model", "ease"], "compare": ["--models", "ease,popularity"],
           "tune": ["--model", "ease", "--budget", "2", "--out", "OUT.json"], "blend": ["--models", "ease,popularity", "--out", "OUT"]}
# Of every command that reads events.
OF_EVENTS = {
    "absent": (["absent.csv"], "no such event file"),
    "another ending": (["notes.txt"], "must end in .csv"),
    "no rows": (["empty.csv"], "holds no events"),
    "cut gzip": (["broken.csv.gz"], "gzip"),
    "no text": (["binary.csv"], ""),
    "no Parquet": (["noise.parquet"], ""),
    "a folder without Parquet": (["."], ""),
    "no such column": (["events.csv", "--user", "nobody"], "nobody"),
    "times that are none": (["events.csv", "--time", "sku"], "sku"),
    "values that are none": (["events.csv", "--value", "kind"], "kind"),
}
OF_WEIGHTS = {
    "weight without number": (["--event-weight", "buy"], "must be EVENT=NUMBER"),
    "weight that is nan": (["--event-weight", "buy=nan", "--event-weight", "return=1"], "must be finite"),
    "a type without weight": (["--event-weight", "buy=1"], "return"),
    "half-life": (["--half-life-days", "-3"], "half_life_days is -3.0, must be > 0"),
    "return event": (["--return-event", "retrun"], "retrun"),
    "cancels alone": (["--return-cancels", "buy"], "return_event"),
    "transform": (["--value-transform", "cap"], "--value-transform is 'cap'"),
    "recipe absent": (["--recipe", "absent.json"], "absent.json"),
    "recipe no JSON": (["--recipe", "noise.json"], "noise.json is no JSON"),
    "recipe no model": (["--recipe", "noise.etalage"], "noise.etalage"),
    "recipe of an index": (["--recipe", "items.index"], "keeps no recipe"),
}
OF_SPLITS = {
    "temporal without moment": (["--split", "temporal"], "--at"),
    "no moment": (["--split", "temporal", "--at", "soon"], "--at"),
    "after the end": (["--split", "temporal", "--at", "2030-01-01"], "without events"),
    "before the begin": (["--split", "temporal", "--at", "2001-01-01"], "without events"),
    "moment without temporal": (["--at", "2026-03-01"], "must go with --split temporal"),
    "share": (["--split", "tail", "--share", "1.5"], "share is 1.5"),
}
CASES = [(c, [*e], [], t) for c in READERS for e, t in OF_EVENTS.values()]
CASES += [(c, ["events.csv"], e, t) for c in READERS if c != "describe" for e, t in OF_WEIGHTS.values()]
CASES += [(c, ["events.csv"], e, t) for c in ("evaluate", "compare", "tune", "blend") for e, t in OF_SPLITS.values()]
CASES += [
    ("train", ["events.csv"], ["--params-from", "noise.json"], "noise.json"),
    ("train", ["events.csv"], ["--params-from", "absent.json"], "absent.json"),
    ("train", ["events.csv"], ["--out", "no/such/folder/m"], "there is no folder"),
    ("evaluate", ["events.csv"], ["--metrics", "recal"], "recal"),
    ("evaluate", ["events.csv"], ["--k", "0"], "--k is '0'"),
    ("compare", ["events.csv"], ["--models", "ease,ease"], "must name each model once"),
    ("compare", ["events.csv"], ["--models", "ease,nope"], "--models is 'nope'"),
    ("compare", ["events.csv"], ["--param", "als.factors=8"], "must be MODEL.NAME=VALUE with one of"),
    ("compare", ["events.csv"], ["--out", "table.xml"], "must end in"),
    ("compare", ["events.csv"], ["--plot", "p.doc"], "--plot is 'p.doc', must end in"),
    ("compare", ["events.csv"], ["--confidence", "2"], "confidence"),
    ("tune", ["events.csv"], ["--budget", "soon"], "budget"),
    ("tune", ["events.csv"], ["--budget", "0"], "budget"),
    ("tune", ["events.csv"], ["--metric", "ndcg"], "must be like 'ndcg@20'"),
    ("tune", ["events.csv"], ["--out", "s.txt"], "must end in .json"),
    ("blend", ["events.csv"], ["--models", "ease"], "must name two models at least"),
    ("blend", ["events.csv"], ["--candidates", "0"], "candidates"),
    ("blend", ["events.csv"], ["--k", "0"], "--k is 0"),
    ("describe", ["events.csv"], ["--catalog", "absent.csv"], "absent.csv"),
    ("describe", ["events.csv"], ["--catalog", "products.csv"], "column 'item' is not in"),
    ("recommend", ["absent.etalage"], [], "absent.etalage"),
    ("recommend", ["noise.etalage"], [], "noise.etalage"),
    ("recommend", ["items.index"], [], "holds a ItemIndex"),
    ("recommend", ["."], [], "a directory"),
    ("recommend", ["model.etalage"], ["--shard", "x"], "I/N"),
    ("recommend", ["model.etalage"], ["--catalog", "binary.csv"], "binary.csv"),
    ("similar", ["model.etalage", "nothing"], [], "'nothing' is not in"),
    ("similar", ["items.index", "a"], [], "holds a ItemIndex"),
    ("similar", ["model.etalage", "p01"], ["--k", "0"], "--k is 0"),
    ("info", ["absent"], [], "absent"),
    ("info", ["noise.etalage"], [], "noise.etalage"),
    ("demo", [], ["--out", "notes.txt"], "a file, must be a folder"),
    ("demo", [], ["--users", "-5", "--out", "demo"], "users"),
]


@pytest.mark.parametrize("command, first, more, told", CASES, ids=lambda v: "-".join(v) if isinstance(v, list) else None)
def test_every_mistake_is_told_in_a_line(shop, tmp_path, capsys, monkeypatch, command, first, more, told):
    if command == "tune":
        pytest.importorskip("optuna")
    monkeypatch.chdir(shop)
    before = sorted(p.name for p in shop.iterdir())
    columns = [] if command in ("recommend", "similar", "info", "demo") else [c for c in COLUMNS if first[0] != "empty.csv" or c not in ("--event", "kind", "--value", "amount")]
    given = [a.replace("OUT", str(tmp_path / "out")) for a in READERS.get(command, [])]
    code, _, err = call(capsys, command, first[0], *columns, *first[1:], *given, *more) if first else call(capsys, command, *more)
    assert code == 2, err
    lines = [line for line in err.splitlines() if line.startswith(f"etalage {command}: ")]
    assert len(lines) == 1 and told in lines[0] and "Traceback" not in err
    assert not any(words in lines[0] for words in ("incompatible function arguments", "pybind", "std::", "Unable to cast", "object has no attribute"))
    assert sorted(p.name for p in shop.iterdir()) == before and not list(tmp_path.iterdir())


def test_progress_into_a_file_is_a_line_a_minute(monkeypatch):
    from etalage.models import _progress

    told, now = io.StringIO(), [0.0]
    monkeypatch.setattr("sys.stderr", told)
    lines = _progress.MinuteLines("search", clock=lambda: now[0])
    for second in range(0, 200, 5):
        now[0] = float(second)
        lines.show(f"trial {second}")
    assert told.getvalue().splitlines() == ["search: trial 60", "search: trial 120", "search: trial 180"]
