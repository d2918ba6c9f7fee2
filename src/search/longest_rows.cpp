// SPDX-License-Identifier: Apache-2.0
#include "search/longest_rows.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <new>
#include <utility>

#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"
#include "search/coded_scan.hpp"
#include "search/exact.hpp"

namespace etalage::search {
namespace {

constexpr std::size_t kFewestValues = std::size_t{1} << 19;  // below, all rows are in the second-level cache
constexpr std::size_t kFewestDimensions = 16;
constexpr std::size_t kHead = 8;         // one row in so many has a record
constexpr std::size_t kLoose = 64;       // one row in so many may be loose
constexpr std::size_t kFewestRequests = 3;
constexpr std::size_t kMostRead = 8;     // one row in so many is read from where it lies: such reads take several times as long
constexpr std::size_t kStretch = 256;    // rows between two looks at how long those are that follow
constexpr std::size_t kFirst = 64;       // the same of the first rows, which raise the threshold most
constexpr std::size_t kListedGain = 32;  // allow lists of fewer than one row in so many are read for themselves

}  // namespace

/// What a bounded selection asks: candidates have places of the order for indices; behind it those of loose rows.
struct LongestRows::Rules {
  const ScoredRows& rows;
  const ScanRequest& request;
  const LongestRows& self;
  Allowed allow;
  const CodedQuery* query;
  const ScanTable& table;

  [[nodiscard]] std::int32_t row(std::size_t place) const noexcept {
    const std::vector<std::uint32_t>& order = self.order_->rows.rows;
    return place < order.size() ? static_cast<std::int32_t>(order[place]) : self.loose_[place - order.size()];
  }
  bool allowed(std::uint32_t place) noexcept {
    const std::int32_t r = row(place);
    if (place < self.order_->rows.rows.size() && std::binary_search(self.loose_.begin(), self.loose_.end(), r)) return false;
    return allow(r);
  }
  [[nodiscard]] bool before(const Bounded& a, const Bounded& b) const noexcept {
    return a.exact > b.exact || (a.exact == b.exact && row(a.index) < row(b.index));
  }
  static bool ties() noexcept { return true; }
  [[nodiscard]] float constant() const noexcept { return query->constant(); }
  static float widening(std::uint32_t) noexcept { return 0; }
  [[nodiscard]] float lowest(float score) const noexcept { return query->lowest(score); }
  void rescore(const std::int32_t* places, std::size_t n, float* out) const noexcept {
    constexpr std::size_t kStep = 64;
    std::int32_t named[kStep];
    for (std::size_t begin = 0; begin < n; begin += kStep) {
      const std::size_t count = std::min(kStep, n - begin);
      for (std::size_t i = 0; i < count; ++i) named[i] = row(static_cast<std::size_t>(places[begin + i]));
      exact_scores(rows, request.query, {named, count}, out + begin, table);
    }
  }
};

/// One request under way.
class LongestRows::Walk {
 public:
  Walk(const LongestRows& self, const ScoredRows& rows, const ScanRequest& request, const CodedQuery& query, CodedMemory& memory, const ScanTable& table)
      : order_(*self.order_), rules_{rows, request, self, {}, &query, table}, memory_(memory),
        norm_(std::sqrt(query.norm2) * (1 + 2 * query.gamma) / query.step) {
    rules_.allow.excluded = request.excluded;
    rules_.allow.filter = request.filter != nullptr && request.filter->allows_everything() ? nullptr : request.filter;
    rules_.allow.ascending = false;
    best_.k = std::min(request.k, rows.rows);
    best_.found = at_least(memory.candidates, BoundedBest::limit(best_.k) + kCodedStep);
  }

