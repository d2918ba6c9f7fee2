// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/frequent_sets.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

/// Rows of ranks, largest first, each ended by kEnd: what follows a rank within its row is its projection.
constexpr std::int32_t kEnd = -1;

struct FoundSets {
  std::vector<std::int32_t> items;  // ranks
  std::vector<std::int64_t> counts;
  std::vector<std::int32_t> lengths;
};

class Miner {
 public:
  Miner(const FrequentSetOptions& options, std::size_t ranks, std::atomic<std::int64_t>& sets) : options_(options), sets_(sets), counts_(ranks, 0), local_(ranks, 0) {}

  /// All sets whose largest rank is `rank` and that have more than it, from the places where it stands in rows.
  void mine(const std::vector<std::int32_t>& rows, std::span<const std::uint32_t> places, std::int32_t rank, FoundSets& out) {
    prefix_.assign(1, rank);
    extend(rows, places, out);
  }

  void emit(std::span<const std::int32_t> ranks, std::int64_t count, FoundSets& out) {
    if (sets_.fetch_add(1, std::memory_order_relaxed) >= options_.max_sets)
      throw std::invalid_argument(detail::violated("min_count", options_.min_count, ("larger: there are more than max_sets = " + std::to_string(options_.max_sets) + " sets").c_str()));
    out.items.insert(out.items.end(), ranks.begin(), ranks.end());
    out.counts.push_back(count);
    out.lengths.push_back(static_cast<std::int32_t>(ranks.size()));
  }

 private:
  [[nodiscard]] bool may_grow_by(std::size_t more) const {
    return options_.max_length == 0 || prefix_.size() + more <= static_cast<std::size_t>(options_.max_length);
  }

  void extend(const std::vector<std::int32_t>& rows, std::span<const std::uint32_t> places, FoundSets& out) {
    if (!may_grow_by(1)) return;
    std::vector<std::int32_t> seen;
    for (const std::uint32_t at : places)
      for (std::size_t i = at + std::size_t{1}; rows[i] != kEnd; ++i)
        if (counts_[static_cast<std::size_t>(rows[i])]++ == 0) seen.push_back(rows[i]);
    std::vector<std::int32_t> kept;
    for (const std::int32_t r : seen)
      if (counts_[static_cast<std::size_t>(r)] >= options_.min_count) kept.push_back(r);
    std::sort(kept.begin(), kept.end());
    prefix_.push_back(0);
    for (const std::int32_t r : kept) {
      prefix_.back() = r;
      emit(prefix_, counts_[static_cast<std::size_t>(r)], out);
    }
    prefix_.pop_back();

    // The projection: the same baskets, of what is below the prefix and frequent beside it.
    std::vector<std::int32_t> next;
    if (kept.size() >= 2 && may_grow_by(2))
      for (const std::uint32_t at : places) {
        const std::size_t begin = next.size();
        for (std::size_t i = at + std::size_t{1}; rows[i] != kEnd; ++i)
          if (counts_[static_cast<std::size_t>(rows[i])] >= options_.min_count) next.push_back(rows[i]);
        if (next.size() - begin >= 2) next.push_back(kEnd);
        else next.resize(begin);  // one item has nothing below it
      }
    for (const std::int32_t r : seen) counts_[static_cast<std::size_t>(r)] = 0;
    if (next.empty()) return;

    for (std::size_t k = 0; k < kept.size(); ++k) local_[static_cast<std::size_t>(kept[k])] = static_cast<std::uint32_t>(k);
    std::vector<std::uint32_t> begins(kept.size() + 1, 0);
    for (const std::int32_t r : next)
      if (r != kEnd) ++begins[local_[static_cast<std::size_t>(r)] + 1];
    std::partial_sum(begins.begin(), begins.end(), begins.begin());
    std::vector<std::uint32_t> inner(begins.back());
    std::vector<std::uint32_t> fill(begins.begin(), begins.end() - 1);
    for (std::size_t i = 0; i < next.size(); ++i)
      if (next[i] != kEnd) inner[fill[local_[static_cast<std::size_t>(next[i])]]++] = static_cast<std::uint32_t>(i);
    for (std::size_t k = 1; k < kept.size(); ++k) {
      prefix_.push_back(kept[k]);
      extend(next, std::span<const std::uint32_t>(inner).subspan(begins[k], begins[k + 1] - begins[k]), out);
      prefix_.pop_back();
    }
  }

