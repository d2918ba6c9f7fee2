# SPDX-License-Identifier: Apache-2.0
"""Cells of a catalogue that are no text are told by row and column."""

import pytest

import etalage


@pytest.mark.parametrize("column, cells", [("brands", ["x", b"\xff"]), ("names", ["x", "\ud800"]), ("categories", [["x"], [b"\xff"]]),
                                           ("categories", [["x"], "\ud800"]), ("tags", [["x"], ["y", "\ud800"]]), ("texts", ["x", b"\xe9"])])
def test_foreign_bytes_of_a_catalogue_are_told_by_row(column, cells):
    with pytest.raises(ValueError, match=f"row 1: {column} is .*must be valid"):
        etalage.Catalog(["a", "b"], **{column: cells})


def test_bytes_in_utf8_are_text():
    catalog = etalage.Catalog(["a", "b"], brands=[b"Caf\xc3\xa9", "Bar"], categories=[[b"drinks"], b"food"])
    assert list(catalog.brands) == ["Caf\u00e9", "Bar"] and [tuple(c) for c in catalog.categories] == [("drinks",), ("food",)]
