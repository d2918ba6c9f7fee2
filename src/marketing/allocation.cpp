// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/allocation.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "detail/random_stream.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "marketing/allocation_dual.hpp"
#include "marketing/allocation_repair.hpp"

namespace etalage::marketing {
namespace {

// Sums of products of two such numbers stay finite.
constexpr double kLargest = 1e150;

void require_size(std::size_t size, std::size_t expected, const char* name, const char* shape) {
  if (size != expected) throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have " + std::to_string(expected) + " (" + shape + ")");
}

std::string joined(std::span<const std::size_t> indices) {
  std::string out;
  for (std::size_t i = 0; i < indices.size() && i < 20; ++i) out += (i == 0 ? "" : ", ") + std::to_string(indices[i]);
  return out + (indices.size() > 20 ? ", ..." : "");
}

void check(const AllocationProblem& p) {
  detail::require(p.offers >= 1 && p.offers <= 65536, "offers", p.offers, "in [1, 65536]");
  detail::require(p.shoppers < (std::size_t{1} << 32), "shoppers", p.shoppers, "below 2^32");
  detail::require(p.per_shopper >= 1, "per_shopper", p.per_shopper, ">= 1");
  detail::require(p.budgets.size() <= 1024, "budgets.size()", p.budgets.size(), "at most 1024");
  const std::size_t cells = p.shoppers * p.offers;
  require_size(p.values.size(), cells, "values", "shoppers x offers");
  require_size(p.costs.size(), cells * p.budgets.size(), "costs", "shoppers x offers x budgets");
  if (!p.eligible.empty()) require_size(p.eligible.size(), cells, "eligible", "shoppers x offers");
  if (!p.offer_min.empty()) require_size(p.offer_min.size(), p.offers, "offer_min", "offers");
  if (!p.offer_max.empty()) require_size(p.offer_max.size(), p.offers, "offer_max", "offers");
  if (!p.exclusive.empty()) require_size(p.exclusive.size(), p.offers, "exclusive", "offers");
  for (std::size_t b = 0; b < p.budgets.size(); ++b)
    if (!(p.budgets[b] >= 0) || !std::isfinite(p.budgets[b])) throw std::invalid_argument(detail::violated(("budgets[" + std::to_string(b) + "]").c_str(), p.budgets[b], "finite and >= 0"));
  for (std::size_t i = 0; i < cells; ++i)
    if (!(std::abs(p.values[i]) <= kLargest))
      throw std::invalid_argument(detail::violated(("values[" + std::to_string(i / p.offers) + ", " + std::to_string(i % p.offers) + "]").c_str(), p.values[i], "finite and within 1e150"));
  for (std::size_t i = 0; i < p.costs.size(); ++i)
    if (!(p.costs[i] >= 0 && p.costs[i] <= kLargest)) {
      const std::size_t cell = i / p.budgets.size();
      throw std::invalid_argument(detail::violated(("costs[" + std::to_string(cell / p.offers) + ", " + std::to_string(cell % p.offers) + ", " + std::to_string(i % p.budgets.size()) + "]").c_str(),
                                                   p.costs[i], "finite and >= 0, at most 1e150"));
    }
  for (std::size_t o = 0; o < p.offers; ++o) {
    const std::string at = std::string("[").append(std::to_string(o)).append("]");
    const std::int64_t least = p.offer_min.empty() ? 0 : p.offer_min[o];
    detail::require(least >= 0, ("offer_min" + at).c_str(), least, ">= 0");
    if (!p.offer_max.empty()) {
      detail::require(p.offer_max[o] >= 0, ("offer_max" + at).c_str(), p.offer_max[o], ">= 0");
      if (p.offer_max[o] < least) throw std::invalid_argument("offer_min" + at + " is " + std::to_string(least) + " and offer_max" + at + " is " + std::to_string(p.offer_max[o]) + ", the minimum must not be above the maximum");
    }
    if (!p.exclusive.empty()) detail::require(p.exclusive[o] >= -1 && p.exclusive[o] < static_cast<std::int32_t>(p.offers), ("exclusive" + at).c_str(), p.exclusive[o], "-1, or a group below the number of offers");
  }
}

/// Minima of these offers beside the places that eligible shoppers have for them: per_shopper each, one for an exclusive group.
void check_room(const AllocationProblem& p, const std::vector<std::size_t>& offers, const char* why) {
  std::int64_t wanted = 0, room = 0;
  for (const std::size_t o : offers) wanted += p.offer_min[o];
  std::vector<std::size_t> last(p.exclusive.empty() ? 0 : p.offers, p.shoppers);  // shopper who was counted for a group
  for (std::size_t s = 0; s < p.shoppers; ++s) {
    std::int64_t takes = 0;
    for (const std::size_t o : offers) {
      if (!p.eligible.empty() && p.eligible[s * p.offers + o] == 0) continue;
      const std::int32_t group = p.exclusive.empty() ? -1 : p.exclusive[o];
      if (group >= 0 && std::exchange(last[static_cast<std::size_t>(group)], s) == s) continue;
      ++takes;
    }
    room += std::min<std::int64_t>(takes, p.per_shopper);
  }
  if (wanted > room)
    throw std::invalid_argument("offer_min of offers " + joined(offers) + why + " adds up to " + std::to_string(wanted) + ", and the eligible shoppers can take only " + std::to_string(room));
}

/// What can be proved of minima by counting.
void check_minima(const AllocationProblem& p) {
  if (p.offer_min.empty()) return;
  const std::size_t places = std::min(static_cast<std::size_t>(p.per_shopper), p.offers);
  const std::int64_t all = std::accumulate(p.offer_min.begin(), p.offer_min.end(), std::int64_t{0});
  if (static_cast<double>(all) > static_cast<double>(p.shoppers) * static_cast<double>(places))
    throw std::invalid_argument("offer_min adds up to " + std::to_string(all) + ", and " + std::to_string(p.shoppers) + " shoppers x per_shopper " + std::to_string(places) + " are fewer places");
  std::vector<std::vector<std::size_t>> groups(p.exclusive.empty() ? 0 : p.offers);
  std::vector<double> costs;
  std::vector<double> least(p.budgets.size());
  std::vector<std::size_t> offers;
  for (std::size_t o = 0; o < p.offers; ++o) {
    if (p.offer_min[o] == 0) continue;
    offers.push_back(o);
    if (!groups.empty() && p.exclusive[o] >= 0) groups[static_cast<std::size_t>(p.exclusive[o])].push_back(o);
    std::int64_t allowed = 0;
    for (std::size_t s = 0; s < p.shoppers; ++s) allowed += p.eligible.empty() || p.eligible[s * p.offers + o] != 0 ? 1 : 0;
    if (allowed < p.offer_min[o])
      throw std::invalid_argument("offer_min[" + std::to_string(o) + "] is " + std::to_string(p.offer_min[o]) + ", and only " + std::to_string(allowed) + " shoppers are eligible for offer " + std::to_string(o));
    for (std::size_t b = 0; b < p.budgets.size(); ++b) {
      costs.clear();
      for (std::size_t s = 0; s < p.shoppers; ++s)
        if (p.eligible.empty() || p.eligible[s * p.offers + o] != 0) costs.push_back(p.costs[(s * p.offers + o) * p.budgets.size() + b]);
      const auto cut = costs.begin() + static_cast<std::ptrdiff_t>(p.offer_min[o]);
      std::nth_element(costs.begin(), cut - 1, costs.end());
      least[b] += std::accumulate(costs.begin(), cut, 0.0);
    }
  }
  for (const auto& group : groups)
    if (group.size() > 1) check_room(p, group, ", of which each shopper gets one at most as they exclude each other,");
  if (offers.size() > 1) check_room(p, offers, "");
  for (std::size_t b = 0; b < p.budgets.size(); ++b)
    if (least[b] > p.budgets[b] * (1 + 1e-9))
      throw std::invalid_argument("offer_min of offers " + joined(offers) + " takes at least " + std::to_string(least[b]) + " of budget " + std::to_string(b) + ", which is " + std::to_string(p.budgets[b]));
}

/// Every shopper or, of many, an even draw of `sample` without repetition, the same for the same sizes.
std::vector<std::size_t> sample_of(std::size_t shoppers, std::size_t sample) {
  std::vector<std::size_t> out;
  if (shoppers <= 4 * sample) return out;
  out.reserve(sample);
  // One of each stretch, at a place that a Weyl sequence gives: no period of the rows survives.
  std::uint64_t state = 0;
  for (std::size_t i = 0; i < sample; ++i) {
    const std::size_t begin = i * shoppers / sample, end = (i + 1) * shoppers / sample;
    state += detail::kSplitMixStep;
    out.push_back(begin + static_cast<std::size_t>((state >> 32) % (end - begin)));
  }
  return out;
}

/// Ruin and recreate (Schrimpf et al., J. Comput. Phys. 159, 2000): where few shoppers leave a gap that exchanges one by one do not
/// close, some lose what they have and the budgets are filled again in a shaken order; what is worth more stays.
std::unique_ptr<Assignment> improved(std::unique_ptr<Assignment> best, const AllocationProblem& p, double bound, double target_gap) {
  const std::size_t cells = std::max<std::size_t>(1, p.shoppers * p.offers);
  const std::size_t rounds = std::min<std::size_t>(400, 800'000 / cells);
  double value = best->value();
  for (std::uint64_t round = 1; round <= rounds && value < bound - target_gap * std::abs(bound); ++round) {
    auto candidate = std::make_unique<Assignment>(*best);
    candidate->loosen(round, 2 + round % 5);
    candidate->fill(round);
    const double found = candidate->value();
    if (found > value) {
      value = found;
      best = std::move(candidate);
    }
  }
  return best;
}

}  // namespace

void AllocationOptions::validate() const { require_options(*this); }

Allocation allocate(const AllocationProblem& given, const AllocationOptions& options) {
  options.validate();
  check(given);
  // What costs anything of a budget of 0 is never given, not even in part: no price has to say so.
  AllocationProblem p = given;
  std::vector<std::uint8_t> affordable;
  if (std::find(p.budgets.begin(), p.budgets.end(), 0.0) != p.budgets.end()) {
    affordable.assign(p.values.size(), 1);
    for (std::size_t cell = 0; cell < affordable.size(); ++cell) {
      if (!p.eligible.empty()) affordable[cell] = p.eligible[cell];
      for (std::size_t b = 0; b < p.budgets.size(); ++b)
        if (p.budgets[b] == 0 && p.costs[cell * p.budgets.size() + b] > 0) affordable[cell] = 0;
    }
    p.eligible = affordable;
  }
  check_minima(p);
  Prices start{std::vector<double>(p.budgets.size(), 0.0), std::vector<double>(p.offers, 0.0)};
  const std::vector<std::size_t> sample = sample_of(p.shoppers, options.sample);
  const double tolerance = 0.1 * options.target_gap;
  const Dual whole(p, {}, options.num_threads);
  DualMinimum dual;
  if (!sample.empty()) {
    dual = minimise(p, Dual(p, sample, options.num_threads), start, options.max_steps, tolerance);
    dual = minimise(p, whole, dual.prices, options.full_steps, tolerance);
  } else {
    dual = minimise(p, whole, start, options.max_steps, std::min(tolerance, 1e-7));
  }
  auto assignment = std::make_unique<Assignment>(p, dual.prices, options.num_threads);
  const auto clash = [&](const std::string& what) {
    throw std::invalid_argument("offer_min could not be kept: " + what + ". This was not found, not proved; lower offer_min, or raise what clashes");
  };
  for (int round = 0;; ++round) {
    if (!assignment->reach_minima()) clash("offers " + joined(assignment->short_offers()) + " stay below it, for want of eligible shoppers with a free place");
    if (assignment->keep_limits()) break;
    if (round == 4) clash("with it budgets " + joined(assignment->exceeded_budgets()) + " are exceeded");
  }
  assignment->fill();
  assignment = improved(std::move(assignment), p, dual.value, options.target_gap);
  Allocation out = assignment->result();
  out.prices = std::move(dual.prices.budget);
  out.offer_prices = std::move(dual.prices.offer);
  // Sums in another order may put the two a rounding apart.
  out.bound = std::max(dual.value, out.value);
  out.gap = out.bound == out.value ? 0.0 : (out.bound - out.value) / std::max({std::abs(out.bound), std::abs(out.value), 1e-300});
  return out;
}

}  // namespace etalage::marketing
