# SPDX-License-Identifier: Apache-2.0
import pytest
from models import CASES, checkerboard, keyed


@pytest.fixture(params=CASES, ids=lambda c: c.name, scope="module")
def case(request):
    return request.param


@pytest.fixture(scope="module")
def rows():
    return checkerboard()


@pytest.fixture(scope="module")
def model(case, rows):
    """Fitted on Interactions with keys: knows its rows."""
    return case.fit(keyed(rows))


@pytest.fixture(scope="module")
def bare(case, rows):
    """Fitted on a matrix: knows no rows and no keys."""
    return case.fit(rows)
