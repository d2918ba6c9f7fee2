# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from .. import _core
from ._base import Recommender


class GraphFilter(Recommender):
    """A linear filter on the user-item graph: the history goes in, scores of all items come out.

    score(h) = sum_k c_k h S^k + w h D_i^-p V g V^T D_i^-q - s h S^2, with S = D_i^-a R^T D_u^-u R D_i^-b and V the leading singular
    vectors of the normalised R. GF-CF, LinkProp, BSPM, ChebyCF and SGFCF are members: see preset().

    history_exponent   a, damps popular items of the history
    user_exponent      u, damps busy users between
    item_exponent      b, damps popular items in the answer; smaller recommends more popular ones
    coefficients       c, of the polynomial of S, lowest order first
    basis              "power" (S^k) or "chebyshev" (T_k of I - 2 S)
    low_pass_factors   singular vectors kept; 0 none, None by the size of the data
    low_pass_weight    w, >= 0
    sharpen_factors    singular vectors on which S^2 is subtracted; 0 none
    sharpen_weight     s, >= 0: takes back what everybody's neighbours have in common
    equal_scale        w and s count from root mean squares of scores equal to the polynomial's
    low_pass_power     t, g = (sigma / sigma_1)^t; 0 is the ideal low pass
    low_pass_user_exponent, low_pass_item_exponent        of the matrix that is decomposed
    low_pass_history_exponent, low_pass_target_exponent   p and q
    low_pass_coefficients   of a polynomial of S behind the low pass
    power_iterations   of the randomized SVD
    num_threads        0 means all CPUs this process may use
    seed               of the SVD's random start; equal seeds give equal bits for any number of threads

    What is "auto" is read from the shape of the data by fit() (docs/tuning.md); resolved says what it became.

    Users are their histories: an unseen one is answered from their row like any other.
    """

    _kind = "GraphFilter"
    _core_class = _core.GraphFilterModel
    _needs_history = True

    def __init__(self, history_exponent="auto", user_exponent="auto", item_exponent="auto", *, coefficients=(0.0, 1.0),
                 basis="power", low_pass_factors=None, low_pass_weight=0.1, sharpen_factors=128,
                 sharpen_weight="auto", equal_scale=True, low_pass_power=0.0,
                 low_pass_user_exponent=0.5, low_pass_item_exponent=0.5, low_pass_history_exponent=0.5,
                 low_pass_target_exponent=-0.5, low_pass_coefficients=(1.0,), power_iterations=6, num_threads=0, seed=42):
        self.history_exponent, self.user_exponent, self.item_exponent = history_exponent, user_exponent, item_exponent
        self.coefficients, self.basis, self.low_pass_factors = coefficients, basis, low_pass_factors
        self.low_pass_weight, self.sharpen_factors = low_pass_weight, sharpen_factors
        self.sharpen_weight, self.equal_scale, self.low_pass_power = sharpen_weight, equal_scale, low_pass_power
        self.low_pass_user_exponent, self.low_pass_item_exponent = low_pass_user_exponent, low_pass_item_exponent
        self.low_pass_history_exponent = low_pass_history_exponent
        self.low_pass_target_exponent, self.low_pass_coefficients = low_pass_target_exponent, low_pass_coefficients
        self.power_iterations, self.num_threads, self.seed = power_iterations, num_threads, seed
        self._validate()

    @classmethod
    def preset(cls, name, num_threads=0, seed=42, **settings):
        """A published member by name, as its paper writes it; settings are its own:

        "gf_cf"      weight=0.3, factors=256
        "link_prop"  history_exponent, user_exponent, item_exponent
        "cheby_cf"   order=8, flatness=1.5, beta=0.4, weight=0.2, factors=512
        "bspm"       weight=0.3, factors=448, time=2.5, steps=1, early_merge=True
        "sgfcf"      epsilon, factors, power, weight
        """
        members = {
            "gf_cf": (_core.GraphFilterModel.gf_cf, {"weight": 0.3, "factors": 256}),
            "link_prop": (_core.GraphFilterModel.link_prop, {}),
            "cheby_cf": (_core.GraphFilterModel.cheby_cf,
                         {"order": 8, "flatness": 1.5, "beta": 0.4, "weight": 0.2, "factors": 512}),
            "bspm": (_core.GraphFilterModel.bspm,
                     {"weight": 0.3, "factors": 448, "time": 2.5, "steps": 1, "early_merge": True}),
            "sgfcf": (_core.GraphFilterModel.sgfcf, {}),
        }
        if name not in members:
            raise ValueError(f"name is {name!r}, must be one of {', '.join(map(repr, members))}")
        make, defaults = members[name]
        return cls(**{**make(**{**defaults, **settings}), "num_threads": num_threads, "seed": seed})

    @property
    def singular_vectors(self):
        """V, float32 [num_items x factors], read-only."""
        return self._fitted().singular_vectors

    @property
    def singular_values(self):
        """float32 [factors], descending, read-only."""
        return self._fitted().singular_values
