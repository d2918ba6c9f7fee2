// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/scratch.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

namespace detail {
class RowPatches;
}  // namespace detail

/// One request. What is given decides who is asked about:
///   user alone               the fitted user, with the rows kept at fit time as their history
///   user and history         history replaces the kept rows (for seen items; for the taste too with recalculate_user)
///   history without user     an unknown user, folded in
///   session                  the last items of a visit, oldest first, added to the history; they count as taste
struct Query {
  std::optional<std::int32_t> user = {};        ///< row of the fitted model
  std::span<const std::int32_t> history = {};   ///< items, oldest first where order matters
  std::span<const std::int32_t> session = {};   ///< items, oldest first
  const ItemFilter* filter = nullptr;           ///< allow / deny, reusable, shared between queries
  bool exclude_seen = true;                     ///< leave out the items of history and session
  bool recalculate_user = false;                ///< fold the user in from history instead of taking what was fitted
  std::span<const float> history_values = {};   ///< [history.size()] or empty, which means 1 each
  bool history_given = false;                   ///< an empty history is meant: replaces the kept rows by none
  std::span<const std::int64_t> history_times = {};  ///< UTC milliseconds [history.size()] or empty; for models of time
  std::optional<std::int64_t> now_ms = {};      ///< when the question is asked, for models of time; default: newest event
  /// Leave out the item that the shopper is looking at, the newest of session (without one, of history), whatever
  /// exclude_seen says. Unset: as Recommender::excludes_last() decides.
  std::optional<bool> exclude_last = {};
};

/// Whether a model leaves out the newest item of a query, what the shopper is looking at, where the query does not say.
enum class ExcludeLast : std::uint8_t {
  kSession,  ///< that of a session, which is going on; not that of a history
  kYes,      ///< that of a session, or of a history where there is no session
  kNo        ///< what is newest is listed like anything else
};
/// As options spell them.
template <>
inline constexpr auto option_names<ExcludeLast> = std::to_array<OptionName<ExcludeLast>>(
    {{"session", ExcludeLast::kSession}, {"true", ExcludeLast::kYes}, {"false", ExcludeLast::kNo}});

/// What a model was fitted on, without order, values and times: equal for equal sets of (user, item) pairs. Two sums of
/// 64 hashed bits, so that sets which do not overlap add up.
struct ETALAGE_EXPORT PairHash {
  std::uint64_t low = 0;  ///< sum of one half of the hashes
  std::uint64_t high = 0;  ///< sum of the other half
  std::int64_t pairs = 0;  ///< different ones
  friend bool operator==(const PairHash&, const PairHash&) = default;  ///< field by field
  void add(std::int32_t user, std::int32_t item) noexcept;  ///< a pair that is not in yet
  void remove(std::int32_t user, std::int32_t item) noexcept;  ///< a pair that is in
};
/// Of every stored entry of the rows, whatever its value; repeats within a row count once.
[[nodiscard]] ETALAGE_EXPORT PairHash pair_hash(const CsrView& user_items);
[[nodiscard]] ETALAGE_EXPORT PairHash pair_hash(const Sequences& sequences);

/// Why an item was recommended: `contributions` holds the history items with the largest shares, descending, at most k;
/// total is the item's whole score. The model's page says by what rule the parts sum to it.
struct Explanation {
  float total = 0;  ///< the item's score
  std::vector<ItemScore> contributions;  ///< largest magnitude first
};

/// Every model. Const members may be called from any number of threads.
///
/// Results are ordered by descending score, ties by lower index. Scores are higher-is-better. A call that a model does
/// not have throws UnsupportedError. An index outside the model is std::out_of_range.
class ETALAGE_EXPORT Recommender : public Storable {
 public:
  ~Recommender() override;

  [[nodiscard]] std::string_view kind() const noexcept override = 0;  ///< "ALS", as in files and messages
  [[nodiscard]] virtual std::int32_t num_users() const noexcept = 0;
  [[nodiscard]] virtual std::int32_t num_items() const noexcept = 0;

