// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/profile/item_facts.hpp"

namespace etalage {

/// What an event means for a shopper's profile.
enum class EventRole : std::uint8_t { kIgnore, kView, kCart, kPurchase, kReturn };
/// As options spell them.
template <>
inline constexpr auto option_names<EventRole> = std::to_array<OptionName<EventRole>>(
    {{"ignore", EventRole::kIgnore}, {"view", EventRole::kView}, {"cart", EventRole::kCart},
     {"purchase", EventRole::kPurchase}, {"return", EventRole::kReturn}});

/// How events become profiles. Weights and half-life enter affinity = sum of weight * 2^(-age / half_life).
struct ETALAGE_EXPORT ProfileOptions {
  /// What each event type of a log is. A type that is absent here is an error.
  std::map<std::string, EventRole> roles = {
      {"view", EventRole::kView},         {"click", EventRole::kView},          {"cart", EventRole::kCart},
      {"add_to_cart", EventRole::kCart},  {"purchase", EventRole::kPurchase},   {"buy", EventRole::kPurchase},
      {"transaction", EventRole::kPurchase}, {"return", EventRole::kReturn},    {"refund", EventRole::kReturn}};
  EventRole untyped = EventRole::kPurchase;  ///< what the events of a log without types are
  double half_life_days = 90;      ///< of affinities and habits; > 0
  double view_weight = 1;          ///< >= 0
  double cart_weight = 3;          ///< >= 0
  double purchase_weight = 5;      ///< >= 0
  double return_weight = -5;       ///< <= 0
  double idle_minutes = 30;        ///< a pause longer than this ends a session, and an order of logs without sessions; > 0
  std::int32_t utc_offset_minutes = 0;  ///< the shop's clock against UTC, for hours and weekdays; in [-1440, 1440]
  bool value_is_amount = false;    ///< an event's value is money; else it is a quantity, worth quantity * price
  std::int32_t max_categories = 64;     ///< affinities kept a shopper, the weakest leave; >= 1
  std::int32_t max_brands = 32;         ///< >= 1
  std::int32_t max_items = 64;          ///< bought products remembered for buying again, the oldest leave; >= 1
  // Lifecycle, in this order, for somebody with a purchase; g is the usual gap between their orders, pulled towards
  // typical_gap_days as if one more gap had been seen:
  double lapsed_gaps = 4;          ///< lapsed: last purchase longer ago than lapsed_gaps * g; > at_risk_gaps
  double at_risk_gaps = 2;         ///< at risk: longer ago than at_risk_gaps * g; > 0
  double new_days = 30;            ///< new: first purchase at most so long ago; >= 0
  std::int32_t loyal_orders = 4;   ///< loyal: at least so many orders; >= 1. Active: all others
  double typical_gap_days = 45;    ///< > 0
  void validate() const;           ///< throws std::invalid_argument: option, value, rule

  /// The roles of a log's event types, or the one of untyped logs. std::invalid_argument names a type without a role.
  [[nodiscard]] std::vector<EventRole> roles_of(std::span<const std::string> event_names) const;
  bool operator==(const ProfileOptions&) const = default;
  /// visit("name", field, rule) for each option but roles: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "untyped", o.untyped, "half_life_days", o.half_life_days, OptionRule("a finite number > 0"),
                  "view_weight", o.view_weight, OptionRule("a finite number >= 0"), "cart_weight", o.cart_weight, OptionRule("a finite number >= 0"),
                  "purchase_weight", o.purchase_weight, OptionRule("a finite number >= 0"),
                  "return_weight", o.return_weight, OptionRule("a finite number <= 0"), "idle_minutes", o.idle_minutes, OptionRule("in (0, 1000000]"),
                  "utc_offset_minutes", o.utc_offset_minutes, OptionRule("in [-1440, 1440]"), "value_is_amount", o.value_is_amount,
                  "max_categories", o.max_categories, OptionRule("in [1, 65536]"), "max_brands", o.max_brands, OptionRule("in [1, 65536]"),
                  "max_items", o.max_items, OptionRule("in [1, 65536]"), "lapsed_gaps", o.lapsed_gaps,
                  "at_risk_gaps", o.at_risk_gaps, OptionRule("a finite number > 0"), "new_days", o.new_days, OptionRule("a finite number >= 0"),
                  "loyal_orders", o.loyal_orders, OptionRule(">= 1"), "typical_gap_days", o.typical_gap_days, OptionRule("a finite number > 0"));
  }
};

/// Where a purchase stands in its order: by the pause before it (idle_minutes), or by the order's id, which logs have as
/// their session column: the order's first row, its first of this product, or a further one.
enum class OrderPlace : std::uint8_t { kByTime, kNewOrder, kNewProduct, kFurther };

