// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/serving/catalog_index.hpp"

namespace etalage {

class UserProfile;
struct Exploration;
struct ShownCounts;

/// What is known of how products were received, for exploration.
class ETALAGE_EXPORT ShownCounter {
 public:
  virtual ~ShownCounter();
  [[nodiscard]] virtual ShownCounts counts_of(std::int32_t item) const = 0;  ///< of a catalogue row; any thread
};

/// Where in the shop an answer is shown.
enum class Placement : std::uint8_t { kHome, kProductPage, kBasket, kCategoryPage, kSearch, kEmail };
inline constexpr std::size_t kPlacements = 6;
/// "home", "product_page", "basket", "category_page", "search", "email".
[[nodiscard]] ETALAGE_EXPORT std::string_view placement_name(Placement placement) noexcept;
/// Nothing for an unknown name.
[[nodiscard]] ETALAGE_EXPORT std::optional<Placement> placement_from_name(std::string_view name) noexcept;

/// Steps on the way of a request, in order.
enum class Stage : std::uint8_t { kFilter, kSources, kRules, kRerank, kFallback };
inline constexpr std::size_t kStages = 5;
[[nodiscard]] ETALAGE_EXPORT std::string_view stage_name(Stage stage) noexcept;

/// Told how long each stage took. Called on the thread of the request; must not throw.
class ETALAGE_EXPORT StageListener {
 public:
  virtual ~StageListener();
  virtual void on_stage(Stage stage, std::chrono::nanoseconds elapsed) noexcept = 0;  ///< on the thread of the request, after each stage
};

/// A purchase of the shopper's.
struct Purchase {
  std::int32_t item;  ///< row of the catalogue
  std::int64_t time_ms;  ///< UTC
};

/// Who asks, where and about what. Spans are the caller's and must live as long as the call. Items are catalogue rows.
struct RequestContext {
  Placement placement = Placement::kHome;  ///< what the answer is for
  std::optional<std::int32_t> user = {};         ///< row of the models; an index they do not have is an unknown shopper
  std::span<const std::int32_t> history = {};    ///< oldest first; replaces what a model keeps, as in Query
  std::span<const std::int32_t> session = {};    ///< this visit's items, oldest first
  /// When history and session happened, UTC milliseconds, each as long as its list or empty; for models of time, which
  /// take a session without times as happening now.
  std::span<const std::int64_t> history_times = {};
  std::span<const std::int64_t> session_times = {};
  std::span<const std::int32_t> anchors = {};    ///< the product of the page, the basket's content; never in the answer
  std::span<const std::int32_t> seen = {};       ///< further items that exclude_seen leaves out
  std::span<const Purchase> purchases = {};      ///< for rules of the type not_again, any order
  const UserProfile* profile = nullptr;          ///< items are rows; for what is due to be bought again
  std::span<const float> user_vector = {};       ///< a factor row folded in by the caller; factor sources take it as it is
  std::span<const float> query_vector = {};      ///< of a search text, say
  std::span<const ItemScore> given = {};         ///< candidates of the caller's: search results to re-rank
  std::span<const float> target = {};            ///< share of each group that calibration aims at; empty: from the history
  std::string_view segment = {};                 ///< for lists by segment
  std::string_view place = {};                   ///< where it is asked, for what was said of products there; "" everywhere
  const SharedFilter* filter = nullptr;          ///< further condition of this request, from CatalogIndex::filter
  std::int64_t now_ms = 0;                       ///< UTC; for not_again and for models of time, 0 not said
  bool exclude_seen = true;                      ///< leave out history, session and seen
  bool only_given = false;                       ///< nothing may appear that is not in `given`
  std::uint64_t audit_id = 0;                    ///< copied to the trace
  const Exploration* explore = nullptr;          ///< draw some places instead of showing the best there
  std::uint64_t explore_seed = 0;                ///< of this request's draws
  const ShownCounter* shown = nullptr;           ///< for Thompson sampling
  std::span<const ItemScore> tired = {};         ///< factors in [0, 1] of what the shopper passed over, ascending items
  StageListener* listener = nullptr;
};

}  // namespace etalage
