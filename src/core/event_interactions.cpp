// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/event_weights.hpp"
#include "core/group_rows.hpp"
#include "core/large_array.hpp"
#include "core/pair_sort.hpp"
#include "core/value_transform.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/core/event_log.hpp"

namespace etalage {
namespace {

using detail::EventWeights;

using detail::PairEntry;

/// Whether what is left of a sum of float32 values of these magnitudes is but their rounding. Whole numbers are exact.
bool is_rounding(double left, double magnitudes) noexcept {
  constexpr double unit = 1.0 / (1 << 23);
  return std::abs(left) <= magnitudes * unit && left != std::trunc(left);
}

/// Events of one pair, in order, as one weight.
class Merger {
 public:
  Merger(Duplicates how, bool decays) : how_(how), decays_(decays) {}
  /// decay of the event itself; it matters to kBinary alone.
  void begin(double w, double decay = 1) noexcept {
    total_ = w;
    magnitudes_ = std::abs(w);
    newest_ = decay;
  }
  void add(double w, double decay = 1) noexcept {
    magnitudes_ += std::abs(w);
    newest_ = std::max(newest_, decay);
    switch (how_) {
      case Duplicates::kSum:
      case Duplicates::kBinary: total_ += w; break;
      case Duplicates::kMax: total_ = std::max(total_, w); break;
      case Duplicates::kLast: total_ = w; break;
    }
  }
  /// Sums are taken in double: beyond float32 is an error, below it is the smallest float32.
  [[nodiscard]] float end(std::int32_t user, std::int32_t item) const {
    const bool sums = how_ == Duplicates::kSum || how_ == Duplicates::kBinary;
    if (total_ == 0 || (sums && is_rounding(total_, magnitudes_))) return 0.0f;
    const float w = detail::stored_weight(how_ == Duplicates::kBinary ? std::copysign(decays_ ? newest_ : 1.0, total_) : total_);
    if (!std::isfinite(w))
      throw std::invalid_argument("the weight of user index " + std::to_string(user) + " and item index " + std::to_string(item) +
                                  " is beyond float32, event weights and values must be smaller");
    return w;
  }

