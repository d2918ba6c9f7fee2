# SPDX-License-Identifier: Apache-2.0
"""One fit by several processes over a folder has the bits of one machine's, stopped and started again or not."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import etalage
from etalage import cli
from etalage.spark import Blocks
from etalage.spark import _folder as folder
from etalage.spark._sweeps import Fit, in_tree

PARAMS = ["--param", "factors=12", "--param", "iterations=4", "--param", "seed=3", "--value", "n"]


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    path = tmp_path_factory.mktemp("events") / "events.csv"
    rng = np.random.default_rng(5)
    users, items = rng.zipf(1.2, 40_000) % 2300, rng.integers(0, 1500, 40_000)
    with open(path, "w", encoding="ascii") as f:
        f.write("user,item,n\n")
        f.writelines(f"u{u},{i},{1 + (u + i) % 3}\n" for u, i in zip(users, items))
    return path


def reference(path, **params):
    """models.ALS on the matrix with users and items in the order of their keys."""
    data = etalage.EventLog.from_csv(path, user="user", item="item", value="n").interactions()
    users, items = np.asarray(data.user_ids), np.asarray(data.item_ids)
    a, b = np.argsort(users), np.argsort(items)
    matrix = data.user_items.tocsr()[a][:, b]
    matrix.sort_indices()
    ordered = etalage.Interactions.from_csr(matrix, user_ids=users[a], item_ids=items[b])
    return etalage.models.ALS(**{"factors": 12, "iterations": 4, "seed": 3, **params}).fit(ordered)


def start(events, shard, place, *more):
    command = [sys.executable, "-m", "etalage", "train", str(events), *PARAMS, "--shard", shard, "--folder", str(place), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return err


def same(path, expected):
    model = etalage.load(path)
    assert np.array_equal(model.user_factors, expected.user_factors) and np.array_equal(model.item_factors, expected.item_factors)
    for got, wanted in zip(model.recommend_ids(["u1", "u7", "nobody"], k=5), expected.recommend_ids(["u1", "u7", "nobody"], k=5)):
        assert (got == wanted).all()
    return model


def test_shards_have_the_bits_of_one_machine(events, tmp_path):
    place, out = tmp_path / "fit", tmp_path / "model.etalage"
    for process in [start(events, f"{k}/3", place) for k in (2, 1, 3)]:
        finished(process)
    assert cli.main(["merge", str(place), "--out", str(out)]) == 0
    model = same(out, expected := reference(events))
    assert model.iterations == 4 and model._model.report.iterations == 4
    # Products of float32 are summed in another order.
    assert model._model.report.objective == pytest.approx(expected._model.report.objective, rel=1e-7)


def test_a_shard_that_is_killed_goes_on(events, tmp_path):
    place, out = tmp_path / "fit", tmp_path / "model.etalage"
    first, second = start(events, "1/2", place), start(events, "2/2", place)
    while not (place / "sweeps").exists() and first.poll() is None:
        time.sleep(0.01)
    second.send_signal(signal.SIGKILL)
    second.wait()
    assert cli.main(["merge", str(tmp_path / "fit"), "--out", str(out)]) in (0, 2)
    finished(start(events, "2/2", place))
    finished(first)
    assert cli.main(["merge", str(place), "--out", str(out)]) == 0
    same(out, reference(events))


def test_merge_wants_a_fit_that_is_over(events, tmp_path, capsys):
    place = tmp_path / "fit"
    process = start(events, "1/2", place, "--shard-timeout", "0.3")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "did not come within 0.3 s" in err
    assert cli.main(["merge", str(place), "--out", str(tmp_path / "m")]) == 2
    assert "0 of 4 sweeps" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_mistakes_are_told(events, tmp_path, capsys):
    def error(*argv):
        assert cli.main(["train", str(events), *argv]) == 2
        return capsys.readouterr().err

    assert "--shard is '3/2', must be K/N" in error("--shard", "3/2", "--folder", str(tmp_path))
    assert "--folder is not given" in error("--shard", "1/2")
    assert "must be als" in error("--shard", "1/2", "--folder", str(tmp_path), "--model", "ease")
    assert "--out is not given" in error()
    (tmp_path / "fit").mkdir()
    folder.write_json(str(tmp_path / "fit" / "shards.json"), {"options": {}, "shards": 2})
    assert "other settings (data, events, options)" in error("--shard", "1/2", "--folder", str(tmp_path / "fit"))
    assert cli.main(["merge", str(tmp_path / "nothing"), "--out", str(tmp_path / "m")]) == 2


def test_files_are_whole_or_refused(tmp_path):
    path = str(tmp_path / "a")
    arrays = {"x": np.arange(7, dtype=np.float32).reshape(7, 1), "none": np.empty((0, 3)), "n": np.arange(3)}
    folder.write(path, **arrays)
    found = folder.read(path)
    assert set(found) == set(arrays) and all(np.array_equal(found[n], a) and found[n].shape == a.shape for n, a in arrays.items())
    data = open(path, "rb").read()
    for bad in (data[:-1], data + b"x", b"nonsense\n", b"\n", data[:20]):
        with open(path, "wb") as f:
            f.write(bad)
        with pytest.raises(etalage.FormatError, match="a: "):
            folder.read(path)


def test_files_that_a_power_cut_left_are_made_again_or_refused(events, tmp_path):
    from etalage.spark._blocks import write_blocks

    write_blocks(str(tmp_path / "b"), etalage.EventLog.from_csv(events, user="user", item="item", value="n").interactions())
    expected = reference(events)
    fit = Fit(str(tmp_path / "b"), str(tmp_path / "w"), {**expected._options(), "num_threads": 0})
    for half in range(3):
        for block in range(fit.count(half)):
            fit.make(half, block, 1)
        fit.finish(half)
    fit.make(3, 0, 1)
    whole = open(fit.block_path(3, 0), "rb").read()
    for broken in (b"", whole[:-100], whole[:-100] + bytes(100)):
        with open(fit.block_path(3, 0), "wb") as f:
            f.write(broken)
        fit.make(3, 0, 1)
        assert open(fit.block_path(3, 0), "rb").read() == whole
    assert fit.resumed() == 2
    with open(fit.block_path(1, 0), "r+b") as f:
        f.truncate(500)
    with pytest.raises(etalage.FormatError, match="train anew"):
        fit.resumed()


def test_sums_follow_a_tree_over_block_numbers():
    rng = np.random.default_rng(1)
    parts = list(rng.standard_normal((200, 3)) * 10.0 ** rng.integers(-8, 8, (200, 1)))
    runs = []
    for i in range(0, 200, 64):
        total = parts[i].copy()
        for p in parts[i + 1:i + 64]:
            total = total + p
        runs.append(total)
    assert (in_tree(parts) == ((runs[0] + runs[1]) + runs[2]) + runs[3]).all()
    assert (in_tree(parts[:1]) == parts[0]).all()


def test_blocks_open_and_answer(events, tmp_path):
    from etalage.spark._blocks import write_blocks

    data = etalage.EventLog.from_csv(events, user="user", item="item", value="n").interactions()
    blocks = write_blocks(str(tmp_path / "b"), data)
    assert blocks.shape == data.shape and blocks.nnz == data.nnz and "pairs" in repr(blocks)
    assert (blocks.user_ids == np.sort(np.asarray(data.user_ids))).all() and (blocks.item_ids == np.sort(np.asarray(data.item_ids))).all()
    again = Blocks(tmp_path / "b").interactions()
    u, i = again.user_index(["u3"])[0], again.item_index([11])[0]
    assert again.user_items[u, i] == data.user_items[data.user_index(["u3"])[0], data.item_index([11])[0]]
    os.remove(tmp_path / "b" / "blocks.json")
    with pytest.raises(FileNotFoundError, match="no finished blocks"):
        Blocks(tmp_path / "b")


@pytest.mark.parametrize("options", [{"solver": "cholesky", "nu": 0.5}, {"solver": "subspace", "unobserved_weight": 0.1},
                                     {"tolerance": 0.02}, {"compute_objective": False}, {"factors": 64}])
@pytest.mark.parametrize("most_whole", [512 << 20, 0])  # of the other side all in memory, or the rows that a block names
def test_every_solver_has_the_bits_of_one_machine(events, tmp_path, options, most_whole, monkeypatch):
    from etalage.spark import _sweeps
    from etalage.spark._blocks import write_blocks

    monkeypatch.setattr(_sweeps, "_MOST_WHOLE", most_whole)
    expected = reference(events, **options)
    data = etalage.EventLog.from_csv(events, user="user", item="item", value="n").interactions()
    write_blocks(str(tmp_path / "b"), data)
    fit = Fit(str(tmp_path / "b"), str(tmp_path / "w"), {**expected._options(), "num_threads": 0})
    half = -1
    while half < 1 or not fit.is_over(half):
        half += 1
        for block in reversed(range(fit.count(half))):
            fit.make(half, block, 1)
        fit.finish(half)
    fit.assemble(str(tmp_path / "m"), half, 1.0, True)
    same(tmp_path / "m", expected)
    model = etalage.load(tmp_path / "m")
    assert (model._model.report.iterations, model._model.report.stop_reason) == (expected._model.report.iterations, expected._model.report.stop_reason)
    shutil.rmtree(tmp_path / "w")
