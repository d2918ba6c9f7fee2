// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// What a model was fitted on, seen from a split. A pair is (user, item) by index; values and times do not matter.
struct FitCheck {
  bool known = false;       ///< the model says what it was fitted on
  bool is_train = false;    ///< exactly the pairs of train
  std::int64_t leaked = 0;  ///< pairs to be found (value > 0 in test, not in train) that the fit held
  [[nodiscard]] bool honest() const noexcept { return leaked == 0; }  ///< whether no test pair was fitted on
};

/// Looks the pairs of test up in the rows that the model keeps. Without kept rows the hash of its fit tells train, and train
/// with all of test, from everything else; a fit on a part of test is not noticed then.
[[nodiscard]] ETALAGE_EXPORT FitCheck check_fit(const Recommender& model, const CsrView& train, const CsrView& test);
[[nodiscard]] ETALAGE_EXPORT FitCheck check_fit(const Recommender& model, const Sequences& train, const CsrView& test);
/// std::invalid_argument when the model's fit held pairs that are to be found: its figures would be those of its memory.
ETALAGE_EXPORT void require_honest(const FitCheck& check, const Recommender& model);

}  // namespace etalage