 private:
  Duplicates how_;
  bool decays_;
  double total_ = 0;
  double magnitudes_ = 0;
  double newest_ = 1;
};

/// Rows that lie in pieces: piece p holds the merged rows of its users, one after the other, items in the low item_bits.
template <class Key, class Weight>
CsrMatrix assemble(std::int32_t num_users, std::int32_t num_items, int item_bits, std::size_t users_per_piece, Array<std::int64_t> offsets,
                   const std::vector<const PairEntry<Key, Weight>*>& pieces, int num_threads) {
  CsrMatrix out;
  out.rows = num_users;
  out.cols = num_items;
  std::int64_t* o = offsets.mutable_data();  // counts on entry
  for (std::size_t u = 0; u < static_cast<std::size_t>(num_users); ++u) o[u + 1] += o[u];
  const auto nnz = static_cast<std::size_t>(o[num_users]);
  out.columns = detail::large_array<std::int32_t>(nnz, num_threads);
  out.values = detail::large_array<float>(nnz, num_threads);
  std::int32_t* columns = out.columns.mutable_data();
  float* values = out.values.mutable_data();
  const Key items = (Key{1} << item_bits) - 1;
  detail::parallel_for(pieces.size(), 1, num_threads, [&](std::size_t p, std::size_t, int) {
    const std::size_t first = std::min(p * users_per_piece, static_cast<std::size_t>(num_users));
    const std::size_t last = std::min(first + users_per_piece, static_cast<std::size_t>(num_users));
    const PairEntry<Key, Weight>* from = pieces[p];
    for (auto j = static_cast<std::size_t>(o[first]); j < static_cast<std::size_t>(o[last]); ++j, ++from) {
      columns[j] = static_cast<std::int32_t>(from->pair & items);
      values[j] = static_cast<float>(from->weight);  // was one already, if stored wider
    }
  });
  out.offsets = std::move(offsets);
  return out;
}

/// Sums, maxima and lasts in log order: one scatter, then each block of users in cache. Key: what holds a block's user and
/// an item side by side.
template <class Key, class Weight>
CsrMatrix merge_in_log_order(const EventLog& log, const EventWeights& weights, const InteractionOptions& options, int item_bits, int block_bits) {
  using Entry = PairEntry<Key, Weight>;
  const auto& c = log.columns();
  Array<Entry> entries;
  const auto users = static_cast<std::size_t>(log.num_users());
  const std::size_t per_block = std::size_t{1} << block_bits;
  const std::int32_t* user_of = c.users.data();
  const std::int32_t* item_of = c.items.data();
  const auto pair_of = [=](std::size_t i) {
    return static_cast<Key>(static_cast<Key>(user_of[i] & static_cast<std::int32_t>(per_block - 1)) << item_bits | static_cast<Key>(item_of[i]));
  };
  const auto dealt = [&](auto keep, auto weight_of) {
    return detail::partition<Entry>(
        c.users.size(), users, block_bits, options.num_threads, [=](std::size_t i) { return user_of[i]; }, keep,
        [=](std::size_t i) {
          if constexpr (std::is_same_v<Weight, double>) return Entry{pair_of(i), weight_of(i)};
          else return Entry{pair_of(i), detail::stored_weight(weight_of(i))};
        },
        entries);
  };
  const float* value_of = c.values.data();
  // The usual ways are loops over plain columns.
  const std::vector<std::size_t> borders =
      !weights.plain() ? dealt([&](std::size_t i) { return weights.counts(i); }, [&](std::size_t i) { return weights.quantity(i) * weights.factor(i); })
      : value_of == nullptr ? dealt([](std::size_t) { return true; }, [](std::size_t) { return 1.0; })
                            : dealt([=](std::size_t i) { return value_of[i] != 0; }, [=](std::size_t i) { return static_cast<double>(value_of[i]); });
  Entry* all = entries.mutable_data();
  Array<std::int64_t> counts = detail::large_array<std::int64_t>(users + 1, options.num_threads);
  std::int64_t* row_size = counts.mutable_data() + 1;
  counts.mutable_data()[0] = 0;
  std::vector<const Entry*> pieces(borders.size() - 1);
  const bool as_they_are = options.duplicates != Duplicates::kBinary;
  std::vector<detail::PairSort<Key, Weight>> sorts(static_cast<std::size_t>(detail::resolve_threads(options.num_threads)));
  detail::parallel_for(pieces.size(), 1, options.num_threads, [&](std::size_t block, std::size_t, int thread) {
    Entry* const begin = all + borders[block];
    const std::size_t n = borders[block + 1] - borders[block];
    const std::size_t first = block << block_bits;
    const std::size_t here = std::min(per_block, users - std::min(users, first));
    pieces[block] = begin;
    auto& sort = sorts[static_cast<std::size_t>(thread)];
    const Entry* const sorted = sort(begin, n, item_bits, block_bits);
    for (std::size_t u = 0; u < here; ++u) row_size[first + u] = static_cast<std::int64_t>(sort.rows()[u]);
    Entry* out = begin;
    Merger merger(options.duplicates, weights.decays());
    for (std::size_t j = 0; j < n;) {
      const Key pair = sorted[j].pair;
      const std::size_t b = j++;
      const auto one = static_cast<double>(sorted[b].weight);
      if (const float w = detail::stored_weight(one); as_they_are && (j == n || sorted[j].pair != pair) && w != 0 && std::isfinite(w)) {
        *out++ = {pair, w};
        continue;
      }
      merger.begin(one);
      for (; j < n && sorted[j].pair == pair; ++j) merger.add(static_cast<double>(sorted[j].weight));
      const std::size_t user = first + static_cast<std::size_t>(pair >> item_bits);
      const float w = merger.end(static_cast<std::int32_t>(user), static_cast<std::int32_t>(pair & ((Key{1} << item_bits) - 1)));
      row_size[user] -= static_cast<std::int64_t>(j - b);
      if (w == 0) continue;
      *out++ = {pair, w};
      ++row_size[user];
    }
  });
  return assemble(log.num_users(), log.num_items(), item_bits, per_block, std::move(counts), pieces, options.num_threads);
}

/// The same by the narrowest words: a user of a block beside an item in 32 bits, unless there are too many items.
template <class Weight>
CsrMatrix merge_in_log_order(const EventLog& log, const EventWeights& weights, const InteractionOptions& options) {
  const auto largest_item = static_cast<std::uint32_t>(std::max(0, log.num_items() - 1));
  const int item_bits = std::max(1, static_cast<int>(std::bit_width(largest_item)));
  if (item_bits <= 22)
    return merge_in_log_order<std::uint32_t, Weight>(log, weights, options, item_bits, std::min(detail::kBlockBits, 32 - item_bits));
  return merge_in_log_order<std::uint64_t, Weight>(log, weights, options, item_bits, detail::kBlockBits);
}

/// What needs every pair's events in order of time, or the age of each: the newest weight, returns, marks that decay.
CsrMatrix merge_in_time_order(const EventLog& log, const EventWeights& weights, const InteractionOptions& options) {
  const auto& c = log.columns();
  const detail::RowGroups groups = detail::group_rows(c.users, log.num_users(), options.num_threads);
  const auto users = static_cast<std::size_t>(log.num_users());
  constexpr std::size_t grain = 1024;
  constexpr int item_bits = 31;
  using Entry = PairEntry<std::uint32_t, float>;
  std::vector<std::vector<Entry>> results(std::max<std::size_t>(1, detail::num_chunks(users, grain)));
  Array<std::int64_t> counts(users + 1);
  std::int64_t* row_size = counts.mutable_data() + 1;
  struct Event {
    std::int32_t item;
    std::int64_t time;
    std::size_t row;
    double left;  // quantity that no return has taken back
  };
  detail::parallel_for(users, grain, options.num_threads, [&](std::size_t first, std::size_t last, int) {
    std::vector<Entry>& out = results[first / grain];
    std::vector<Event> events;
    std::vector<std::size_t> open;
    Merger merger(options.duplicates, weights.decays());
    for (std::size_t u = first; u < last; ++u) {
      events.clear();
      for (const std::int64_t r : groups.of(static_cast<std::int64_t>(u))) {
        const auto row = static_cast<std::size_t>(r);
        events.push_back({c.items[row], c.times_ms.empty() ? 0 : c.times_ms[row], row, weights.quantity(row)});
      }
      std::sort(events.begin(), events.end(), [](const Event& x, const Event& y) {
        if (x.item != y.item) return x.item < y.item;
        return x.time != y.time ? x.time < y.time : x.row < y.row;
      });
      const std::size_t before = out.size();
      for (std::size_t b = 0; b < events.size();) {
        std::size_t e = b;
        double magnitudes = 0;
        open.clear();
        for (; e < events.size() && events[e].item == events[b].item; ++e) {
          magnitudes += std::abs(events[e].left);
          if (!weights.is_return(events[e].row)) {
            if (events[e].left > 0) open.push_back(e);
            continue;
          }
          double back = std::abs(events[e].left);
          events[e].left = 0;
          for (std::size_t k = open.size(); k-- > 0 && back > 0;) {
            Event& bought = events[open[k]];
            if (!weights.cancels(events[e].row, bought.row)) continue;
            const double taken = std::min(bought.left, back);
            bought.left -= taken;
            back -= taken;
            if (is_rounding(bought.left, magnitudes)) bought.left = 0;
            if (is_rounding(back, magnitudes)) back = 0;
            if (bought.left == 0) open.erase(open.begin() + static_cast<std::ptrdiff_t>(k));
          }
        }
        bool any = false;
        for (std::size_t j = b; j < e; ++j) {
          const double w = events[j].left == 0 ? 0 : events[j].left * weights.factor(events[j].row);
          if (w == 0) continue;
          const double decay = weights.decay(events[j].row);
          if (any) merger.add(w, decay);
          else merger.begin(w, decay);
          any = true;
        }
        const auto user = static_cast<std::int32_t>(u);
        const float w = any ? merger.end(user, events[b].item) : 0.0f;
        if (w != 0) out.push_back({static_cast<std::uint32_t>(events[b].item), w});
        b = e;
      }
      row_size[u] = static_cast<std::int64_t>(out.size() - before);
    }
  });
  std::vector<const Entry*> pieces;
  for (const auto& r : results) pieces.push_back(r.data());
  return assemble(log.num_users(), log.num_items(), item_bits, grain, std::move(counts), pieces, options.num_threads);
}

/// Empties rows and columns that are too short, until none is.
CsrMatrix with_minimum_counts(CsrMatrix m, std::int32_t min_user, std::int32_t min_item) {
  if (min_user <= 1 && min_item <= 1) return m;
  const auto rows = static_cast<std::size_t>(m.rows);
  std::vector<std::uint8_t> user_out(rows, 0);
  std::vector<std::uint8_t> item_out(static_cast<std::size_t>(m.cols), 0);
  std::vector<std::int32_t> item_count(static_cast<std::size_t>(m.cols));
  const CsrView v = m.view();
  for (bool changed = true; changed;) {
    changed = false;
    std::fill(item_count.begin(), item_count.end(), 0);
    for (std::size_t u = 0; u < rows; ++u) {
      if (user_out[u] != 0) continue;
      std::int32_t count = 0;
      for (const std::int32_t i : v.row_columns(static_cast<std::int64_t>(u))) count += item_out[static_cast<std::size_t>(i)] == 0;
      if (count < min_user) {
        user_out[u] = 1;
        changed = changed || count != 0;
        continue;
      }
      for (const std::int32_t i : v.row_columns(static_cast<std::int64_t>(u))) ++item_count[static_cast<std::size_t>(i)];
    }
    for (std::size_t i = 0; i < item_out.size(); ++i)
      if (item_out[i] == 0 && item_count[i] < min_item) {
        item_out[i] = 1;
        changed = changed || item_count[i] != 0;
      }
  }
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  Array<std::int64_t> offsets(rows + 1);
  std::int64_t* o = offsets.mutable_data();
  for (std::size_t u = 0; u < rows; ++u) {
    for (auto j = static_cast<std::size_t>(v.offsets[u]); j < static_cast<std::size_t>(v.offsets[u + 1]) && user_out[u] == 0; ++j) {
      if (item_out[static_cast<std::size_t>(v.columns[j])] != 0) continue;
      columns.push_back(v.columns[j]);
      values.push_back(v.values[j]);
    }
    o[u + 1] = static_cast<std::int64_t>(columns.size());
  }
  m.offsets = std::move(offsets);
  m.columns = Array<std::int32_t>(columns);
  m.values = Array<float>(values);
  return m;
}

}  // namespace

Interactions EventLog::interactions(const InteractionOptions& options) const {
  const EventWeights weights(*this, options);
  const bool by_time = (options.duplicates == Duplicates::kLast && !columns_.times_ms.empty() &&
                        !std::is_sorted(columns_.times_ms.begin(), columns_.times_ms.end())) ||
                       (options.duplicates == Duplicates::kBinary && weights.decays());
  CsrMatrix m = weights.has_returns() || by_time ? merge_in_time_order(*this, weights, options)
                : weights.decays()               ? merge_in_log_order<double>(*this, weights, options)
                                                 : merge_in_log_order<float>(*this, weights, options);
  m = with_minimum_counts(std::move(m), options.min_user_count, options.min_item_count);
  detail::transform_values(m, options);
  std::optional<std::int64_t> newest_ms;
  if (!columns_.times_ms.empty()) newest_ms = *std::max_element(columns_.times_ms.begin(), columns_.times_ms.end());
  return Interactions(std::move(m), columns_.user_ids, columns_.item_ids, newest_ms, Interactions::Canonical{});
}

}  // namespace etalage
