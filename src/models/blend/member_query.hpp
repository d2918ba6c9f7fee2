// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "etalage/models/recommender.hpp"

namespace etalage::detail {

/// Vectors of items alone: a member that knows nobody and is asked by what the shopper did.
[[nodiscard]] inline bool knows_nobody(const Recommender& member) noexcept {
  return member.num_users() == 0 && member.kind() == "Vectors";
}

/// `query` as a member that knows nobody is asked: by `history`, the shopper's rows as the joint model keeps them.
[[nodiscard]] inline Query without_user(const Query& query, std::span<const std::int32_t> history, std::span<const float> values) noexcept {
  Query asked = query;
  if (!query.user) return asked;
  asked.user.reset();
  asked.recalculate_user = false;
  asked.history = history;
  asked.history_values = values;
  asked.history_given = true;
  if (asked.history_times.size() != history.size()) asked.history_times = {};
  return asked;
}

}  // namespace etalage::detail
