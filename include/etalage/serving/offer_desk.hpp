// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/spend_ledger.hpp"

namespace etalage {

/// Gives offers request by request: at the prices that the snapshot in use has for a plan, paid from a ledger on disk.
///
/// Decides    the offer of the highest value less prices x costs that its budgets still pay for; ties go to the lower one
/// Prices     those of SnapshotParts::offer_prices under the plan's name, so that publish() changes them for the next request.
///            They hold for the units that the ledger counts in (cents): allocate() with costs and budgets in these
/// Promise    that of SpendLedger: budgets hold over all lives of the ledger, also after a kill
/// Cost       O(offers x budgets) where the best offer is paid for; allocates nothing
/// Threads    decide() may be called from any number of threads; the engine must live as long
class ETALAGE_EXPORT OfferDesk {
 public:
  /// The engine is kept by reference; `plan` need not be in its snapshot yet.
  OfferDesk(const Engine& engine, std::string plan, SpendLedger ledger);

  /// The offer given, paid for, or -1: none is worth its price, or none that is can be paid for any more.
  /// values [offers], costs [offers, budgets] in units of the ledger, >= 0. std::invalid_argument names the argument and the rule,
  /// std::logic_error says that the snapshot has no prices under the plan's name; what SpendLedger::spend() throws passes.
  [[nodiscard]] std::int32_t decide(std::span<const double> values, std::span<const std::int64_t> costs);

  /// Name of the prices in the snapshot.
  [[nodiscard]] const std::string& plan() const noexcept { return plan_; }
  /// What pays: spent(), close().
  [[nodiscard]] SpendLedger& ledger() noexcept { return ledger_; }

 private:
  const Engine* engine_;
  std::string plan_;
  SpendLedger ledger_;
};

}  // namespace etalage
