# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several files ask for."""

import pytest

import etalage


@pytest.fixture(scope="module")
def catalog(store):
    """What the file's own made-up shop sells."""
    return etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")
