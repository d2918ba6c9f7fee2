# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several files ask for."""

import pytest

import etalage

pytest.register_assert_rewrite("spark_jobs")


@pytest.fixture(scope="module")
def catalog(store):
    """What the file's own made-up shop sells."""
    return etalage.Catalog.from_frame(store.catalog.to_dict(), name="name", category="category", brand="brand", price="price")


@pytest.fixture(scope="module")
def running():
    """A real Spark in this process and its workers."""
    from spark_jobs import session

    made = session("local[2]")
    yield made
    made.stop()
