# SPDX-License-Identifier: Apache-2.0
"""The examples run as a newcomer would run them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import etalage

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ETALAGE_DATA", ROOT / "../shared/data"))


def run(*command, **env):
    result = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True,
                            env=os.environ | {"ETALAGE_PYTHON": sys.executable} | env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_evaluate_and_plot(tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "picture.png"
    shown = run(sys.executable, "examples/02_evaluate_and_plot.py", picture)
    recall = {line[:18].strip(): float(line.split("recall@20")[1].split()[0]) for line in shown.splitlines() if "recall@20" in line}
    assert max(v for k, v in recall.items() if k != "popularity") > recall["popularity"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_rules_example():
    shown = run(sys.executable, "examples/06_rules.py")
    assert "editor's choice: pinned to 1" in shown and "affordable: chosen for its share" in shown
    assert shown.count("eligible") == 3 and "relevance kept" in shown


def test_offline_batch_is_restartable(tmp_path):
    events = tmp_path / "events.csv"
    events.write_text("user,item\n" + "".join(f"u{u},i{(u * 7 + n * n) % 30}\n" for u in range(50) for n in range(6)))
    first = run("bash", "examples/03_offline_batch.sh", events, tmp_path / "out", 3)
    assert first.count("rows for") == 3
    assert sorted(p.name for p in (tmp_path / "out").glob("*.csv")) == [f"recommendations-{i}-of-3.csv" for i in range(3)]
    again = run("bash", "examples/03_offline_batch.sh", events, tmp_path / "out", 3)
    assert again.count("complete already, skipped") == 3


@pytest.mark.slow
def test_spark_batch(tmp_path):
    pytest.importorskip("pyspark", reason="pyspark is not installed")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17, and there is no java")
    shown = run(sys.executable, "examples/spark_batch.py", "--out", tmp_path)
    assert "fitted 400 users x 150 items" in shown and "4000 rows in" in shown
    assert sum(int(n) for n in re.findall(r"(\d+) [a-z ]+[,;]", re.search(r"^segments: (.*)$", shown, re.M)[1])) == 400
    model = tmp_path / "fit" / "model.etalage"
    assert (tmp_path / "lists" / "_SUCCESS").exists() and model.exists()
    # The C++ side opens what executors fitted, and answers as the lists say.
    program = Path(etalage.__file__).resolve().parents[2] / "examples" / "example_01_fit_recommend"
    program = program if program.exists() else Path(etalage.__file__).parents[2] / "examples" / "example_01_fit_recommend"
    if not program.exists():
        pytest.skip("the C++ examples are not beside this build")
    user = re.search(r"^(user-\S+): ", shown, re.M)[1]
    keys, scores = etalage.load(model).recommend_ids(user, k=5)
    answered = [line.split() for line in run(program, "--open", model, user).splitlines()]
    assert [k for k, _ in answered] == list(keys) and np.allclose([float(s) for _, s in answered], scores, rtol=1e-5)


def test_profiles_and_intent(tmp_path):
    pytest.importorskip("matplotlib")
    shown = run(sys.executable, "examples/profiles_and_intent.py", tmp_path / "reliability.png")
    assert "segments:" in shown and "again: due" in shown and "AUC above recency, frequency and money: +" in shown
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def test_first_week(tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("optuna")
    shown = run(sys.executable, "examples/07_first_week.py", "--synthetic", "--users", 600, "--out", tmp_path)
    said = {line[11:24].strip(): line[24:] for line in shown.splitlines() if " s  " in line[:12]}
    assert list(said) == ["load", "describe", "split", "compare", "tune", "blend", "explain", "to a file", "save, load", "serve", "value", "baskets",
                          "coupons", "off-policy", "mail"], shown
    of_popular = float(said["compare"].split("popular ")[1].split()[0])
    assert float(said["blend"].split("recall@20 ")[1].split()[0]) > 1.2 * of_popular
    assert "the same answers: True" in said["save, load"] and (tmp_path / "model.etalage").exists()
    assert "sold out: gone" in said["serve"] and "found by its price" in said["serve"]
    rows = (tmp_path / "recommendations.csv").read_text().splitlines()
    assert rows[0] == "user,rank,item,score,name" and f", {len(rows) - 1:,} rows for" in said["to a file"]
    spent, budget = (float(v.replace(",", "")) for v in said["coupons"].split("one, ")[1].split(" spent")[0].split(" of "))
    assert 0 < spent <= budget
    low, high = (float(v) for v in said["mail"].split("[")[1].split("]")[0].split(","))
    assert low <= float(said["mail"].split("choice, ")[1].split()[0]) <= high


def test_campaign(tmp_path):
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    shown = run(sys.executable, "examples/08_campaign.py", "--out", tmp_path)
    low, high, truth = (float(v) for v in re.search(r"\[(\S+), (\S+)\], truth (\S+),", shown).groups())
    assert low <= truth <= high and "no page is worth more than" in shown
    assert "Incremental revenue" in (tmp_path / "made_up.html").read_text()
    if (tmp_path / "complete_journey.html").exists():
        assert "incremental" not in (tmp_path / "complete_journey.html").read_text().lower() and (tmp_path / "complete_journey.parquet").exists()
    else:
        assert "Complete Journey: no" in shown


def test_two_weeks(tmp_path):
    out = run(sys.executable, "examples/09_two_weeks.py", tmp_path)
    assert re.search(r"always the best, from this log: .*\d", out) and re.search(r"learned less models: [+-]\d\.\d+, interval \(", out)
    assert "clicks" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_day_of_a_shop():
    shown = run(sys.executable, "examples/shop_engine.py")
    assert "answered by publication 2 and after a rollback by 1" in shown and "'history'" in shown


@pytest.mark.slow
def test_real_data_prints_product_names(tmp_path):
    if not (DATA / "online-retail" / "online_retail.parquet").exists():
        pytest.skip(f"{DATA}/online-retail is not there (set ETALAGE_DATA)")
    shown = run("bash", "examples/real_data.sh", tmp_path, ETALAGE_DATA=str(DATA.resolve()))
    assert "Toy Story" in shown and "REGENCY CAKESTAND" in shown and "complete already, skipped" in shown


@pytest.mark.slow
def test_demo_writes_model_rows_and_picture(tmp_path):
    shown = run(sys.executable, "-m", "etalage", "demo", "--out", tmp_path, "--users", 1500, "--items", 400)
    assert (tmp_path / "model.etalage").exists() and (tmp_path / "recommendations.parquet").exists()
    assert (tmp_path / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    rows = {line.split()[0]: [float(v) for v in line.split()[1:]] for line in shown.splitlines() if line.startswith(("Popularity  ", "ALS  "))}
    assert rows["ALS"][1] > 1.5 * rows["Popularity"][1]
