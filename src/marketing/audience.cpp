// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/audience.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/core/slot.hpp"
#include "kernels/row_scores.hpp"
#include "marketing/check_row.hpp"

namespace etalage::marketing {
namespace {

constexpr std::size_t kUsersOfChunk = 1 << 14;

bool better(const AudienceMember& a, const AudienceMember& b) noexcept { return a.score != b.score ? a.score > b.score : a.user < b.user; }

/// Whether the row is anything but zeros; its squared length says so unless it underflowed.
bool known(const float* row, std::size_t factors, float square) noexcept {
  return square != 0 || std::any_of(row, row + factors, [](float x) { return x != 0; });
}

/// Calls each(user, product with the vector, squared length) for users in [begin, end), by the kernels of the exact search.
template <class Each>
void for_products(const float* rows, std::span<const float> vector, std::size_t begin, std::size_t end, Each each) {
  const auto& scores = kernels::row_scores();
  const std::size_t factors = vector.size();
  std::array<float, 256> dots, squares;
  for (std::size_t u = begin; u < end; u += dots.size()) {
    const std::size_t n = std::min(dots.size(), end - u);
    scores.dot_and_square(vector.data(), rows + u * factors, factors, factors, n, dots.data(), squares.data());
    for (std::size_t i = 0; i < n; ++i) each(u + i, dots[i], squares[i]);
  }
}

bool held_out(const IdMap& ids, std::int32_t user, const AudienceOptions& options) {
  const std::int32_t at = ids.kind() == IdMap::Kind::kInteger ? slot(ids.integer_at(user), options.hold_out_salt) : slot(ids.string_at(user), options.hold_out_salt);
  return at < options.hold_out_slots;
}

}  // namespace

std::vector<AudienceMember> audience(const FactorModel& model, std::span<const float> vector, std::size_t k, const AudienceOptions& options) {
  const auto users = static_cast<std::size_t>(model.num_users()), factors = static_cast<std::size_t>(model.factors());
  detail::require(model.fitted(), "model.factors()", factors, "> 0: a fitted model");
  detail::require(vector.size() == factors, "vector.size()", vector.size(), "the model's number of factors");
  for (std::size_t f = 0; f < factors; ++f)
    require_row(std::isfinite(vector[f]), "vector", f, static_cast<double>(vector[f]), "finite");
  if (!options.allowed.empty()) detail::require(options.allowed.size() == users, "allowed.size()", options.allowed.size(), "the number of users");
  detail::require(options.hold_out_slots >= 0 && options.hold_out_slots <= kSlots, "hold_out_slots", options.hold_out_slots, "in [0, 10000]");
  const bool holds_out = options.hold_out_slots > 0;
  if (holds_out != !options.hold_out_salt.empty())
    throw std::invalid_argument("hold_out_slots is " + std::to_string(options.hold_out_slots) + " and hold_out_salt '" + options.hold_out_salt + "', must be given together");
  const SharedIdMap ids = model.user_ids();
  if (holds_out) {
    if (!ids) throw std::invalid_argument("hold_out_slots is " + std::to_string(options.hold_out_slots) + ", must be 0 for a model without user keys: slots are by key");
    (void)slot("", options.hold_out_salt);  // refuses a salt with a line break before the loop
  }
  std::vector<std::vector<AudienceMember>> chunks(detail::num_chunks(users, kUsersOfChunk));
  const float* rows = model.user_factors().data();
  detail::parallel_for(users, kUsersOfChunk, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<AudienceMember>& kept = chunks[begin / kUsersOfChunk];
    for_products(rows, vector, begin, end, [&](std::size_t u, float score, float square) {
      if (k == 0 || (!options.allowed.empty() && options.allowed[u] == 0)) return;
      const AudienceMember member{static_cast<std::int32_t>(u), score};
      if (kept.size() == k && !better(member, kept.front())) return;
      if (!known(rows + u * factors, factors, square)) return;
      if (holds_out && held_out(*ids, member.user, options)) return;
      if (kept.size() == k) {
        std::pop_heap(kept.begin(), kept.end(), better);
        kept.pop_back();
      }
      kept.push_back(member);
      std::push_heap(kept.begin(), kept.end(), better);
    });
  });
  std::vector<AudienceMember> out;
  for (const auto& kept : chunks) out.insert(out.end(), kept.begin(), kept.end());
  for (const AudienceMember& m : out)
    if (!std::isfinite(m.score)) throw std::invalid_argument("the product of user " + std::to_string(m.user) + " exceeds float32, must be smaller");
  const auto last = out.begin() + static_cast<std::ptrdiff_t>(std::min(k, out.size()));
  std::partial_sort(out.begin(), last, out.end(), better);
  out.erase(last, out.end());
  return out;
}

double audience_products(std::span<const float> rows, std::span<const float> vector, std::span<float> out, int num_threads) {
  const std::size_t factors = vector.size();
  detail::require(factors > 0 && rows.size() / factors == out.size() && rows.size() % factors == 0, "rows.size()", rows.size(), "users x factors");
  std::vector<float> longest(detail::num_chunks(out.size(), kUsersOfChunk), 0.0F);
  detail::parallel_for(out.size(), kUsersOfChunk, num_threads, [&](std::size_t begin, std::size_t end, int) {
    float& most = longest[begin / kUsersOfChunk];
    for_products(rows.data(), vector, begin, end, [&](std::size_t u, float score, float square) {
      out[u] = score;
      most = std::max(most, square);
    });
  });
  double most = 0;
  for (const float square : longest) most = std::max(most, static_cast<double>(square));
  return most;
}

std::vector<AudienceMember> audience(const FactorModel& model, std::int32_t item, std::size_t k, const AudienceOptions& options) {
  detail::require(item >= 0 && item < model.num_items(), "item", item, "a product of the model");
  return audience(model, model.item_row(item), k, options);
}

}  // namespace etalage::marketing