/// One event of one shopper. A purchase with a value below 0 is a return of as much.
struct ProfileEvent {
  std::int32_t item = -1;  ///< row of the facts; -1 none
  EventRole role = EventRole::kView;  ///< what it says of the shopper
  std::int64_t time_ms = 0;  ///< UTC milliseconds
  float value = 1;  ///< quantity or amount; of a purchase below 0: a return
  OrderPlace order = OrderPlace::kByTime;  ///< of purchases

  /// The role by value too: what EventLog::interactions(negative_values) calls a return is one here as well.
  [[nodiscard]] EventRole meaning() const noexcept {
    return role == EventRole::kPurchase && value < 0 ? EventRole::kReturn : role;
  }
};

/// Where a shopper stands.
enum class Lifecycle : std::uint8_t { kUnknown, kProspect, kNew, kActive, kLoyal, kAtRisk, kLapsed };
/// "unknown" (no event), "prospect" (no purchase), "new", "active", "loyal", "at risk", "lapsed".
[[nodiscard]] ETALAGE_EXPORT std::string_view lifecycle_name(Lifecycle segment) noexcept;

/// A category node or brand and the decayed weight of the events there.
struct Affinity {
  std::int32_t id = -1;  ///< category, brand or band by its number
  double weight = 0;  ///< decayed, of the events there
};

/// What a shopper's purchases of one product say: when last, how often, and the gaps between in log days.
struct ItemMemory {
  std::int32_t item = -1;  ///< row of the facts
  std::int32_t count = 0;        ///< orders with this product
  std::int64_t last_ms = 0;  ///< UTC milliseconds of the last purchase
  double sum_log_gap = 0;        ///< over count - 1 gaps, of ln(days)
  double sum_log_gap2 = 0;  ///< of ln(days) squared, over count - 1 gaps
};

/// What one more event was, for those who keep counters beside profiles.
struct Observed {
  bool new_session = false;  ///< whether it opened a visit
  bool new_order = false;  ///< whether it opened an order
  bool item_occasion = false;      ///< an order's first purchase of this product, as far as it is remembered
  double repurchase_gap_days = 0;  ///< > 0 when the product was bought again
};

/// A shopper's history boiled down: bounded memory, one event at a time.
///
/// Affinity   every event adds its role's weight to the product's category and all nodes above it (roll-up), to its
///            brand and to its price band; weights halve every half_life_days; below 0 (returns) they stop at 0
/// Orders     purchases of one session of a log that has a session column, else those without a pause of idle_minutes
/// Same       observing a log's events one by one in time order gives the same bits as building from the log without
///            sessions
/// Late       an event older than the newest counts in totals, affinities and habits as if it had come in time, and in
///            the running session if it belongs there; it opens no session, order or gap
/// Memory     about 900 bytes, and at most 16 (max_categories + max_brands) + 32 max_items more
/// Cost       some hundred multiplications an event
/// Threads    const members are safe to call concurrently; observe and merge need exclusive access
class ETALAGE_EXPORT UserProfile {
 public:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();  ///< stands for a time that has not been
  static constexpr std::array<double, 3> kRateHalfLives{7, 30, 120};  ///< days
  static constexpr std::size_t kSessionItems = 32;                    ///< distinct ones counted a session

  /// Exact counters. Times are UTC milliseconds or kNever.
  struct Counts {
    std::int64_t first_ms = kNever;  ///< of the first event
    std::int64_t last_ms = kNever;  ///< of the last event
    std::int64_t first_purchase_ms = kNever;  ///< of the first purchase
    std::int64_t last_purchase_ms = kNever;  ///< of the last purchase
    std::int64_t events = 0;  ///< all of them
    std::int64_t views = 0;  ///< of role view
    std::int64_t carts = 0;  ///< of role cart
    std::int64_t purchases = 0;       ///< events, several an order
    std::int64_t returns = 0;  ///< of role return, and purchases of values below 0
    std::int64_t sessions = 0;  ///< visits, parted by the idle time
    std::int64_t buying_sessions = 0;  ///< visits with a purchase
    std::int64_t orders = 0;          ///< purchases more than idle_minutes apart
    std::int64_t order_gaps = 0;  ///< between orders that came in order
    std::int64_t previous_end_ms = kNever;  ///< last event before the running session
    std::int64_t session_start_ms = kNever;  ///< of the visit that goes on
    std::int64_t session_events = 0;  ///< in it
    std::int64_t session_views = 0;  ///< in it
    std::int64_t session_carts = 0;  ///< in it
    std::int64_t session_purchases = 0;  ///< in it
    std::int64_t session_priced = 0;  ///< events with a known price level
    std::int64_t last_role = 0;       ///< EventRole of the newest event
  };
  /// Sums. What decays is as of Counts::last_ms.
  struct Sums {
    double money = 0;                 ///< of purchases, less returns
    double gap_mean_days = 0;         ///< between orders
    double gap_m2 = 0;                ///< sum of squared deviations from it
    double last_gap_days = 0;  ///< days between the last two orders
    double session_price_level = 0;  ///< sum of the price levels met in the visit
    double session_price_max = 0;  ///< highest of them
    double price_level = 0;           ///< decayed, weighted like affinities
    double price_weight = 0;  ///< sum of the weights of price_level
    /// Decayed counts, [half-life][views, carts, orders, sessions, money].
    std::array<std::array<double, 5>, 3> rates{};
    std::array<double, ItemFacts::kPriceBands> bands{};
    std::array<double, 24> hours{};   ///< weights of events by hour of the shop's day
    std::array<double, 7> weekdays{}; ///< 0 is Monday
  };

