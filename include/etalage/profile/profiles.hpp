// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/profile/item_facts.hpp"
#include "etalage/profile/user_profile.hpp"

namespace etalage {

/// A product that a shopper bought and may want again.
struct BuyAgain {
  std::int32_t item = -1;  ///< the product
  std::int32_t count = 0;         ///< their orders of it
  std::int64_t last_ms = 0;  ///< UTC milliseconds of the last purchase
  std::int64_t due_ms = 0;        ///< last_ms plus the expected gap (its median)
  double gap_days = 0;            ///< that gap
  double probability = 0;         ///< that they buy it within the horizon asked for
};

/// How often, and how long after, products are bought again by the same shopper.
///
/// ln(gap in days) is taken as normal. A product's mean and variance are pulled towards the shop's as if kItemPrior gaps
/// had been seen, a shopper's mean for a product towards the product's as if one had. The share of purchases that are
/// followed by another is counted the same way. Sums are kept in integers, so their order does not matter.
class ETALAGE_EXPORT RepurchaseStatistics {
 public:
  static constexpr double kItemPrior = 5;  ///< gaps of the shop's that stand beside a product's own

  /// Counts what UserProfile::observe said of a purchase of `item`.
  void add(std::int32_t item, const Observed& observed);
  /// What others counted of the same products. std::invalid_argument for sums that no shop's purchases make; then nothing changes.
  void add(const RepurchaseStatistics& others);
  /// Gap and chance for a product that somebody bought, within horizon_days from now:
  ///   share * (F(elapsed + horizon) - F(elapsed)) / (1 - share * F(elapsed)),  F log-normal
  [[nodiscard]] BuyAgain expect(const ItemMemory& memory, std::int64_t now_ms, double horizon_days) const;
  /// The k likeliest of what somebody bought, ties by lower item.
  [[nodiscard]] std::vector<BuyAgain> likeliest(const UserProfile& user, std::int64_t now_ms, std::size_t k, double horizon_days) const;
  /// Median days between two purchases of a product by one shopper, of an unknown product the shop's; 30 when nothing
  /// was ever bought again.
  [[nodiscard]] double gap_days(std::int32_t item) const noexcept;
  /// Share of purchases that are followed by another of the same product.
  [[nodiscard]] double repeat_share(std::int32_t item) const noexcept;

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static RepurchaseStatistics from_state(const StateReader& reader);

 private:
  struct Sum {
    std::int64_t occasions = 0;
    std::int64_t gaps = 0;
    std::int64_t log_gap = 0;   // in units of 2^-20
    std::int64_t log_gap2 = 0;
  };
  struct Law {
    double mean;
    double variance;
    double share;
  };
  [[nodiscard]] Law shop() const noexcept;
  [[nodiscard]] Law of(std::int32_t item) const noexcept;
  Sum all_;
  std::vector<Sum> items_;
};

/// The profiles of all shoppers, and what they say together about buying again.
///
/// Made from a log, one event at a time, or both: the same bits, as long as events come in time order.
/// Memory     a profile a shopper (see UserProfile), 32 bytes an item
/// Cost       add: one sort of each shopper's events and one pass, in parallel; the same result for any num_threads
/// Threads    const members are safe to call concurrently; all others need exclusive access
/// Errors     std::invalid_argument; std::out_of_range for a user below 0. A user beyond size() has an empty profile.
class ETALAGE_EXPORT Profiles {
 public:
  /// Null facts: products without category, brand and price.
  explicit Profiles(std::shared_ptr<const ItemFacts> facts = nullptr, ProfileOptions options = {});

  /// Every event of the log, by time and then by place in the log. The log needs times, and the roles all its types.
  /// When profiles hold keys already, the log's must begin with them.
  void add(const EventLog& log, int num_threads = 0);
  /// Grows to the user. Nothing changes when it throws.
  Observed observe(std::int32_t user, const ProfileEvent& event);
  void observe(std::span<const std::int32_t> users, std::span<const ProfileEvent> events);
  /// The shoppers of `others` behind these, and their gaps between purchases: profiles made of parts of a log are those of the
  /// log, to the bit. Both must have the same options, products, categories and brands under the same numbers
  /// (std::invalid_argument as far as it shows). Keys of users are dropped where both sides have shoppers: set_ids() follows.
  void append(const Profiles& others);
  /// Facts for a newer catalogue: made by ItemFacts::updated, so that numbers of categories and brands stay.
  void set_facts(std::shared_ptr<const ItemFacts> facts);
  /// Takes `from` into `to` and forgets it.
  void merge(std::int32_t from, std::int32_t to);
  /// Forgets a shopper; what they added to the shop's gaps stays, it names nobody.
  void erase(std::int32_t user);

  [[nodiscard]] std::int32_t size() const noexcept { return static_cast<std::int32_t>(users_.size()); }
  [[nodiscard]] const UserProfile& at(std::int32_t user) const;  ///< std::out_of_range for a shopper that is none
  [[nodiscard]] const ItemFacts& facts() const noexcept { return *facts_; }  ///< of the products
  [[nodiscard]] const std::shared_ptr<const ItemFacts>& shared_facts() const noexcept { return facts_; }  ///< of the products; never null
  [[nodiscard]] const ProfileOptions& options() const noexcept { return options_; }
  /// Gaps between purchases of the same product, over all shoppers.
  [[nodiscard]] const RepurchaseStatistics& repurchases() const noexcept { return repurchases_; }
  [[nodiscard]] const SharedIdMap& user_ids() const noexcept { return user_ids_; }
  [[nodiscard]] const SharedIdMap& item_ids() const noexcept { return item_ids_; }
  void set_ids(SharedIdMap user_ids, SharedIdMap item_ids);  ///< null: none; std::invalid_argument for fewer than shoppers, or than products they remember
  /// Newest event of all; UserProfile::kNever without any.
  [[nodiscard]] std::int64_t newest_ms() const noexcept;

  /// Their remembered products by falling probability of buying within horizon_days, ties by lower index; at most k.
  [[nodiscard]] std::vector<BuyAgain> buy_again(std::int32_t user, std::int64_t now_ms, std::size_t k, double horizon_days = 7) const;
  /// Shoppers of each lifecycle segment, indexed by Lifecycle.
  [[nodiscard]] std::array<std::int64_t, 7> segment_sizes(std::int64_t now_ms) const;

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static std::shared_ptr<Profiles> from_state(const StateReader& reader);

 private:
  std::shared_ptr<const ItemFacts> facts_;
  ProfileOptions options_;
  std::vector<UserProfile> users_;
  RepurchaseStatistics repurchases_;
  SharedIdMap user_ids_;
  SharedIdMap item_ids_;
};

}  // namespace etalage
