// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/association_rules.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/probing.hpp"
#include "detail/random_stream.hpp"
#include "marketing/special_functions.hpp"

namespace etalage {
namespace {

constexpr std::size_t kSetGrain = 512;
constexpr std::int32_t kMostItems = 24;  // of a set whose parts are enumerated

void check(const PairCounts& c) {
  const bool ok = c.both >= 0 && c.a >= c.both && c.b >= c.both && c.a <= c.baskets && c.b <= c.baskets && c.a + c.b - c.both <= c.baskets;
  if (!ok)
    throw std::invalid_argument("counts are " + std::to_string(c.both) + " of both, " + std::to_string(c.a) + " and " + std::to_string(c.b) + " among " +
                                std::to_string(c.baskets) + ", must be those of two sets of baskets");
}

double log_factorial(double n) { return marketing::log_gamma(n + 1).value; }

/// Sum of hypergeometric probabilities from `from` in one direction; terms fall at last, so it ends where they are nothing.
double tail(const PairCounts& c, std::int64_t from, int direction) {
  const auto n = static_cast<double>(c.baskets);
  const auto a = static_cast<double>(c.a);
  const auto b = static_cast<double>(c.b);
  auto x = static_cast<double>(from);
  const double low = std::max(0.0, a + b - n);
  const double high = std::min(a, b);
  if (direction > 0 ? x <= low : x >= high) return 1;
  double term = std::exp(log_factorial(a) - log_factorial(x) - log_factorial(a - x) + log_factorial(n - a) - log_factorial(b - x) - log_factorial(n - a - b + x) -
                         (log_factorial(n) - log_factorial(b) - log_factorial(n - b)));
  double sum = 0;
  double ratio = 0;
  while (x >= low && x <= high) {
    sum += term;
    ratio = direction > 0 ? (a - x) * (b - x) / ((x + 1) * (n - a - b + x + 1)) : x * (n - a - b + x) / ((a - x + 1) * (b - x + 1));
    if (ratio < 1 && term * ratio <= 1e-17 * sum * (1 - ratio)) break;
    term *= ratio;
    x += direction;
  }
  return std::min(sum, 1.0);
}

/// x ln x, 0 at 0.
double entropy(double x) { return x > 0 ? x * std::log(x) : 0; }

/// Finds the set with given items: open addressing over hashes of contents.
class SetTable {
 public:
  explicit SetTable(const FrequentSets& sets) : sets_(sets), slots_(std::bit_ceil(2 * sets.size() + 1), -1) {
    for (std::size_t s = 0; s < sets.size(); ++s) {
      std::size_t at = slot(sets.of(s));
      if (slots_[at] >= 0) throw std::invalid_argument("sets hold the same set twice, in rows " + std::to_string(slots_[at]) + " and " + std::to_string(s));
      slots_[at] = static_cast<std::int64_t>(s);
    }
  }
  /// std::invalid_argument names a set that is not there.
  [[nodiscard]] std::int64_t find(std::span<const std::int32_t> items) const {
    const std::int64_t found = slots_[slot(items)];
    if (found >= 0) return found;
    std::string text;
    for (const std::int32_t i : items) text += (text.empty() ? "" : ", ") + std::to_string(i);
    throw std::invalid_argument("sets lack {" + text + "} (item indices), must hold every part of each set: give rules all the sets that were found");
  }

