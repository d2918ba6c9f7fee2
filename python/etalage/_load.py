# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from . import _core
from ._arrays import flag, whole_number
from .models._base import _KINDS


def load(path, verify="full", num_threads=0, trust_faiss=False):
    """Opens whatever save() wrote, from Python or C++: a model, an index, profiles, a purchase intent, trees, a lifetime model, the
    allocation of an experiment, a linear uplift model.

    verify="full" checks every checksum and index, "header" trusts the contents and opens in constant time. The file is
    mapped, not read: processes that open it share its memory. trust_faiss=True opens an ItemIndex of kind "faiss" too, whose bytes FAISS
    reads and believes: only for files whose writer is trusted, else they are a FormatError that says so. FormatError says what was found and what was expected.
    """
    path = os.fspath(path)
    trust_faiss = flag(trust_faiss, "trust_faiss")
    kind = _core.file_info(path)["kind"]
    if kind in ("ItemIndex", "FaissIndex"):
        from . import retrieval

        return retrieval.ItemIndex.load(path, verify=verify, trust_faiss=trust_faiss)
    if kind in ("Profiles", "PurchaseIntent"):
        from . import profile

        return getattr(profile, kind).load(path, verify=verify)
    if kind == "TreeEnsemble":
        from .models import TreeEnsemble

        return TreeEnsemble.load(path, verify=verify)
    if kind in ("LifetimeModel", "GammaGamma", "BgBb"):
        from .marketing import lifetime

        return lifetime.load(path, verify=verify)
    if kind == "Allocation":
        from .evaluation import experiment

        return experiment.Allocation.load(path)
    if kind == "LinearUplift":
        from .marketing import uplift

        return uplift.LinearUplift.load(path)
    model = _core.load(path, verify, whole_number(num_threads, "num_threads"))
    if model.kind not in _KINDS:
        raise _core.FormatError(f"{path}: kind is {model.kind!r}, must be one of {', '.join(sorted(_KINDS))}")
    return _KINDS[model.kind]._from_core(model)
