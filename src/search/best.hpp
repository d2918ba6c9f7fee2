// SPDX-License-Identifier: Apache-2.0
// Who is among the best k: the one tie rule, and the one way to keep and order those who are.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "etalage/extend/vector_index.hpp"
#include "kernels/rank_key.hpp"
#include "search/allowed.hpp"

namespace etalage::search {

/// The order of all results: descending score, ties by lower index or id.
struct Ranked {
  static bool before(std::uint64_t a, std::uint64_t b) noexcept { return a > b; }  // rank_key()
  static bool before(const Neighbor& a, const Neighbor& b) noexcept { return a.score > b.score || (a.score == b.score && a.id < b.id); }
  static float score(std::uint64_t key) noexcept { return kernels::key_score(key); }
  static float score(const Neighbor& n) noexcept { return n.score; }
  template <class Entry>
  bool operator()(const Entry& a, const Entry& b) const noexcept {
    return before(a, b);
  }
};

/// A buffer of entries of which the best k count. Whoever appends what scores above `threshold` and calls shrink() before
/// the buffer overflows has the best k in it.
template <class Entry>
struct Kept {
  Entry* entries = nullptr;  ///< [limit(k) + the most that is appended between two shrinks]
  std::size_t count = 0;
  std::size_t k = 0;         ///< >= 1
  float threshold = -std::numeric_limits<float>::infinity();

  /// Entries held before a shrink pays: small enough to keep the threshold tight, large enough to be rare.
  static constexpr std::size_t limit(std::size_t k) noexcept { return 2 * k + 32; }
  [[nodiscard]] bool full() const noexcept { return count > limit(k); }

  /// True where there were more than k. With ascending indices what equals the k-th best loses the tie.
  bool shrink(bool ascending) noexcept {
    if (count <= k) return false;
    std::nth_element(entries, entries + (k - 1), entries + count, Ranked());
    count = k;
    threshold = Ranked::score(entries[k - 1]);
    if (!ascending) threshold = std::nextafter(threshold, -std::numeric_limits<float>::infinity());
    return true;
  }
  /// Leaves the results in entries[0, returned), best first.
  std::size_t finish() noexcept {
    const std::size_t n = std::min(count, k);
    if (n < count) std::nth_element(entries, entries + (n - 1), entries + count, Ranked());
    // Equal scores of rows read in order are in order: lists of everything in a long tie are sorted as they come.
    if (!std::is_sorted(entries, entries + n, Ranked())) std::sort(entries, entries + n, Ranked());
    return count = n;
  }
};

/// The running top k of one query over rows, as keys. A scan appends the keys of scores above `threshold`; what is not
/// allowed is looked up only for those few survivors. Scores that are NaN or -infinity are never candidates.
struct Best : Kept<std::uint64_t> {
  std::size_t checked = 0;  ///< entries[0, checked) are known to be allowed
  Allowed allowed;

  void shrink() noexcept {
    drop_refused();
    if (Kept::shrink(allowed.ascending)) checked = count;
  }
  std::size_t finish() noexcept {
    drop_refused();
    return checked = Kept::finish();
  }

 private:
  void drop_refused() noexcept {
    if (!allowed.everything()) {
      std::size_t kept = checked;
      for (std::size_t i = checked; i < count; ++i)
        if (allowed(static_cast<std::int32_t>(kernels::key_index(entries[i])))) entries[kept++] = entries[i];
      count = kept;
    }
    checked = count;
  }
};

/// The best k neighbours so far, handed over one by one in any order, by the ids of an index.
class BestNeighbors {
 public:
  void start(std::size_t k) {
    kept_ = {};
    kept_.k = k;
    full_ = k == 0;
    if (memory_.size() < Kept<Neighbor>::limit(k) + 2) memory_.resize(Kept<Neighbor>::limit(k) + 2);
    kept_.entries = memory_.data();
  }
  [[nodiscard]] bool wants(float score) const noexcept { return !full_ || (score > kept_.threshold && kept_.k > 0); }
  void push(std::int64_t id, float score) {
    if (kept_.k == 0) return;
    kept_.entries[kept_.count++] = {id, score};
    if (kept_.full()) full_ = kept_.shrink(false);
  }
  [[nodiscard]] std::size_t finish(std::span<Neighbor> out) {
    if (kept_.k == 0) return 0;
    const std::size_t n = std::min(kept_.finish(), out.size());
    std::copy_n(kept_.entries, n, out.begin());
    return n;
  }

 private:
  std::vector<Neighbor> memory_;
  Kept<Neighbor> kept_;
  bool full_ = false;
};

}  // namespace etalage::search