 private:
  [[nodiscard]] std::size_t slot(std::span<const std::int32_t> items) const {
    std::uint64_t h = detail::kSplitMixStep;
    for (const std::int32_t i : items) h = detail::split_mix(h ^ static_cast<std::uint64_t>(i));
    return detail::probe(h, slots_.size(), [&](std::size_t at) {
      if (slots_[at] < 0) return true;
      const auto of = sets_.of(static_cast<std::size_t>(slots_[at]));
      return std::equal(of.begin(), of.end(), items.begin(), items.end());
    });
  }
  const FrequentSets& sets_;
  std::vector<std::int64_t> slots_;
};

}  // namespace

double fisher_more(const PairCounts& counts) {
  check(counts);
  return tail(counts, counts.both, 1);
}

double fisher_fewer(const PairCounts& counts) {
  check(counts);
  return tail(counts, counts.both, -1);
}

double log_likelihood_ratio(const PairCounts& c) {
  check(c);
  const auto n = static_cast<double>(c.baskets);
  const auto a = static_cast<double>(c.a);
  const auto b = static_cast<double>(c.b);
  const auto both = static_cast<double>(c.both);
  const double cells = entropy(both) + entropy(a - both) + entropy(b - both) + entropy(n - a - b + both);
  const double g = 2 * (cells - entropy(a) - entropy(n - a) - entropy(b) - entropy(n - b) + entropy(n));
  return both * n >= a * b ? std::max(g, 0.0) : -std::max(g, 0.0);
}

std::vector<double> benjamini_hochberg(std::span<const double> p_values) {
  for (std::size_t i = 0; i < p_values.size(); ++i)
    if (!(p_values[i] >= 0 && p_values[i] <= 1)) throw std::invalid_argument(detail::violated(("p_values[" + std::to_string(i) + "]").c_str(), p_values[i], "in [0, 1]"));
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) { return p_values[x] != p_values[y] ? p_values[x] < p_values[y] : x < y; });
  std::vector<double> out(p_values.size());
  double least = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    least = std::min(least, p_values[order[i]] * static_cast<double>(order.size()) / static_cast<double>(i + 1));
    out[order[i]] = least;
  }
  return out;
}

void RuleOptions::validate() const {
  require_options(*this);
  detail::require(min_confidence.denominator > 0, "min_confidence.denominator", min_confidence.denominator, "> 0");
}

AssociationRules association_rules(const FrequentSets& sets, const RuleOptions& options) {
  options.validate();
  const SetTable table(sets);
  struct Rule {
    std::int64_t set;
    std::int64_t antecedent;
    std::int64_t consequent;
    double p;
    double ratio;
  };
  std::vector<std::vector<Rule>> parts(detail::num_chunks(sets.size(), kSetGrain));
  detail::parallel_for(sets.size(), kSetGrain, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<Rule>& out = parts[begin / kSetGrain];
    std::vector<std::int32_t> left;
    std::vector<std::int32_t> right;
    for (std::size_t s = begin; s < end; ++s) {
      const auto items = sets.of(s);
      const auto length = static_cast<std::int32_t>(items.size());
      if (length < 2) continue;
      const auto add = [&] {
        const std::int64_t a = table.find(left);
        const std::int64_t b = table.find(right);
        const PairCounts counts{sets.counts[s], sets.counts[static_cast<std::size_t>(a)], sets.counts[static_cast<std::size_t>(b)], sets.baskets};
        out.push_back({static_cast<std::int64_t>(s), a, b, fisher_more(counts), log_likelihood_ratio(counts)});
      };
      if (options.max_consequent == 1) {
        for (std::size_t i = 0; i < items.size(); ++i) {
          left.clear();
          for (std::size_t j = 0; j < items.size(); ++j)
            if (j != i) left.push_back(items[j]);
          right.assign(1, items[i]);
          add();
        }
        continue;
      }
      detail::require(length <= kMostItems, "max_consequent", options.max_consequent, "1 where sets have more than 24 items");
      for (std::uint32_t mask = 1; mask + 1 < (1u << length); ++mask) {
        if (std::popcount(mask) > options.max_consequent) continue;
        left.clear();
        right.clear();
        for (std::size_t j = 0; j < items.size(); ++j) ((mask >> j & 1u) != 0 ? right : left).push_back(items[j]);
        add();
      }
    }
  });
  std::vector<double> p;
  for (const auto& part : parts)
    for (const Rule& r : part) p.push_back(r.p);
  const std::vector<double> q = benjamini_hochberg(p);
  AssociationRules out;
  out.tested = static_cast<std::int64_t>(p.size());
  std::size_t at = 0;
  for (const auto& part : parts)
    for (const Rule& r : part) {
      const std::size_t i = at++;
      const auto count = static_cast<std::uint64_t>(sets.counts[static_cast<std::size_t>(r.set)]);
      if (!options.min_confidence.reached_by(count, static_cast<std::uint64_t>(sets.counts[static_cast<std::size_t>(r.antecedent)]))) continue;
      out.set.push_back(r.set);
      out.antecedent.push_back(r.antecedent);
      out.consequent.push_back(r.consequent);
      out.p_value.push_back(r.p);
      out.q_value.push_back(q[i]);
      out.log_likelihood_ratio.push_back(r.ratio);
    }
  return out;
}

}  // namespace etalage