  UserProfile() = default;
  /// In a profile of nothing: what is known of earlier events that nobody has any more. What is observed from then on counts
  /// further; affinities, habits and decayed rates are of that alone. Of `bought` the newest max_items are kept.
  void begin_after(const Counts& counts, const Sums& sums, std::vector<ItemMemory> bought, const ProfileOptions& options);
  /// std::invalid_argument for an item below 0 or a value that is not finite; kIgnore does nothing.
  Observed observe(const ProfileEvent& event, const ItemFacts& facts, const ProfileOptions& options);
  /// Takes in another shopper's history (an anonymous visitor who logged in): counts and decayed weights add up, the
  /// newer running session stays. Gaps between orders of the two are not seen.
  void merge(const UserProfile& other, const ProfileOptions& options);

  [[nodiscard]] bool empty() const noexcept { return counts_.events == 0; }
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }  ///< how often
  [[nodiscard]] const Sums& sums() const noexcept { return sums_; }  ///< how much
  /// By falling weight, ties by lower number; weights as of Counts::last_ms.
  [[nodiscard]] std::vector<Affinity> categories() const { return sorted(categories_); }
  [[nodiscard]] std::vector<Affinity> brands() const { return sorted(brands_); }
  [[nodiscard]] std::span<const Affinity> categories_unsorted() const noexcept { return categories_; }
  [[nodiscard]] std::span<const Affinity> brands_unsorted() const noexcept { return brands_; }
  /// Share of all weight that lies in this category or below it, in [0, 1]; of this brand; of this price band.
  [[nodiscard]] double category_share(std::int32_t category, const ItemFacts& facts) const;
  [[nodiscard]] double brand_share(std::int32_t brand) const;
  [[nodiscard]] double band_share(std::int32_t band) const;
  /// Mean price level of what interests them, in [0, 1]; NaN when nothing with a price did.
  [[nodiscard]] double price_level() const noexcept;
  /// Products bought, most recent last purchase first, ties by lower index.
  [[nodiscard]] std::vector<ItemMemory> bought() const;
  [[nodiscard]] std::span<const ItemMemory> bought_unsorted() const noexcept { return items_; }
  /// Distinct products of the running or last session, at most kSessionItems; categories likewise.
  [[nodiscard]] std::span<const std::int32_t> session_items() const noexcept { return session_items_; }
  [[nodiscard]] std::span<const std::int32_t> session_categories() const noexcept { return session_categories_; }

  /// Days since the last purchase; infinite without one. Never below 0.
  [[nodiscard]] double recency_days(std::int64_t now_ms) const noexcept;
  [[nodiscard]] Lifecycle lifecycle(std::int64_t now_ms, const ProfileOptions& options) const noexcept;

  friend class Profiles;  // reads and writes the state

 private:
  static std::vector<Affinity> sorted(const std::vector<Affinity>& list);
  void keep_latest_items(const ProfileOptions& options);
  void decay_to(std::int64_t time_ms, const ProfileOptions& options);
  void habits(const ProfileEvent& event, double weight, const ItemFacts& facts, const ProfileOptions& options);
  bool session(const ProfileEvent& event, const ItemFacts& facts, const ProfileOptions& options);
  void purchase(const ProfileEvent& event, const ProfileOptions& options, Observed& out);

  Counts counts_;
  Sums sums_;
  std::vector<Affinity> categories_;
  std::vector<Affinity> brands_;
  std::vector<ItemMemory> items_;
  std::vector<std::int32_t> session_items_;
  std::vector<std::int32_t> session_categories_;
};

}  // namespace etalage
