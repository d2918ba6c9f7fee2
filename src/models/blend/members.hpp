// SPDX-License-Identifier: Apache-2.0
// Models made of models (Blend, LearnedRanker): what their members must be, what they are asked, what is taken from them, and how they lie
// in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/extend/state.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage::detail {

/// Vectors of items alone: a member that knows nobody and is asked by what the shopper did.
[[nodiscard]] inline bool knows_nobody(const Recommender& member) noexcept {
  return member.num_users() == 0 && member.kind() == "Vectors";
}

/// How the model that holds them speaks of its members.
struct MemberWords {
  const char* one;   ///< "member"
  const char* many;  ///< "members", their name in files too
  const char* holder;  ///< "Blend": the kind that may not be among them
  const char* instead;  ///< "a plain model"
};

/// Checks that there are 1 to 64 fitted models of unique names and of the same users and items; returns how many users they know
/// (of the first that knows anybody). std::invalid_argument.
[[nodiscard]] std::int32_t check_members(std::span<const BlendMember> members, const MemberWords& words);

/// What all members that know somebody were fitted on; none where they differ.
[[nodiscard]] std::optional<PairHash> fitted_on_of(std::span<const BlendMember> members);
/// The newest event that any of them was fitted on; none where none has times.
[[nodiscard]] std::optional<std::int64_t> newest_of(std::span<const BlendMember> members);

/// Under words.many: how many, then name, kind and state of each.
void put_members(StateWriter& writer, std::span<const BlendMember> members, const MemberWords& words);
/// What put_members() wrote. FormatError.
[[nodiscard]] std::vector<BlendMember> get_members(const StateReader& reader, const MemberWords& words);

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

/// Whether the query says nothing that any of them can use.
[[nodiscard]] bool all_cold(std::span<const BlendMember> members, const MemberQuery& asked) noexcept;
/// Whether the newest item of queries that do not say is left out: those to which order matters decide, and one that would list it has
/// the last word. weights: [members] or empty for 1 each; a member of weight 0 is not asked.
[[nodiscard]] ExcludeLast members_exclude_last(std::span<const BlendMember> members, std::span<const float> weights = {}) noexcept;
/// What an option means for a query that does not say.
[[nodiscard]] inline bool excludes_last(ExcludeLast option, const Query& query) noexcept {
  return option == ExcludeLast::kYes || (option == ExcludeLast::kSession && !query.session.empty());
}

}  // namespace etalage::detail