  const FrequentSetOptions& options_;
  std::atomic<std::int64_t>& sets_;
  std::vector<std::int64_t> counts_;   // by rank, all 0 between calls
  std::vector<std::uint32_t> local_;   // by rank, of the projection that is being made
  std::vector<std::int32_t> prefix_;
};

/// Sorted by length, count, items, from one or many unordered parts of ranks.
FrequentSets arranged(const std::vector<FoundSets>& parts, const std::vector<std::int32_t>& item_of, std::int64_t baskets) {
  struct Entry {
    std::int32_t length;
    std::int64_t count;
    std::size_t begin;
  };
  std::vector<std::int32_t> items;
  std::vector<Entry> entries;
  for (const FoundSets& part : parts) {
    std::size_t at = 0;
    for (std::size_t s = 0; s < part.counts.size(); ++s) {
      const auto length = static_cast<std::size_t>(part.lengths[s]);
      entries.push_back({part.lengths[s], part.counts[s], items.size()});
      for (std::size_t i = 0; i < length; ++i) items.push_back(item_of[static_cast<std::size_t>(part.items[at + i])]);
      std::sort(items.end() - static_cast<std::ptrdiff_t>(length), items.end());
      at += length;
    }
  }
  std::sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    if (a.length != b.length) return a.length < b.length;
    if (a.count != b.count) return a.count > b.count;
    return std::lexicographical_compare(items.data() + a.begin, items.data() + a.begin + a.length, items.data() + b.begin, items.data() + b.begin + b.length);
  });
  FrequentSets out;
  out.baskets = baskets;
  out.items.reserve(items.size());
  out.counts.reserve(entries.size());
  out.offsets.reserve(entries.size() + 1);
  for (const Entry& e : entries) {
    out.items.insert(out.items.end(), items.data() + e.begin, items.data() + e.begin + e.length);
    out.offsets.push_back(static_cast<std::int64_t>(out.items.size()));
    out.counts.push_back(e.count);
  }
  return out;
}

/// a / b >= c / d by their continued fractions: no product that could overflow. b, d > 0.
bool at_least(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) noexcept {
  for (;;) {
    const std::uint64_t left = a / b;
    const std::uint64_t right = c / d;
    if (left != right) return left > right;
    a %= b;
    c %= d;
    if (c == 0) return true;
    if (a == 0) return false;
    // a / b >= c / d where d / c >= b / a.
    const std::uint64_t old_a = a;
    const std::uint64_t old_b = b;
    a = d;
    b = c;
    c = old_b;
    d = old_a;
  }
}

}  // namespace

Share Share::of(double value, const char* argument) {
  detail::require_finite(value >= 0 && value <= 1, argument, value, "in [0, 1]");
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  const std::string_view written(text, static_cast<std::size_t>(end - text));
  const std::size_t e = written.find('e');
  int exponent = 0;
  std::from_chars(written.data() + e + 1 + (written[e + 1] == '+' ? 1 : 0), end, exponent);
  Share out;
  int places = -exponent;  // digits after the point, of the digits as one whole number
  bool after_point = false;
  for (const char c : written.substr(0, e)) {
    if (c == '.') {
      after_point = true;
      continue;
    }
    out.numerator = 10 * out.numerator + static_cast<std::uint64_t>(c - '0');
    if (after_point) ++places;
  }
  if (places > 18) throw std::invalid_argument(detail::violated(argument, value, "0, or written with at most 18 places after the point"));
  for (; places > 0; --places) out.denominator *= 10;
  const std::uint64_t common = std::gcd(out.numerator, out.denominator);
  out.numerator /= common;
  out.denominator /= common;
  return out;
}

bool Share::reached_by(std::uint64_t part, std::uint64_t whole) const noexcept { return at_least(part, whole, numerator, denominator); }

std::uint64_t Share::smallest_part(std::uint64_t whole) const noexcept {
  if (whole == 0) return 0;
  std::uint64_t low = 0;
  std::uint64_t high = whole;
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (reached_by(middle, whole)) high = middle;
    else low = middle + 1;
  }
  return low;
}

void FrequentSetOptions::validate() const { require_options(*this); }

