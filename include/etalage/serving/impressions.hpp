// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/serving/exploration.hpp"
#include "etalage/serving/journal.hpp"
#include "etalage/serving/key.hpp"
#include "etalage/serving/request.hpp"

namespace etalage {
/// Settings of ImpressionLog.
struct ETALAGE_EXPORT ImpressionOptions {
  int keep_days = 90;                                    ///< what was shown earlier is forgotten; >= 1
  std::uint64_t max_bytes = std::uint64_t{256} << 20;    ///< of memory, and about of disk: the oldest go first; >= 1 MiB
  bool keep_requests = true;                             ///< with each answer what was asked for, which what_if() of a snapshot needs
  int attribution_hours = 24;                            ///< an event without a request's number belongs to the newest impression of the product
                                                         ///< to that shopper within this time; 0: to none
  void validate() const;                                 ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "impression_days", o.keep_days, OptionRule(">= 1"), "impression_bytes", o.max_bytes, OptionRule(">= 1048576"),
                  "impression_requests", o.keep_requests, "attribution_hours", o.attribution_hours, OptionRule(">= 0 (0 means to none)"));
  }
};

/// One answer that was shown, as it was recorded, and what it caused.
struct ETALAGE_EXPORT Impression {
  /// What a shopper did with a product that was shown.
  struct Reaction {
    std::string event;        ///< type of the event
    std::int64_t time_ms = 0;  ///< UTC
    float value = 1;  ///< as it was told
    bool by_request = false;  ///< tied by the request's number; else by last touch within the window
    bool purchase = false;    ///< whether the type was a purchase
    bool returns = false;     ///< whether it took the newest purchase of the place back
  };
  /// One product where it stood.
  struct Place {
    Key item;  ///< the product
    std::string source;  ///< that named it
    float score = 0;  ///< of the ranking, before exploration
    bool explored = false;  ///< whether it was drawn rather than ranked there
    double propensity = 1;    ///< probability of this product at this place given the places above it
    std::vector<double> values;       ///< what the candidates of an explored place were worth
    std::vector<ShownCounts> counts;  ///< likewise, where the policy reads them
    std::vector<float> opinions;      ///< [models x candidates] likewise: what each bootstrapped model said that they were worth
    std::size_t chosen = 0;           ///< among these
    std::vector<Reaction> reactions;  ///< in order of arrival
  };
  /// What was asked for, so that it can be asked again.
  struct Question {
    std::size_t k = 0;                                  ///< products wanted
    std::string filter;                                 ///< Predicate::to_json(), "" without
    std::vector<Key> anchors;                           ///< as in Request
    std::vector<Key> session;                           ///< likewise
    std::vector<std::pair<Key, float>> given;           ///< likewise
    std::vector<float> query_vector;                    ///< likewise
    std::string segment;                                ///< likewise
    std::string place;                                  ///< likewise
    bool exclude_seen = true;                           ///< as it was answered
    bool fill = true;                                   ///< likewise
    std::uint32_t events = 0;                           ///< that the shopper's kept history had
    std::uint64_t mark = 0;                             ///< UserView::mark() of that history
    /// Longer ones (thousands of given candidates, a long list in a filter) are not kept.
    static constexpr std::size_t kMostBytes = std::size_t{1} << 16;
  };
  std::uint64_t request = 0;  ///< number of the answer, from 1 on
  std::int64_t time_ms = 0;  ///< UTC milliseconds of the answer
  std::optional<Key> user;  ///< who asked; none: nobody known
  Placement placement = Placement::kHome;  ///< what it was for
  std::uint64_t snapshot = 0;  ///< version of the snapshot that answered
  Exploration how = {};        ///< policy, its parameter and `pool`; slots and share are those of the places that say explored
  std::uint64_t seed = 0;      ///< of the draws
  std::optional<Question> question = {};  ///< nothing: not kept, or answered before questions were
  std::vector<Place> places;  ///< from the top

