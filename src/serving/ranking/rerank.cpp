// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/rerank.hpp"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "serving/ranking/greedy.hpp"

namespace etalage {
namespace {

void check_sizes(std::size_t size, std::size_t n, const char* name) {
  if (size != n)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have one for each of the " +
                                std::to_string(n) + " candidates");
}

void check(const RerankOptions& options, const RerankInput& input) {
  options.validate();
  const std::size_t n = input.relevance.size();
  for (const float r : input.relevance) detail::require_finite(true, "relevance", r, "finite");
  if (options.method == RerankMethod::kNone) return;
  if (options.method == RerankMethod::kCalibrated) {
    check_sizes(input.groups.size(), n, "groups");
    double sum = 0;
    for (const float p : input.target) {
      detail::require_finite(p >= 0, "target", p, "finite and >= 0");
      sum += p;
    }
    if (!(std::abs(sum - 1) < 1e-3)) throw std::invalid_argument("target has the sum " + std::to_string(sum) + ", must have 1");
    for (const std::int32_t g : input.groups)
      if (g < -1 || g >= static_cast<std::int32_t>(input.target.size()))
        throw std::invalid_argument("groups holds " + std::to_string(g) + ", must be -1 or an index into target");
    return;
  }
  if (options.likeness == Likeness::kCategories) {
    check_sizes(input.items.size(), n, "items");
    if (input.catalog == nullptr) throw std::invalid_argument("catalog is null, must be given for categories");
    return;
  }
  check_sizes(input.vectors.size(), n, "vectors");
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t f = 0; f < input.dim && input.vectors[i] != nullptr; ++f)
      if (!std::isfinite(input.vectors[i][f]))
        throw std::invalid_argument("vectors holds " + std::to_string(input.vectors[i][f]) + " in row " + std::to_string(i) + ", must be finite");
}

}  // namespace

void RerankOptions::validate() const { require_options(*this); }

std::size_t rerank(const RerankOptions& options, const RerankInput& input, std::span<std::int32_t> order, Scratch& scratch) {
  check(options, input);
  auto& s = scratch.impl().part<serving::RerankMemory>();
  const std::size_t all = input.relevance.size();
  const std::size_t k = std::min(order.size(), all);
  // The most relevant take part, in their order in the input.
  const std::size_t n = std::min(all, static_cast<std::size_t>(options.window));
  s.window.resize(all);
  std::iota(s.window.begin(), s.window.end(), 0);
  const auto better = [&](std::int32_t a, std::int32_t b) {
    const float x = input.relevance[static_cast<std::size_t>(a)], y = input.relevance[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  RerankInput part = input;
  if (n < all) {
    std::sort(s.window.begin(), s.window.end(), better);
    std::sort(s.window.begin(), s.window.begin() + static_cast<std::ptrdiff_t>(n));
    const auto pick = [&](auto& to, const auto& from) {
      to.clear();
      for (std::size_t i = 0; i < n && !from.empty(); ++i) to.push_back(from[static_cast<std::size_t>(s.window[i])]);
    };
    pick(s.relevance, input.relevance);
    pick(s.vectors, input.vectors);
    pick(s.items, input.items);
    pick(s.groups, input.groups);
    part.relevance = s.relevance;
    part.vectors = s.vectors;
    part.items = s.items;
    part.groups = s.groups;
  }
  s.taken.assign(n, 0);
  serving::with_policy(options, part, s, [&](auto& policy) {
    for (std::size_t pos = 0; pos < std::min(k, n); ++pos) {
      policy.before();
      std::size_t best = n;
      double best_gain = 0;
      for (std::size_t i = 0; i < n; ++i) {
        if (s.taken[i] != 0 || (best != n && policy.bound(i) <= best_gain)) continue;
        const double gain = policy.gain(i, best == n ? serving::kNoLeast : best_gain);
        if (best == n || gain > best_gain) {
          best = i;
          best_gain = gain;
        }
      }
      s.taken[best] = 1;
      policy.choose(best);
      order[pos] = s.window[best];
    }
  });
  for (std::size_t pos = n; pos < k; ++pos) order[pos] = s.window[pos];
  return k;
}

}  // namespace etalage
