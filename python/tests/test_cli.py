# SPDX-License-Identifier: Apache-2.0
"""The command line as a batch author meets it: whole processes, real files."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import etalage
from etalage import cli


def run(*args, expect=0, **options):
    result = subprocess.run([sys.executable, "-m", "etalage", *map(str, args)], capture_output=True, text=True, **options)
    assert result.returncode == expect, result.stderr
    return result


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """A small shop's events as CSV: two groups of shoppers with tastes of their own."""
    path = tmp_path_factory.mktemp("cli") / "events.csv"
    rng = np.random.default_rng(5)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "sku", "at", "kind"])
        for u in range(120):
            group = u % 2
            for n, item in enumerate(rng.choice(20, size=8, replace=False)):
                rows.writerow([f"c{u:03d}", f"p{group * 20 + item:02d}", f"2026-01-{n + 1:02d}T10:00:00Z", "buy" if n % 2 else "view"])
    return path


COLUMNS = ["--user", "customer", "--item", "sku", "--time", "at", "--event", "kind"]
WEIGHTS = ["--event-weight", "view=1", "--event-weight", "buy=3"]


@pytest.fixture(scope="module")
def model_file(events):
    path = events.with_name("model.etalage")
    result = run("train", events, *COLUMNS, *WEIGHTS, "--param", "factors=8", "--out", path)
    assert "960 rows read, 960 kept, 0 refused" in result.stderr
    return path


@pytest.fixture(scope="module")
def catalog(events):
    path = events.with_name("products.csv")
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sku", "title"])
        rows.writerows([f"p{i:02d}", f'Product "{i}", fine'] for i in range(40))
    return path


