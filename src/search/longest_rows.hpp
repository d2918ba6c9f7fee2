// SPDX-License-Identifier: Apache-2.0
// One request against rows of many lengths: the longest first, until what is left is too short.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "search/kernel_names.hpp"
#include "search/row_order.hpp"

namespace etalage::search {

struct ScoredRows;
struct ScanRequest;
struct ScanWorkspace;

/// Rows by falling norm, and records in eight bits of the longest eighth of them: 4 bytes a row and (dim + 16) / 8 more,
/// a twenty-fifth of rows of 128 dimensions. Rows that changed since, or came, are loose: they are read before the others,
/// and their old places in the order are passed over. Immutable.
class LongestRows {
 public:
  /// Nothing where the rows are few, or of one length, or cannot be ordered: is_order() is false.
  static LongestRows of(const ScoredRows& rows, const CodeTable& table, int num_threads);
  /// The same rows after those of `changed` have other values and the others grew to `rows`; no value where so many have
  /// changed that an order made anew is the better one.
  [[nodiscard]] std::optional<LongestRows> after(std::span<const std::int32_t> changed, std::size_t rows) const;
  [[nodiscard]] bool is_order() const noexcept { return order_ != nullptr && order_->records != nullptr; }
  /// The order alone; null where rows have changed since, or the order is none.
  [[nodiscard]] const RowOrder* order() const noexcept { return changes_ == 0 && order_ != nullptr && !order_->rows.rows.empty() ? &order_->rows : nullptr; }

  /// As exact_top_k(), bit for bit: keys into `keys` [Best::limit(k) or more]. `met` becomes the number of rows that were looked at. No
  /// value, soon, where so many rows are in reach that they are read quicker as they lie: more than `most` of all.
  std::optional<std::size_t> scan(const ScoredRows& rows, const ScanRequest& request, double most, ScanWorkspace& workspace,
                                  std::uint64_t* keys, const ScanTable& table, std::size_t& met) const;

  static constexpr double kMost = 0.5;  ///< of a single request

 private:
  struct Order {
    RowOrder rows;
    std::size_t head = 0;  ///< rows[0, head) have records
    CodeShape shape;
    const CodeTable* table = nullptr;
    std::vector<std::uint8_t> memory;
    const std::uint8_t* records = nullptr;  ///< [head], in the order's places; null: the rows are better read as they lie
  };
  struct Rules;
  class Walk;

  std::shared_ptr<const Order> order_;
  std::vector<std::int32_t> loose_;  // sorted
  std::size_t changes_ = 0;          // rows that were said to have changed or have come
};

/// LongestRows of rows that stay as they are, made when so many requests have come that making them pays: about three
/// reads of all rows. Whoever asks meanwhile reads the rows as they lie.
class LongestOnDemand {
 public:
  /// Null as long as there are none, and where they would not help. `requests` are to be answered now.
  const LongestRows* get(const ScoredRows& rows, std::size_t requests, int num_threads);
  /// What is there already.
  [[nodiscard]] const LongestRows* made() const noexcept { return ready_.load(std::memory_order_acquire); }
  /// Begins with what `before` knows of rows of which `changed` have other values now. Neither is in use.
  void follow(const LongestOnDemand& before, std::span<const std::int32_t> changed, std::size_t rows);

 private:
  std::atomic<std::size_t> requests_{0};
  std::atomic<const LongestRows*> ready_{nullptr};
  std::mutex making_;
  std::unique_ptr<const LongestRows> made_;
};

}  // namespace etalage::search