  void loose() {
    float scores[kStep];
    const std::vector<std::int32_t>& list = rules_.self.loose_;
    for (std::size_t begin = 0; begin < list.size(); begin += kStep) {
      const std::size_t count = std::min(kStep, list.size() - begin);
      exact_scores(rules_.rows, rules_.request.query, {list.data() + begin, count}, scores, rules_.table);
      for (std::size_t i = 0; i < count; ++i) {
        const float lower = rules_.query->lowest(scores[i]);
        append(lower + std::abs(lower) * kSlack + kTiny, lower, scores[i], order_.rows.rows.size() + begin + i);
      }
      best_.drain(rules_, memory_.scratch);
    }
  }
  void head(std::size_t begin, std::size_t end) {
    scan_coded(*order_.table, order_.shape, order_.records, nullptr, begin, end - begin, *rules_.query, rules_, best_, memory_.scratch);
    settle();
  }
  /// Rows from where they lie.
  void read(std::size_t begin, std::size_t end) {
    const CodedQuery& q = *rules_.query;
    float dots[kStep];
    std::int32_t named[kStep];
    for (; begin < end; begin += kStep) {
      const std::size_t count = std::min(kStep, end - begin);
      for (std::size_t i = 0; i < count; ++i) named[i] = static_cast<std::int32_t>(order_.rows.rows[begin + i]);
      row_scores().dot(rules_.request.query, rules_.rows.data, rules_.rows.dim, named, 0, count, dots);
      const float wide = q.gamma * norm_ * order_.rows.reach[begin / RowOrder::kStep];
      for (std::size_t i = 0; i < count; ++i) {
        const float middle = dots[i] / q.step;
        const float slack = wide + std::abs(middle) * kSlack + kTiny;
        append(middle + slack, middle - slack, std::numeric_limits<float>::quiet_NaN(), begin + i);
      }
      best_.drain(rules_, memory_.scratch);
    }
    settle();
  }
  [[nodiscard]] bool done(std::size_t begin) const noexcept { return out_of_reach(order_.rows, begin, norm_, best_.threshold); }
  /// The first place of the order that is out of reach as it stands.
  [[nodiscard]] std::size_t reach() const noexcept {
    const std::vector<float>& r = order_.rows.reach;
    const auto end = std::partition_point(r.begin(), r.end(), [&](float x) { return !(norm_ * x < best_.threshold); });
    return std::min(static_cast<std::size_t>(end - r.begin()) * RowOrder::kStep, order_.rows.rows.size());
  }
  std::size_t finish(std::uint64_t* keys) {
    const std::size_t n = best_.finish(rules_, memory_.scratch);
    for (std::size_t i = 0; i < n; ++i) keys[i] = rank_key(best_.found[i].exact, static_cast<std::uint32_t>(rules_.row(best_.found[i].index)));
    return n;
  }

 private:
  static constexpr std::size_t kStep = RowOrder::kStep;
  static constexpr float kSlack = 2e-6f;  // of quotients of float32
  static constexpr float kTiny = 1e-30f;  // products that are too small for float32
  static_assert(kStep <= kCodedStep);

  // A long list's threshold rises as a short one's does: after a few more candidates.
  void settle() {
    settled_ = std::min(settled_, best_.count);
    if (best_.count < std::max(best_.k + 1, settled_ + best_.k / 4)) return;
    best_.settle(rules_, memory_.scratch);
    settled_ = best_.count;
  }
  void append(float upper, float lower, float exact, std::size_t place) noexcept {
    // Also where a bound is not a number: the score may be one.
    if (upper <= best_.threshold) return;
    best_.found[best_.count++] = {upper, lower, exact, static_cast<std::uint32_t>(place)};
  }

  const Order& order_;
  Rules rules_;
  CodedMemory& memory_;
  float norm_;  // of the query, in its steps
  BoundedBest best_;
  std::size_t settled_ = 0;
};

LongestRows LongestRows::of(const ScoredRows& rows, const CodeTable& table, int num_threads) {
  LongestRows out;
  auto order = std::make_shared<Order>();
  order->rows = RowOrder::of(rows.data, rows.rows, rows.stride, rows.dim, num_threads);
  out.order_ = order;
  const std::vector<std::uint32_t>& places = order->rows.rows;
  if (rows.rows * rows.dim < kFewestValues || rows.dim < kFewestDimensions || places.empty() || order->rows.ascending) return out;
  order->head = rows.rows / kHead;
  order->shape = CodeShape(rows.dim);
  order->table = &table;
  order->memory.resize(order->head * order->shape.stride + kAlignment);
  std::uint8_t* records = order->memory.data();
  records += (kAlignment - reinterpret_cast<std::uintptr_t>(records) % kAlignment) % kAlignment;
  detail::parallel_for(order->head, 1024, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i)
      table.encode(rows.data + std::size_t{places[i]} * rows.stride, order->shape, records + i * order->shape.stride);
  });
  order->records = records;
  return out;
}

