# SPDX-License-Identifier: Apache-2.0
"""What opens a path says what is wrong with it: an OSError of the system's own kind, with the path."""

import os

import numpy as np
import pytest

import etalage
from etalage.serving import Engine, Snapshot

M = etalage.models
OPENS = {
    "load": etalage.load,
    "from_csv": lambda path: etalage.EventLog.from_csv(path),
    "TreeEnsemble": M.TreeEnsemble.load,
    "ItemIndex": etalage.retrieval.ItemIndex.load,
    "Profiles": etalage.profile.Profiles.load,
    "PurchaseIntent": etalage.profile.PurchaseIntent.load,
    "Snapshot": Snapshot.load,
    "Engine": Engine.load,
    "lifetime": etalage.marketing.lifetime.load,
}
SAVES = {
    "model": lambda path: M.ItemKNN().fit(np.eye(3)).save(path),
    "Profiles": lambda path: etalage.profile.Profiles().save(path),
    "Engine": lambda path: Engine().save(path),
}


@pytest.mark.parametrize("name", OPENS)
def test_a_folder_is_no_file(name, tmp_path):
    with pytest.raises(IsADirectoryError) as error:
        OPENS[name](tmp_path)
    assert error.value.errno and str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", OPENS)
def test_what_is_not_there_and_what_lies_under_a_file(name, tmp_path):
    with pytest.raises(FileNotFoundError):
        OPENS[name](tmp_path / "absent")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        OPENS[name](tmp_path / "file" / "below")


@pytest.mark.parametrize("name", SAVES)
def test_nothing_is_saved_over_a_folder(name, tmp_path):
    with pytest.raises(IsADirectoryError):
        SAVES[name](tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_journal_is_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(NotADirectoryError):
        Engine(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"x"
