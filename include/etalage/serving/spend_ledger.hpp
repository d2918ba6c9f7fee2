// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/extend/journal_files.hpp"

namespace etalage {

/// Settings of SpendLedger.
struct ETALAGE_EXPORT SpendLedgerOptions {
  std::vector<std::int64_t> budgets;        ///< [budgets], in whole units of the caller's choice (cents, micro-euros), >= 0
  std::int64_t block = 0;                   ///< reserved at a time; 0: a thousandth of each budget, at least 1
  std::shared_ptr<JournalFiles> files;      ///< null: the operating system's
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "block", o.block, OptionRule(">= 0"));
  }
};

/// Spending that survives: budgets are reserved in blocks on disk before they are used, and used from memory.
///
/// Promise   what spend() allowed over all lives of the ledger never exceeds a budget: a block counts as spent from the moment it
///           is on disk. A crash loses what was reserved and not yet spent, at most one block a budget and life; close() gives it back
/// Cost      one write and one sync a block; between blocks a spend is a few atomic operations
/// Forks     a child must open a ledger of its own in another folder: spend() in it is std::logic_error, close() does nothing
/// Threads   spend() may be called from any number of threads. One process at a time (JournalLockedError)
/// Errors    std::filesystem::filesystem_error when a block cannot be written: nothing was spent; FormatError for a damaged ledger,
///           where a torn last record (a crash while writing) is no damage; std::invalid_argument names the argument
class ETALAGE_EXPORT SpendLedger {
 public:
  /// Opens or makes the ledger in `directory`. Budgets may be raised or lowered from one opening to the next; their number may not.
  SpendLedger(const std::filesystem::path& directory, SpendLedgerOptions options);
  ~SpendLedger();
  SpendLedger(SpendLedger&&) noexcept;
  SpendLedger& operator=(SpendLedger&&) noexcept;

  /// All of the amounts [budgets], each >= 0, or nothing: false when a budget does not have its amount any more.
  [[nodiscard]] bool spend(std::span<const std::int64_t> amounts);
  /// Units of each budget that count as spent: with the block that is open, less what of it is left.
  [[nodiscard]] std::vector<std::int64_t> spent() const;
  /// Units of each budget that are reserved on disk; what a crash now would count as spent.
  [[nodiscard]] std::vector<std::int64_t> reserved() const;
  /// Writes down what was really spent. Afterwards spend() is std::logic_error. The destructor does the same and swallows errors.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
