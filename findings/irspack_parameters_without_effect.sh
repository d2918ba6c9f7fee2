#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# irspack 0.5.2: alpha of P3alpha and RP3beta does nothing on binary data; shrinkage of CosineKNN does nothing as constructed.
#
# P3alpha raises the transition probabilities of its random walk to alpha (Cooper et al. 2014), so alpha moves weight between heavy
# and light users of any data. irspack raises the values first and normalises afterwards: where all values are equal, as in clicks
# or purchases yes/no, every alpha gives the same model, and a search over alpha compares equal trials. CosineKNNRecommender is
# constructed with normalize=False, which is the plain product of columns; shrinkage, which belongs to the cosine, is taken and
# not used. With normalize=True both are as the name says.
#
# Seen: "alpha .5 against 3: 0 and 0 on binary data, 2.25 and 0.43 by the probabilities' powers; shrinkage 0 against 50: 0 as
# constructed, 0.101 with normalize=True". Installs pinned packages into a temporary folder; needs Python 3.11 and network. Exit 0
# while irspack behaves so, 1 when it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check irspack==0.5.2 numpy==2.4.6 scipy==1.17.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import numpy as np
import scipy.sparse as sp
from irspack.recommenders import CosineKNNRecommender, P3alphaRecommender, RP3betaRecommender

rng = np.random.default_rng(0)
counts = sp.csr_matrix(np.where(rng.random((200, 60)) < 0.1, rng.integers(1, 5, (200, 60)), 0).astype(np.float64))
bought = (counts > 0).astype(np.float64)


def weights(model):
    return model.learn().W.toarray()


def walk(matrix, alpha, beta=0.0):
    """The papers' weights: powers of probabilities, a column divided by its item's popularity to beta."""
    dense = matrix.toarray()
    there = dense.T / dense.sum(0)[:, None]
    back = dense / np.maximum(dense.sum(1), 1)[:, None]
    return there**alpha @ back**alpha / dense.sum(0) ** beta


def change(make):
    return np.abs(make(0.5) - make(3.0)).max()


p3, rp3 = (change(lambda alpha: weights(P3alphaRecommender(bought, alpha=alpha))),
           change(lambda alpha: weights(RP3betaRecommender(bought, alpha=alpha, beta=0.5))))
paper_p3, paper_rp3 = change(lambda alpha: walk(bought, alpha)), change(lambda alpha: walk(bought, alpha, 0.5))
plain, cosine = (np.abs(weights(CosineKNNRecommender(counts, top_k=60, **how)) -
                        weights(CosineKNNRecommender(counts, top_k=60, shrinkage=50.0, **how))).max()
                 for how in ({}, {"normalize": True}))
print(f"alpha .5 against 3: {p3:g} and {rp3:g} on binary data, {paper_p3:.2f} and {paper_rp3:.2f} by the probabilities' powers; "
      f"shrinkage 0 against 50: {plain:g} as constructed, {cosine:.3f} with normalize=True")
sys.exit(0 if p3 < 1e-12 and rp3 < 1e-12 and min(paper_p3, paper_rp3) > 0.05 and plain == 0 and cosine > 0.05 else 1)
PYTHON