std::optional<LongestRows> LongestRows::after(std::span<const std::int32_t> changed, std::size_t rows) const {
  const std::size_t known = order_->rows.rows.size();
  LongestRows out;
  out.order_ = order_;
  out.changes_ = changes_ + changed.size() + (rows > known ? rows - known : 0);
  if (!is_order()) return out.changes_ > known / kLoose || rows > known + known / kLoose ? std::optional<LongestRows>() : std::move(out);
  if (rows > known + known / kLoose || changed.size() > known / kLoose) return {};
  std::vector<std::int32_t> more(changed.begin(), changed.end());
  // Rows that came without a value are zero.
  const std::size_t last = loose_.empty() ? known : std::max(known, static_cast<std::size_t>(loose_.back()) + 1);
  for (std::size_t r = last; r < rows; ++r) more.push_back(static_cast<std::int32_t>(r));
  std::sort(more.begin(), more.end());
  more.erase(std::unique(more.begin(), more.end()), more.end());
  out.loose_.reserve(loose_.size() + more.size());
  std::set_union(loose_.begin(), loose_.end(), more.begin(), more.end(), std::back_inserter(out.loose_));
  if (out.loose_.size() > known / kLoose) return {};
  return out;
}

std::optional<std::size_t> LongestRows::scan(const ScoredRows& rows, const ScanRequest& request, double most, ScanWorkspace& workspace,
                                             std::uint64_t* keys, const ScanTable& table, std::size_t& met) const {
  met = 0;
  if (!is_order() || rows.scale != nullptr || rows.offset != nullptr || rows.stride != rows.dim || request.k == 0) return {};
  const Order& order = *order_;
  if (order.head < 4 * BoundedBest::limit(std::min(request.k, rows.rows))) return {};
  if (request.filter != nullptr && request.filter->has_allow_list() && request.filter->num_allowed_ids() < rows.rows / kListedGain) return {};
  CodedMemory& memory = workspace.coded;
  CodedQuery query;
  if (!encode_query(request.query, order.shape, order.table->query_max, false, at_least(memory.codes, order.shape.width), query)) return {};
  Walk walk(*this, rows, request, query, memory, table);
  walk.loose();
  met = loose_.size();
  std::size_t begin = 0;
  const auto bound = static_cast<std::size_t>(most * static_cast<double>(order.rows.rows.size()));
  bool hopeful = false;
  while (begin < order.head && !walk.done(begin)) {
    const std::size_t end = std::min(order.head, begin + (begin < 4 * kStretch ? kFirst : kStretch));
    walk.head(begin, end);
    met += end - begin;
    begin = end;
    if (hopeful || begin < order.head / 16) continue;
    hopeful = true;
    if (walk.reach() > bound) return {};
  }
  if (!walk.done(begin)) {
    const std::size_t end = walk.reach();
    if (end > begin + order.rows.rows.size() / kMostRead) return {};
    for (; begin < end && !walk.done(begin); begin += std::min(kStretch, end - begin)) {
      walk.read(begin, std::min(end, begin + kStretch));
      met += std::min(kStretch, end - begin);
    }
  }
  return walk.finish(keys);
}

const LongestRows* LongestOnDemand::get(const ScoredRows& rows, std::size_t requests, int num_threads) {
  const LongestRows* there = made();
  if (there != nullptr) return there->is_order() ? there : nullptr;
  if (rows.rows * rows.dim < kFewestValues || rows.dim < kFewestDimensions) return nullptr;
  if (requests_.fetch_add(requests, std::memory_order_relaxed) + requests < kFewestRequests) return nullptr;
  const std::unique_lock making(making_, std::try_to_lock);
  if (!making.owns_lock()) return nullptr;
  if (made_ == nullptr) {
    try {
      made_ = std::make_unique<const LongestRows>(LongestRows::of(rows, code(), num_threads));
    } catch (const std::bad_alloc&) {
      return nullptr;  // the rows as they lie will do
    }
    ready_.store(made_.get(), std::memory_order_release);
  }
  return made_->is_order() ? made_.get() : nullptr;
}

void LongestOnDemand::follow(const LongestOnDemand& before, std::span<const std::int32_t> changed, std::size_t rows) {
  requests_.store(before.requests_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  const LongestRows* there = before.made();
  if (there == nullptr) return;
  std::optional<LongestRows> next = there->after(changed, rows);
  if (!next) return requests_.store(0, std::memory_order_relaxed);
  made_ = std::make_unique<const LongestRows>(*std::move(next));
  ready_.store(made_.get(), std::memory_order_release);
}

}  // namespace etalage::search
