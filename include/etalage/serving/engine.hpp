// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/serving/bound_key.hpp"
#include "etalage/serving/engine_metrics.hpp"
#include "etalage/serving/event_store.hpp"
#include "etalage/serving/exploration.hpp"
#include "etalage/serving/impressions.hpp"
#include "etalage/serving/key.hpp"
#include "etalage/serving/predicate.hpp"
#include "etalage/serving/ranker.hpp"
#include "etalage/serving/request.hpp"
#include "etalage/serving/snapshot.hpp"
#include "etalage/serving/what_if.hpp"

namespace etalage {

/// One question to the engine. What has a name must live as long as the call; temporaries and brace lists are kept (see
/// bound_key.hpp). Raw pointers are looked at during the call, never kept.
struct Request {
  std::optional<BoundKey> user = {};        ///< nobody: an anonymous page
  Placement placement = Placement::kHome;  ///< what the answer is for
  std::size_t k = 10;  ///< items wanted; fewer where rules leave fewer
  const Predicate* filter = nullptr;        ///< further condition; compiled once and cached
  BoundKeys anchors = {};                   ///< the product of the page, the basket's content; never in the answer
  BoundKeys session = {};                   ///< items of this visit that were not observed
  BoundScores given = {};                   ///< the caller's candidates: search results to re-rank
  std::span<const float> query_vector = {}; ///< of a search text, for sources that take one
  BoundText segment = {};                   ///< for popularity by segment
  BoundText place = {};                     ///< where it is asked: the availability and the prices that were set there hold
  /// Leave out what the shopper has seen, viewed or bought. By default so on the home page, category pages and in mails;
  /// product page and basket leave out the anchors alone, a search page what rules forbid alone.
  std::optional<bool> exclude_seen = {};
  /// Whether products may appear that are not among `given`. By default not where a search page brings some.
  std::optional<bool> fill = {};
  bool explain = false;                     ///< fill Answer::why
  bool trace = false;                       ///< fill Answer::trace
  /// Put the answer on record as shown, draw the places that explore() names, and fill Answer::request_id.
  bool log = false;
};

/// A product of an answer.
struct Recommended {
  Key item;  ///< the product
  float score = 0;      ///< in [0, 1] times what rules make of it; descending but for pins and variety
  std::string source;   ///< that named it first; "pin" or "catalogue" where none did
};

/// Why a product is there.
struct Why {
  std::vector<std::pair<std::string, float>> sources;  ///< all that named it, with their part of the score
  std::vector<std::pair<Key, float>> because;          ///< history items by falling share; shares of what speaks for it sum to <= 1
  std::vector<std::string> rules;                      ///< "boosted by 1.5", "pinned to 2"
};

/// Reused between requests: once warm, answering allocates nothing (without explain and trace).
struct Answer {
  std::vector<Recommended> items;  ///< best first
  std::uint64_t snapshot = 0;      ///< number of the publication that answered, 0 for none
  std::uint64_t audit_id = 0;      ///< unique, in order of requests
  std::uint64_t request_id = 0;    ///< of a logged answer, for observe(event, request); 0 for one that was not logged
  bool known_user = false;         ///< a model or an event knows the shopper
  std::int64_t eligible = 0;       ///< products that filters and rules allow
  std::size_t from_fallback = 0;   ///< candidates that only a fallback named
  std::size_t filled = 0;          ///< of the answer, products that no source named
  std::vector<Why> why;            ///< [items.size()] with explain
  std::optional<Trace> trace;  ///< why, where EngineOptions or the request asked for it
};

/// Settings of Engine.
struct ETALAGE_EXPORT EngineOptions {
  EventStoreOptions events = {};  ///< of what is live
  ImpressionOptions impressions = {};  ///< of what was shown
  std::size_t factor_cache = 100'000;   ///< folded-in factor rows kept, of the most recent shoppers; 0 keeps none
  std::size_t profile_cache = 20'000;   ///< profiles kept, likewise
  std::size_t filter_cache_bytes = 192 << 20;  ///< compiled filters kept, a bit a product each; the least recently used go first
  bool skip_failing_sources = true;     ///< a source that throws names nothing, and is counted; else the request fails. What
                                        ///< is the caller's mistake (std::invalid_argument) and std::bad_alloc always pass
  int explain_items = 5;                ///< contributions in Why::because, >= 1
  bool metrics = false;                 ///< count and time; without it no clock is read
  StageListener* listener = nullptr;    ///< told of every stage of every request, from their threads
  std::function<void(const Request&, const Answer&)> on_answer = {};  ///< called after each request, on its thread
  void validate() const;                ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    EventStoreOptions::each(o.events, visit);
    ImpressionOptions::each(o.impressions, visit);
    visit_options(visit, "factor_cache", o.factor_cache, OptionRule(">= 0 (0 keeps none)"), "profile_cache", o.profile_cache,
                  OptionRule(">= 0 (0 keeps none)"), "filter_cache_bytes", o.filter_cache_bytes, OptionRule(">= 0"), "skip_failing_sources",
                  o.skip_failing_sources, "explain_items", o.explain_items, OptionRule(">= 1, at most 65536"), "metrics", o.metrics);
  }
};

