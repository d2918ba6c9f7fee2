// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"
#include "etalage/models/factor_model.hpp"

namespace etalage::marketing {

/// Who may be in an audience. Views only, looked at during the call.
struct AudienceOptions {
  std::span<const std::uint8_t> allowed = {};  ///< [users], 0: never (no consent, bought or written to lately); empty: everybody
  std::string hold_out_salt;          ///< of the slots that are held out; with hold_out_slots > 0 alone, and then not empty
  std::int32_t hold_out_slots = 0;    ///< whoever's slot() is below it is left out, in [0, 10000]: 500 is five in a hundred
  int num_threads = 0;                ///< 0 means all CPUs
};

/// A shopper and how likely they are to respond.
struct AudienceMember {
  std::int32_t user = -1;  ///< index in the model
  float score = 0;         ///< product of their row and the vector
};

/// The k shoppers whose factor rows have the largest product with the vector (an item's row, a mean of rows), best first, ties to the
/// lower index: one exact pass over the users. Shoppers of whom the model knows nothing (rows of zeros) are left out.
///
/// Hold-outs  stand by key, so that nobody moves when another group, the k or the model changes; the model needs user keys for them
/// Cost       one read of user_factors() (which may be mapped from a file) and O(k) memory a chunk of users
/// Bits       the same for any number of threads
/// Errors     std::invalid_argument names the argument, the value and the rule
[[nodiscard]] ETALAGE_EXPORT std::vector<AudienceMember> audience(const FactorModel& model, std::span<const float> vector, std::size_t k,
                                                                  const AudienceOptions& options = {});
/// The same for one product of the model.
[[nodiscard]] ETALAGE_EXPORT std::vector<AudienceMember> audience(const FactorModel& model, std::int32_t item, std::size_t k, const AudienceOptions& options = {});
/// Products of all rows [users, factors] with the vector [factors], those that audience() orders by: out [users]. Gives the largest
/// squared length of a row, from which a bound of the rounding follows; what is not finite shows in out. The same bits for any number
/// of threads. Sizes that disagree: std::invalid_argument.
[[nodiscard]] ETALAGE_EXPORT double audience_products(std::span<const float> rows, std::span<const float> vector, std::span<float> out, int num_threads = 0);

}  // namespace etalage::marketing