def read(path):
    opener = gzip.open if str(path).endswith(".gz") else open
    with opener(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", sorted(cli._trainable()))
def test_every_model_trains_and_evaluates(name, events, tmp_path, capsys):
    out = tmp_path / "model.etalage"
    few = ["--param", "factors=8"] if name in ("als", "bpr", "warp", "item2vec") else []
    assert cli.main(["train", str(events), *COLUMNS, *WEIGHTS, "--model", name, *few, "--out", str(out)]) == 0
    model = etalage.load(out)
    assert type(model).__name__.lower() == name
    keys, scores = model.recommend_ids(["c000", "c001"], k=5)
    assert all(k is None or k.startswith("p") for k in keys.ravel()) and np.isfinite(scores[keys != None]).all()  # noqa: E711
    capsys.readouterr()
    assert cli.main(["evaluate", str(events), *COLUMNS, *WEIGHTS, "--model", name, *few, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r.lower() for r in rows} == {"popularity", name}
    assert all(0 <= r["recall@10"] <= 1 and r["users"] > 50 for r in rows.values())


def test_events_without_weight_are_not_in_sequences(events, tmp_path):
    out = tmp_path / "model.etalage"
    assert cli.main(["train", str(events), *COLUMNS, "--event-weight", "view=0", "--event-weight", "buy=1", "--model", "transitions",
                     "--out", str(out)]) == 0
    assert etalage.load(out).user_items.nnz == 480
    assert cli.main(["train", str(events), *COLUMNS, "--event-weight", "view=0", "--model", "transitions", "--out", str(out)]) == 2


def test_recommend_writes_every_shopper_in_order(model_file, tmp_path):
    out = tmp_path / "recs.csv"
    run("recommend", model_file, "--k", 5, "--out", out)
    rows = read(out)
    assert len(rows) == 120 * 5
    assert [r["rank"] for r in rows[:5]] == ["1", "2", "3", "4", "5"]
    model = etalage.load(model_file)
    items, scores = model.recommend(np.arange(120), k=5)
    assert [r["item_id"] for r in rows] == [model.item_ids[i] for i in items.ravel()]
    np.testing.assert_allclose([float(r["score"]) for r in rows], scores.ravel(), rtol=1e-6)


def test_recommendations_follow_taste(model_file, tmp_path):
    out = tmp_path / "recs.csv"
    run("recommend", model_file, "--k", 5, "--out", out)
    same = [(int(r["user_id"][1:]) % 2) == (int(r["item_id"][1:]) // 20) for r in read(out)]
    assert np.mean(same) > 0.9  # half of them by chance


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_block_size_and_format_do_not_change_the_rows(model_file, tmp_path, ending):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    run("recommend", model_file, "--k", 3, "--out", first)
    run("recommend", model_file, "--k", 3, "--out", second, "--block", 7)
    if ending == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
        assert pq.read_table(first).equals(pq.read_table(second))
        assert pq.read_table(first).column_names == ["user_id", "rank", "item_id", "score"]
    else:
        assert read(first) == read(second)


def test_names_are_printed_and_written(model_file, catalog, tmp_path):
    names = ["--catalog", catalog, "--catalog-item", "sku", "--catalog-name", "title"]
    shown = run("recommend", model_file, "--user", "c001", "--k", 2, *names).stdout
    assert shown.startswith("c001\n") and 'Product "' in shown
    out = tmp_path / "recs.csv"
    run("recommend", model_file, "--k", 1, "--out", out, *names)
    row = read(out)[0]
    assert row["item_name"] == f'Product "{int(row["item_id"][1:])}", fine'
    near = run("similar", model_file, "p03", "--k", 3, *names).stdout.splitlines()
    assert near[0].startswith("p03  Product") and len(near) == 4


def test_shards_cover_everyone_once_and_finished_ones_are_skipped(model_file, tmp_path):
    out = tmp_path / "recs.csv"
    whole = tmp_path / "whole.csv"
    run("recommend", model_file, "--k", 3, "--out", whole)
    for i in range(3):
        run("recommend", model_file, "--k", 3, "--out", out, "--shard", f"{i}/3")
    parts = [tmp_path / f"recs-{i}-of-3.csv" for i in range(3)]
    assert sum((read(p) for p in parts), []) == read(whole)
    written = parts[1].stat().st_mtime_ns
    assert "complete already, skipped" in run("recommend", model_file, "--k", 3, "--out", out, "--shard", "1/3").stdout
    assert parts[1].stat().st_mtime_ns == written
    parts[1].unlink()
    run("recommend", model_file, "--k", 3, "--out", out, "--shard", "1/3")
    assert parts[1].exists()


def test_a_shard_of_another_model_or_other_options_is_made_anew(events, model_file, tmp_path):
    """The second night of a nightly job: the model changed, and so must the lists."""
    out, part = tmp_path / "recs.csv", tmp_path / "recs-0-of-2.csv"
    shard = ("--out", out, "--shard", "0/2")
    run("recommend", model_file, "--k", 3, *shard)
    first = part.read_bytes()
    assert "other options, and --resume" in run("recommend", model_file, "--k", 4, *shard, "--resume", expect=2).stderr
    assert part.read_bytes() == first
    again = run("recommend", model_file, "--k", 4, *shard)
    assert "made anew" in again.stderr and "rows for" in again.stdout and part.read_bytes() != first
    assert "skipped" in run("recommend", model_file, "--k", 4, *shard, "--resume").stdout
    other = tmp_path / "other.etalage"
    run("train", events, *COLUMNS, "--model", "popularity", "--out", other)
    second = part.read_bytes()
    assert "made anew" in run("recommend", other, "--k", 4, *shard).stderr
    assert part.read_bytes() != second
    (tmp_path / "recs-0-of-2.csv.done.json").write_text("{ half")
    assert "rows for" in run("recommend", other, "--k", 4, *shard).stdout
    assert "must go with both" in run("recommend", model_file, "--resume", expect=2).stderr


def test_links_are_followed_and_permissions_kept(model_file, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "recs.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    run("recommend", model_file, "--k", 2, "--out", link)
    assert link.is_symlink() and target.read_text().startswith("user_id,")
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in (tmp_path / "elsewhere").iterdir()) == ["recs.csv"]
    assert "a directory" in run("recommend", model_file, "--out", _made(tmp_path / "folder.csv"), expect=2).stderr


def _made(folder):
    folder.mkdir()
    return folder


def test_gzip_is_told_in_any_case_and_a_dash_prints(model_file, tmp_path):
    import gzip

    out = tmp_path / "RECS.CSV.GZ"
    run("recommend", model_file, "--k", 2, "--out", out)
    text = gzip.decompress(out.read_bytes()).decode()
    assert text.startswith("user_id,rank,item_id,score\n")
    assert run("recommend", model_file, "--k", 2, "--out", "-").stdout == text
    run("recommend", model_file, "--k", 2, "--out", out, "--shard", "0/2")
    assert (tmp_path / "RECS-0-of-2.CSV.GZ").exists()


def test_an_interrupted_run_leaves_no_file_of_the_final_name(tmp_path):
    """Killed at any moment: the output is absent or whole."""
    users = 60_000
    data = etalage.Interactions.from_csr(__import__("scipy.sparse").sparse.random(users, 50, density=0.05, format="csr", dtype=np.float32, random_state=1))
    model = tmp_path / "big.etalage"
    etalage.models.ALS(factors=8, iterations=1).fit(data).save(model)
    out = tmp_path / "recs.csv"
    finished = killed = 0
    for attempt in range(8):
        out.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-m", "etalage", "recommend", str(model), "--out", str(out), "--block", "500"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(tmp_path.glob(".recs.csv.*.partial")) and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(0.05 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if out.exists():
            finished += 1
            assert len(read(out)) == users * 10
        else:
            killed += 1
    assert killed > 0


def test_memory_does_not_grow_with_the_number_of_users(tmp_path):
    peaks = []
    for users in (20_000, 200_000):
        model = tmp_path / f"{users}.etalage"
        rng = np.random.default_rng(0)
        etalage.models.Vectors(rng.standard_normal((users, 16), dtype=np.float32), rng.standard_normal((300, 16), dtype=np.float32)).save(model)
        code = (
            "import resource, sys; from etalage.cli import main; "
            f"main(['recommend', {str(model)!r}, '--out', {str(tmp_path / 'out.csv')!r}, '--block', '2000']); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        peaks.append(int(shown.splitlines()[-1]) * 1024)
    # The user factors are mapped (64 bytes a user); what is allocated must not follow the users.
    assert peaks[1] - peaks[0] < 180_000 * 64 + 8e6


def test_parquet_without_pyarrow_names_the_extra(model_file, tmp_path):
    code = (
        "import sys; sys.modules['pyarrow'] = None; from etalage.cli import main; "
        f"sys.exit(main(['recommend', {str(model_file)!r}, '--out', {str(tmp_path / 'x.parquet')!r}]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2 and "pip install 'etalage[parquet]'" in result.stderr


def test_train_reads_parquet_and_gzip_alike(events, model_file, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.csv
    import pyarrow.parquet

    parquet, packed = tmp_path / "events.parquet", tmp_path / "events.csv.gz"
    pa.parquet.write_table(pa.csv.read_csv(events), parquet)
    packed.write_bytes(gzip.compress(events.read_bytes()))
    reference = etalage.load(model_file)
    for path in (parquet, packed):
        out = tmp_path / "m.etalage"
        run("train", path, *COLUMNS, *WEIGHTS, "--param", "factors=8", "--out", out)
        model = etalage.load(out)
        np.testing.assert_array_equal(model.item_factors, reference.item_factors)
        assert list(model.user_ids) == list(reference.user_ids)


def test_evaluate_prints_the_model_beside_popularity(events):
    rows = json.loads(run("evaluate", events, *COLUMNS, *WEIGHTS, "--param", "factors=8", "--k", "5,10", "--json").stdout)
    assert set(rows) == {"Popularity", "ALS"}
    assert rows["ALS"]["recall@10"] > rows["Popularity"]["recall@10"]
    table = run("evaluate", events, *COLUMNS, *WEIGHTS, "--split", "random").stdout
    assert "Popularity" in table and "ndcg@20" in table


def test_bad_rows_are_named_or_skipped(events, tmp_path):
    broken = tmp_path / "broken.csv"
    lines = events.read_text().splitlines()
    lines[5] = "c004,,2026-01-01T00:00:00Z,view"
    lines[9] = "c004,p01,yesterday,view"
    broken.write_text("\n".join(lines) + "\n")
    out = tmp_path / "m.etalage"
    error = run("train", broken, *COLUMNS, *WEIGHTS, "--out", out, expect=2).stderr
    assert "6" in error and "sku" in error
    assert not out.exists()
    told = run("train", broken, *COLUMNS, *WEIGHTS, "--on-error", "skip", "--out", out).stderr
    assert "2 refused" in told and "line 6" in told and "line 10" in told


def test_info_tells_of_files_and_of_the_build(model_file):
    assert "ALS, format version" in run("info", model_file).stdout
    assert "simd" in run("info").stdout


@pytest.mark.parametrize(
    "args, told",
    [
        (["train", "absent.csv", "--out", "m"], "no such event file"),
        (["recommend", "absent.etalage"], "absent.etalage"),
        (["recommend", "MODEL", "--shard", "3/3"], "must be I/N with 0 <= I < N"),
        (["recommend", "MODEL", "--out", "recs.txt"], "must end in"),
        (["recommend", "MODEL", "--k", "-1"], "--k is -1, must be >= 0"),
        (["evaluate", "EVENTS", *COLUMNS, "--split", "temporal"], "--split temporal needs --at"),
        (["evaluate", "EVENTS", *COLUMNS, "--k", "10,x"], "--k is '10,x'"),
        (["evaluate", "EVENTS", *COLUMNS, "--param", "factrs=8"], "factrs"),
        (["train", "EVENTS", *COLUMNS, "--param", "factrs=8", "--out", "m"], "factrs"),
        (["train", "EVENTS", *COLUMNS, "--param", "factors=many", "--out", "m"], "factors"),
        (["train", "EVENTS", *COLUMNS, "--param", "factors=[8]", "--out", "m"], "factors"),
        (["train", "EVENTS", *COLUMNS, "--out", "-"], "must be a file"),
        (["similar", "MODEL", "nothing"], "'nothing' is not in"),
        (["train", "EVENTS", *COLUMNS, "--model", "nope", "--out", "m"], "--model is 'nope', must be one of"),
        (["train", "EVENTS", *COLUMNS, "--event-weight", "view", "--out", "m"], "must be EVENT=NUMBER"),
        (["train", "EVENTS", *COLUMNS, "--event-weight", "view=1", "--out", "m"], "buy"),
        (["train", "EVENTS", "--user", "nobody", "--item", "sku", "--out", "m"], "nobody"),
    ],
)
def test_mistakes_are_told_in_one_line(events, model_file, tmp_path, args, told):
    args = [str({"MODEL": model_file, "EVENTS": events}.get(a, a)) for a in args]
    error = run(*args, expect=2, cwd=tmp_path).stderr
    assert told in error and "Traceback" not in error
    assert not os.listdir(tmp_path)


def test_progress_is_for_terminals_only(model_file, tmp_path):
    assert run("recommend", model_file, "--out", tmp_path / "r.csv").stderr == ""