/// A shopper at one moment: their profile with what it takes to read it.
struct ETALAGE_EXPORT ShopperState {
  bool known = false;                      ///< a model, the snapshot's profiles or an event knows them
  UserProfile profile;                     ///< items are rows of the snapshot's catalogue
  std::int64_t now_ms = 0;  ///< UTC milliseconds of the moment that it is of
  std::shared_ptr<const Snapshot> snapshot;  ///< whose facts() and profile_options() it was made by
  /// Chance that they are still a customer by the snapshot's lifetime model; nothing without a model, and before their first order.
  std::optional<double> alive = {};
  static constexpr double kAtRisk = 0.7;  ///< chance below which somebody is at risk
  static constexpr double kLapsed = 0.3;  ///< chance below which somebody has lapsed
  /// By the gaps between their orders; where `alive` is known, somebody who is not new is at risk or lapsed by that instead.
  [[nodiscard]] Lifecycle lifecycle() const;
};

/// A product that they bought and may want again, under the shop's key.
struct DueAgain {
  Key key;  ///< the product
  BuyAgain what;  ///< when it is due
};

/// Working memory of one thread.
class ETALAGE_EXPORT EngineScratch {
 public:
  EngineScratch();
  ~EngineScratch();
  EngineScratch(EngineScratch&&) noexcept;
  EngineScratch& operator=(EngineScratch&&) noexcept;
  struct Impl;
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// The shop's engine: live events on one side, one published snapshot on the other, answers from both.
///
/// A request  reads the shopper (session, history, seen items), folds their new events into their factor row, asks the
///            placement's sources, mixes, filters, applies rules and variety; docs/engine.md has the picture
/// Sees       everything that was observed before it began, in the same snapshot from beginning to end
/// Answers    min(k, eligible) products: an unknown shopper, placement without sources or item is no error. Without a
///            snapshot: what is trending
/// Snapshots  publish() and rollback() never make a request wait, and a replaced snapshot is freed when its last reader
///            has left: at most two are kept, the one in use and the one to roll back to
/// Forks      fork() waits until no thread is inside a call, however many work. The child may recommend, read, save and
///            publish, from any thread; observing there is std::logic_error when the engine has a folder
/// Threads    every member may be called concurrently
/// Errors     std::invalid_argument (an event or a filter that means nothing), those of EventStore and Journal
class ETALAGE_EXPORT Engine {
 public:
  /// Events in memory alone.
  explicit Engine(EngineOptions options = {});
  /// Events in a journal in this folder, which is made if needed and recovered.
  explicit Engine(const std::filesystem::path& directory, EngineOptions options = {});
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// What happened, credited to the newest logged answer that showed the product to the shopper within attribution_hours.
  std::uint64_t observe(const Event& event);
  /// The same, credited to this answer. std::invalid_argument, and nothing is stored, for a request that was not logged or is
  /// forgotten, a product that it did not show, and a time before it. Who repeats an event is believed once.
  std::uint64_t observe(const Event& event, std::uint64_t request);
  /// Observes every row of a log, in its order, as EventStore has it.
  std::uint64_t observe_log(const EventLog& log, std::string_view type = "purchase") { return events().observe_log(log, type); }
  [[nodiscard]] std::uint64_t durable_through() const noexcept;
  std::uint64_t merge_users(KeyView from, KeyView to);
  /// Also from what this engine has cached. Models that were fitted with their data are not asked about them any more:
  /// publish ones that were fitted without it, by their trained_ms.
  std::uint64_t erase_user(KeyView user);
  /// What the shop says of a product between two publications, as EventStore has it: seen by the next request, by filters
  /// and by rules, kept in the journal, and of every snapshot that is published. A product that was set unavailable at a
  /// request's place, or everywhere, is in no answer; products without an event may be named too.
  std::uint64_t set_available(KeyView item, std::optional<bool> available, std::string_view place = {});
  std::uint64_t set_price(KeyView item, std::optional<float> price, std::string_view place = {});
  std::uint64_t set_attribute(KeyView item, std::string_view name, std::optional<std::vector<std::string>> values, std::string_view place = {});
  [[nodiscard]] EventStore::Offer offer(KeyView item, std::string_view place = {}) const { return events().offer(item, place); }
  [[nodiscard]] EventStore& events() noexcept;
  [[nodiscard]] const EventStore& events() const noexcept;

