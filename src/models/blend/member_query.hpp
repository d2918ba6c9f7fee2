// SPDX-License-Identifier: Apache-2.0
// What a joint model asks its members, and what it takes from them.
#pragma once

#include <optional>
#include <span>

#include "etalage/models/blend.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage::detail {

/// Vectors of items alone: a member that knows nobody and is asked by what the shopper did.
[[nodiscard]] inline bool knows_nobody(const Recommender& member) noexcept {
  return member.num_users() == 0 && member.kind() == "Vectors";
}

/// The users of the first member that knows anybody, 0 where none does. Members that are null are passed over.
[[nodiscard]] inline std::int32_t users_of(std::span<const BlendMember> members) noexcept {
  std::int32_t users = 0;
  for (const BlendMember& member : members)
    if (users == 0 && member.model != nullptr) users = member.model->num_users();
  return users;
}

/// What all members that know somebody were fitted on; none where they differ.
[[nodiscard]] inline std::optional<PairHash> fitted_on_of(std::span<const BlendMember> members) {
  std::optional<PairHash> fitted_on;
  bool any = false;
  for (const BlendMember& member : members) {
    if (knows_nobody(*member.model)) continue;  // nothing of it was fitted on anybody
    if (!any) fitted_on = member.model->fitted_on();
    else if (member.model->fitted_on() != fitted_on) fitted_on.reset();
    any = true;
  }
  return fitted_on;
}

/// `query` for members that know the shopper; for the others the same by `history`, the shopper's rows as the joint model keeps them.
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

/// One question as each member is asked it. Looks into the query, which must outlive it.
class MemberQuery {
 public:
  MemberQuery(const Query& query, std::span<const std::int32_t> history, std::span<const float> values) noexcept
      : query_(query) {
    without_user_ = without_user(query, history, values);  // assigned: GCC 12 fails on the initializer
  }
  [[nodiscard]] const Query& of(const Recommender& member) const noexcept { return knows_nobody(member) ? without_user_ : query_; }

 private:
  const Query& query_;
  Query without_user_;
};

}  // namespace etalage::detail