  /// The probability of what stood at a place whatever stands above it, as against Place::propensity.
  struct Marginal {
    double probability;  ///< NaN where the record does not say what else could have stood there
    double error;        ///< standard error of the draws; 0: exact
  };
  /// One a place. Exact where at most one drawn place is above, by `draws` walks through the places above elsewhere; the same seed, the
  /// same numbers. The record says what else could have stood at a place as long as candidates are worth the same at every place: below
  /// a place where variety, a cap or a share has changed that, all are NaN. std::invalid_argument for draws below 1.
  [[nodiscard]] std::vector<Marginal> marginals(int draws = 1000, std::uint64_t seed = 0) const;

  /// Whether drawing again from what was recorded gives the same products with the same probabilities, bit for bit.
  [[nodiscard]] bool replays() const;
};

/// What was shown to whom, and what came of it: a journal of its own, which no answer waits for.
///
/// Numbers    a request's number is unique and grows over the life of the folder
/// Durable    within the journal's interval, whatever the durability of events; kill -9 loses at most that
/// Credit     a reaction is tied to a place by the request's number, or by last touch. A return takes the credit of the shopper's newest
///            purchase of the product back. The same event of the same place is counted once
/// Erasure    of a shopper, and of the visitors that became them: from memory at once, from disk with the next compaction
/// Memory     what is on record, encoded: about 35 bytes a place and 120 a request, 8 more for each candidate of an explored place; with
///            keep_requests what was asked for too: the filter's text, 5 bytes and the key for each anchor, 9 and the key for each given
///            candidate, 4 for each number of a query vector
/// Threads    every member may be called concurrently
/// Errors     std::invalid_argument (an unknown request, a product that it did not show, a time before it), those of Journal
class ETALAGE_EXPORT ImpressionLog {
 public:
  explicit ImpressionLog(ImpressionOptions options = {});  ///< in memory alone
  /// Opens the folder, makes it if needed, and recovers what it holds.
  ImpressionLog(const std::filesystem::path& directory, ImpressionOptions options, JournalOptions journal);
  ~ImpressionLog();
  ImpressionLog(const ImpressionLog&) = delete;
  ImpressionLog& operator=(const ImpressionLog&) = delete;

  /// The library's own record of an answer; returns its number. `payload` is what encode() of impression_codec.hpp wrote.
  std::uint64_t show(std::span<const std::byte> payload);
  /// An event as it is told to the log.
  struct Told {
    KeyView user;  ///< who
    KeyView item;  ///< with what
    std::string_view event;  ///< the type of event
    std::int64_t time_ms = 0;  ///< UTC
    float value = 1;  ///< quantity or amount
    bool purchase = false;  ///< whether the type is a purchase
    bool returns = false;  ///< whether it takes one back
  };
  /// Throws unless the request showed the item at or before that time; changes nothing.
  void check(std::uint64_t request, const Told& told) const;
  /// Ties what happened to the request, or to nothing where it was told already. After check().
  void react(std::uint64_t request, const Told& told);
  /// The same by last touch; returns the request, 0 for none.
  std::uint64_t attribute(const Told& told);
  void merge(KeyView from, KeyView to);
  void erase(KeyView user);
  /// Forgets what is older than keep_days now.
  void forget(std::int64_t now_ms);

  [[nodiscard]] bool any() const noexcept;  ///< something was ever shown; takes no lock
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] std::uint64_t bytes() const;  ///< of memory that it takes, about
  [[nodiscard]] std::optional<Impression> find(std::uint64_t request) const;  ///< none for a request that was never made, was erased or forgotten
  /// All of them, oldest first, each decoded under the lock: `visit` must not call back.
  void each(const std::function<void(const Impression&)>& visit) const;
  /// How often a product was shown, and at how many of these places somebody reacted.
  [[nodiscard]] ShownCounts counts_of(KeyView item) const;
  /// What a shopper was shown at and after from_ms, in their newest `most` answers, newest first: each product, and whether they reacted to
  /// it there. Under the lock: `visit` must not call back. With the number of a request: what was before its answer alone.
  void each_shown_to(KeyView user, std::int64_t from_ms, int most, const std::function<void(KeyView item, bool reacted)>& visit,
                     std::uint64_t before = 0) const;

  void sync();  ///< makes all that was told durable
  void compact();  ///< replaces the log by what it amounts to
  /// Everything on record as one array of a file, and back: into a log that is empty and has no folder, else std::logic_error.
  void save_state(StateWriter& writer) const;
  void load_state(const StateReader& reader);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
