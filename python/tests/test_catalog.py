# SPDX-License-Identifier: Apache-2.0
"""Catalogues of columns and frames."""

import numpy as np
import pytest

import etalage


@pytest.mark.parametrize("make", ["dict", "pandas", "polars", "pyarrow"])
def test_catalog_from_frame(make):
    columns = {"sku": ["m1", "m2"], "title": ["Mug", None], "path": ["Home > Mugs", ""], "maker": ["Acme", None], "price": [3.5, None],
               "left": [4, 0], "labels": ["red|gift", None]}
    frame = columns if make == "dict" else getattr(pytest.importorskip(make), "table" if make == "pyarrow" else "DataFrame")(columns)
    c = etalage.Catalog.from_frame(frame, item="sku", name="title", category="path", brand="maker", price="price", stock="left", tags="labels",
                                   vectors=np.eye(2))
    assert len(c) == 2 and c.names == ["Mug", "m2"] and c.brands == ["Acme", ""]
    assert c.categories == [("Home", "Mugs"), ()] and c.tags == [("red", "gift"), ()]
    assert c.prices[0] == 3.5 and np.isnan(c.prices[1]) and c.stock.tolist() == [4, 0]
    assert c.vectors.tolist() == [[1, 0], [0, 1]] and c.item_index(["m2", "x"]).tolist() == [1, -1]
    assert c.names_of(["m1", "other"]) == ["Mug", "other"]


def test_catalog_refuses_what_does_not_fit():
    for kw, text in [({"prices": [1.0, -2.0]}, "prices holds -2"), ({"names": ["x"]}, "names has 1 entries"),
                     ({"vectors": np.full((2, 1), np.nan)}, "vectors holds nan at row 0")]:
        with pytest.raises(ValueError, match=text):
            etalage.Catalog([1, 2], **kw)
    with pytest.raises(ValueError, match="must be unique"):
        etalage.Catalog(["a", "a"])
    with pytest.raises(ValueError, match="row 1: item is missing"):
        etalage.Catalog.from_frame({"item": ["a", None]})
    with pytest.raises(ValueError, match="column 'name' is not in the frame"):
        etalage.Catalog.from_frame({"item": ["a"]}, name="name")
