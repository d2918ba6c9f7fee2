# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from ._evaluate import _interactions, _same_shape


def inverse_popularity(train, valid, exponent: float = 0.5) -> np.ndarray:
    """float64 [users]: how much each row of valid counts when bestsellers are held out more often than they will be asked for.

    Interactions that were held out by chance hold each product as often as it sold; what is bought next holds fewer of the
    bestsellers, above all where the range changes. Each held-out item counts (its users in train and valid)^-exponent, the
    inverse of its propensity to be seen, and a row the mean of its items; scaled to a mean of 1 over rows that hold any.
    exponent: 0 counts all alike, 0.5 is usual (Saito et al., WSDM 2020), 1 takes popularity for nothing but chance.
    With it Evaluation.mean is the self-normalised estimate by inverse propensities (Yang et al., RecSys 2018).

    train, valid: Interactions, EventLog or CSR over the same users and items.
    """
    if isinstance(exponent, bool) or not isinstance(exponent, (int, float)) or not 0 <= exponent <= 2:
        raise ValueError(f"exponent is {exponent!r}, must be a number in [0, 2]")
    seen, held = _interactions(train, "train"), _interactions(valid, "valid")
    _same_shape(seen, held)
    rows = sp.csr_matrix(held.user_items_view, copy=True)
    rows.eliminate_zeros()
    users = np.asarray(((seen.user_items_view != 0) + (rows != 0)).sum(axis=0)).ravel().astype(np.float64)
    rows = sp.csr_matrix((np.maximum(users[rows.indices], 1.0) ** -float(exponent), rows.indices, rows.indptr), rows.shape)
    lengths = np.diff(rows.indptr)
    out = np.asarray(rows.sum(axis=1)).ravel() / np.maximum(lengths, 1)
    return out / out[lengths > 0].mean() if (lengths > 0).any() else out