  /// Writes up to out.size() results and returns how many; no padding; no allocation once scratch is warm.
  virtual std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const = 0;
  /// out [queries.size() x k], counts [queries.size()]; rows beyond counts[i] are left alone. The default spreads
  /// recommend() over threads; factor models do better.
  virtual void recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                               int num_threads = 0) const;
  /// Scores of the given items for the query, whether or not seen or filtered; out [items.size()].
  virtual void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                     Scratch& scratch) const = 0;

  /// Never the item itself.
  virtual std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                    const ItemFilter* filter = nullptr) const;
  /// Never the user itself; ItemScore::item holds a user index.
  virtual std::size_t similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const;
  [[nodiscard]] virtual Explanation explain(const Query& query, std::int32_t item, std::size_t k) const;

  /// The shop's keys; null when the model was fitted on bare indices.
  [[nodiscard]] const SharedIdMap& user_ids() const noexcept { return user_ids_; }
  [[nodiscard]] const SharedIdMap& item_ids() const noexcept { return item_ids_; }
  /// The rows kept from fitting; offsets are empty when none were kept.
  /// Rows that partial_fit_*() changed are brought in by the first call that asks for them all; kept_items() and kept_values()
  /// read one row and never do.
  [[nodiscard]] const CsrMatrix& history() const;
  /// The kept row of a user; empty without one.
  [[nodiscard]] std::span<const std::int32_t> kept_items(std::int32_t user) const noexcept;
  [[nodiscard]] std::span<const float> kept_values(std::int32_t user) const noexcept;
  [[nodiscard]] bool has_history() const noexcept { return !history_.offsets.empty(); }
  /// The pairs of the last fit and of what was added since; nothing where they are not known (a file of an older version,
  /// vectors from elsewhere).
  [[nodiscard]] const std::optional<PairHash>& fitted_on() const noexcept { return fitted_on_; }
  /// How events were made into what the model was fitted on, as JSON: {"duplicates": "max", ...}, as etalage.Recipe of Python
  /// writes it. Set by whoever made the matrix, for a fit does not know; kept in files; empty where nobody said.
  [[nodiscard]] const std::string& recipe() const noexcept { return recipe_; }
  void set_recipe(std::string json) { recipe_ = std::move(json); }
  /// UTC milliseconds of the newest event that the last fit knew of, and what was added since where it has times; none without
  /// times. A snapshot counts later events as live.
  [[nodiscard]] const std::optional<std::int64_t>& newest_ms() const noexcept { return newest_ms_; }
  /// Whether the query says nothing that the model can use: an unknown shopper, or a known one without rows. Both get the
  /// model's cold-start answer.
  [[nodiscard]] virtual bool is_cold(const Query& query) const noexcept;
  /// Whether the query's newest item is left out: what it says itself. Else models to which order matters leave out that
  /// of a session, unless what they were fitted on shows that the same item follows itself (SequenceModel counts).
  [[nodiscard]] virtual bool excludes_last(const Query& query) const noexcept;
  void set_ids(SharedIdMap user_ids, SharedIdMap item_ids);
  virtual void set_history(CsrMatrix history);

  /// Everything that load() needs; overriders call the base first.
  void save_state(StateWriter& writer) const override;

 protected:
  Recommender() = default;
  Recommender(const Recommender&) = default;
  Recommender& operator=(const Recommender&) = default;
  void load_base(const StateReader& reader);
  /// Checks user, history, session and filter against this model; std::out_of_range or std::invalid_argument.
  void check(const Query& query) const;
  void check_item(std::int32_t item, const char* argument) const;
  void check_user(std::int32_t user, const char* argument) const;
  /// What counts as history of a query by the table above (given, or the kept row); session not included.
  [[nodiscard]] std::span<const std::int32_t> history_of(const Query& query) const noexcept;
  [[nodiscard]] std::span<const float> history_values_of(const Query& query) const noexcept;
  /// What a list must not hold, by exclude_seen and excludes_last(): sorted, unique, valid until scratch is used again.
  [[nodiscard]] std::span<const std::int32_t> excluded_of(const Query& query, Scratch& scratch) const;

  /// Replaces the kept row of a user, who may be new; a change costs what it changes. `columns` ascend.
  void set_kept_row(std::int32_t user, std::span<const std::int32_t> columns, std::span<const float> values);
  /// The same for an item's users, which ascend, in a model whose rows ascend. One pass over the kept items finds those who had
  /// it; a new item needs none.
  void set_kept_column(std::int32_t item, std::span<const std::int32_t> users, std::span<const float> values);
  /// Room for more users, without rows, and items.
  void grow_kept_rows(std::int32_t users, std::int32_t items);

  SharedIdMap user_ids_;  ///< keys by user; null without
  SharedIdMap item_ids_;  ///< keys by item; null without
  /// Rows that are kept, without what set_kept_row() and grow_kept_rows() changed.
  CsrMatrix history_;  // without what set_kept_row() and grow_kept_rows() changed
  std::shared_ptr<detail::RowPatches> history_patches_;  ///< what these changed; null for nothing
  std::optional<PairHash> fitted_on_;  ///< what it was fitted on; none where nobody knows
  std::string recipe_;  ///< JSON, empty where nobody said
  std::optional<std::int64_t> newest_ms_;  ///< newest event of the fit; none where it had no times
};

}  // namespace etalage