  /// Returns the publication's number, which answers carry.
  std::uint64_t publish(std::shared_ptr<const Snapshot> snapshot);
  /// Back to the publication before; a second call comes back. Returns its number; std::logic_error when there is none.
  std::uint64_t rollback();
  /// Lets go of the snapshot to roll back to.
  void forget_previous();
  /// Null before the first publish().
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  /// Replaced publications that are not freed yet because somebody reads them.
  [[nodiscard]] std::size_t unreclaimed() const;

  /// How logged answers of a placement explore from the next request on; nothing: they do not. Not kept on disk. PlacePolicy::kBootstrap
  /// needs a snapshot whose ranker has a bag: without one this and publish() throw std::invalid_argument, and after rollback() to one
  /// nothing is drawn.
  void explore(Placement placement, std::optional<Exploration> how);
  /// How what a shopper passed over sinks in a placement from the next request on; nothing: it does not. Not kept on disk. Reads what
  /// was logged: without log it has nothing to go by.
  void fatigue(Placement placement, std::optional<Fatigue> how);
  /// What was shown and what it caused.
  [[nodiscard]] ImpressionLog& impressions() noexcept;
  [[nodiscard]] const ImpressionLog& impressions() const noexcept;

  /// What another exploration of the same places would have done in the answers on record that were drawn.
  /// std::invalid_argument: a policy that a record does not explain ("bootstrap" without opinions, marginals that are not known).
  [[nodiscard]] WhatIf what_if(const Exploration& policy, const WhatIfOptions& options = {}) const;
  /// What another snapshot would have shown in them: each question is asked again, of this snapshot, as of then: the shopper's events,
  /// and what they were shown, up to that moment. Left out are answers whose question or shopper of then is not known any more, and those
  /// from before the snapshot's trained_ms, whose outcome its models may have been fitted on. Catalogue, offers, trending products and
  /// what is bought together are as of now. Costs an answer a record; nothing is logged, counted or cached.
  [[nodiscard]] WhatIf what_if(std::shared_ptr<const Snapshot> snapshot, const WhatIfOptions& options = {}) const;

  [[nodiscard]] Answer recommend(const Request& request) const;  ///< copies an answer out; the other form reuses memory

  /// The shopper as they stand now: what the snapshot's profiles say of them and every live event after its trained_ms, by
  /// the function that batch profiles are made with. std::logic_error without a snapshot, as for the next two.
  [[nodiscard]] ShopperState profile(KeyView user) const;
  /// Products that they bought, the likeliest to be bought within the horizon first; at most k. With a lifetime model in the
  /// snapshot the probabilities are of what the gaps say and of their being still a customer.
  [[nodiscard]] std::vector<DueAgain> buy_again(KeyView user, std::size_t k, double horizon_days = 7) const;
  /// The probability that they buy within the horizon that the snapshot's PurchaseIntent was made for; std::logic_error
  /// when it has none.
  [[nodiscard]] double intent(KeyView user) const;
  void recommend(const Request& request, Answer& answer, EngineScratch& scratch) const;

  /// Empty unless options.metrics.
  [[nodiscard]] EngineMetrics metrics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