FrequentSets frequent_sets(std::span<const std::int64_t> offsets, std::span<const std::int32_t> items, const FrequentSetOptions& options) {
  options.validate();
  const auto entries = static_cast<std::int64_t>(items.size());
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != entries || !std::is_sorted(offsets.begin(), offsets.end()))
    throw std::invalid_argument("offsets must rise from 0 to the number of items, " + std::to_string(entries));
  const std::size_t baskets = offsets.size() - 1;
  if (items.size() + baskets >= std::numeric_limits<std::uint32_t>::max())
    throw std::invalid_argument(detail::violated("items.size()", items.size(), "below 2^32 less the number of baskets: mine parts, or raise the share of baskets by a sample"));
  std::int32_t largest = -1;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i] < 0) throw std::invalid_argument(detail::violated(("items[" + std::to_string(i) + "]").c_str(), items[i], ">= 0"));
    largest = std::max(largest, items[i]);
  }

  // Counts by item, each basket once: the last basket that counted an item is remembered.
  const auto num_items = static_cast<std::size_t>(largest + 1);
  std::vector<std::int64_t> counts(num_items, 0);
  std::vector<std::int64_t> last(num_items, -1);
  const auto basket = [&](std::size_t b) { return items.subspan(static_cast<std::size_t>(offsets[b]), static_cast<std::size_t>(offsets[b + 1] - offsets[b])); };
  for (std::size_t b = 0; b < baskets; ++b)
    for (const std::int32_t i : basket(b)) {
      const auto at = static_cast<std::size_t>(i);
      if (last[at] == static_cast<std::int64_t>(b)) continue;
      last[at] = static_cast<std::int64_t>(b);
      ++counts[at];
    }
  // Rank 0 is the most frequent item: a rare one's projection is small and holds all that goes with it.
  std::vector<std::int32_t> item_of;
  for (std::size_t i = 0; i < num_items; ++i)
    if (counts[i] >= options.min_count) item_of.push_back(static_cast<std::int32_t>(i));
  std::sort(item_of.begin(), item_of.end(), [&](std::int32_t a, std::int32_t b) {
    const std::int64_t ca = counts[static_cast<std::size_t>(a)];
    const std::int64_t cb = counts[static_cast<std::size_t>(b)];
    return ca != cb ? ca > cb : a < b;
  });
  std::vector<std::int32_t> rank_of(num_items, kEnd);
  for (std::size_t r = 0; r < item_of.size(); ++r) rank_of[static_cast<std::size_t>(item_of[r])] = static_cast<std::int32_t>(r);

  std::vector<std::int32_t> rows;
  rows.reserve(items.size() + baskets);
  for (std::size_t b = 0; b < baskets; ++b) {
    const std::size_t begin = rows.size();
    for (const std::int32_t i : basket(b))
      if (rank_of[static_cast<std::size_t>(i)] != kEnd) rows.push_back(rank_of[static_cast<std::size_t>(i)]);
    const auto from = rows.begin() + static_cast<std::ptrdiff_t>(begin);
    std::sort(from, rows.end(), std::greater<>());
    rows.erase(std::unique(from, rows.end()), rows.end());
    if (rows.size() - begin >= 2) rows.push_back(kEnd);
    else rows.resize(begin);
  }
  std::vector<std::size_t> begins(item_of.size() + 1, 0);
  for (const std::int32_t r : rows)
    if (r != kEnd) ++begins[static_cast<std::size_t>(r) + 1];
  std::partial_sum(begins.begin(), begins.end(), begins.begin());
  std::vector<std::uint32_t> places(begins.back());
  std::vector<std::size_t> fill(begins.begin(), begins.end() - 1);
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i] != kEnd) places[fill[static_cast<std::size_t>(rows[i])]++] = static_cast<std::uint32_t>(i);

  std::atomic<std::int64_t> sets{0};
  std::vector<FoundSets> found(item_of.size());
  const int threads = detail::resolve_threads(options.num_threads);
  std::vector<Miner> miners(static_cast<std::size_t>(threads), Miner(options, item_of.size(), sets));
  detail::parallel_for(item_of.size(), 1, threads, [&](std::size_t begin, std::size_t end, int thread) {
    Miner& miner = miners[static_cast<std::size_t>(thread)];
    for (std::size_t r = begin; r < end; ++r) {
      const auto rank = static_cast<std::int32_t>(r);
      miner.emit({&rank, 1}, counts[static_cast<std::size_t>(item_of[r])], found[r]);
      miner.mine(rows, std::span<const std::uint32_t>(places).subspan(begins[r], begins[r + 1] - begins[r]), rank, found[r]);
    }
  });
  return arranged(found, item_of, static_cast<std::int64_t>(baskets));
}

}  // namespace etalage
