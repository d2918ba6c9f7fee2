// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/popularity.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/value_transform.hpp"
#include "detail/check.hpp"
#include "detail/days.hpp"
#include "etalage/error.hpp"
#include "core/scratch.hpp"
#include "models/training_data.hpp"

namespace etalage {
namespace {


void require_no_half_life(const PopularityOptions& options, const char* what) {
  if (options.half_life_days > 0)
    throw std::invalid_argument("half_life_days is " + std::to_string(options.half_life_days) + ", must be 0 when fitting on " +
                                what + ", which has no times");
}

// One row a user, one entry an event; canonical() sums them.
CsrMatrix rows_of(const Sequences& sequences, const PopularityOptions& options) {
  const bool decayed = options.half_life_days > 0;
  if (decayed && !sequences.has_times()) require_no_half_life(options, "sequences without times");
  const Array<std::int64_t>& times = sequences.times();
  const std::int64_t now = options.now_ms.value_or(
      decayed && !times.empty() ? *std::max_element(times.begin(), times.end()) : 0);
  std::int64_t users = sequences.user_ids() ? sequences.user_ids()->size() : 0;
  for (std::int64_t s = 0; s < sequences.size(); ++s) users = std::max<std::int64_t>(users, sequences.user_of(s) + 1);

  CsrMatrix m{users, sequences.num_items(), Array<std::int64_t>(static_cast<std::size_t>(users) + 1),
              Array<std::int32_t>(sequences.items().size()), Array<float>(sequences.items().size())};
  std::int64_t* offsets = m.offsets.mutable_data();
  for (std::int64_t s = 0; s < sequences.size(); ++s)
    offsets[sequences.user_of(s) + 1] += static_cast<std::int64_t>(sequences.items_of(s).size());
  for (std::int64_t u = 0; u < users; ++u) offsets[u + 1] += offsets[u];
  std::vector<std::int64_t> next(offsets, offsets + users);
  std::int32_t* columns = m.columns.mutable_data();
  float* values = m.values.mutable_data();
  for (std::int64_t s = 0; s < sequences.size(); ++s) {
    const auto items = sequences.items_of(s);
    const auto at = sequences.times_of(s);
    std::int64_t& place = next[static_cast<std::size_t>(sequences.user_of(s))];
    for (std::size_t j = 0; j < items.size(); ++j, ++place) {
      columns[place] = items[j];
      values[place] =
          decayed ? detail::stored_weight(std::exp2(std::max(-800.0, -static_cast<double>(now - at[j]) / (options.half_life_days * detail::kMsPerDay))))
                  : 1.0f;
    }
  }
  return m;
}

}  // namespace

void PopularityOptions::validate() const {
  require_options(*this);
  if (count == Count::kRate && half_life_days > 0)
    throw std::invalid_argument("half_life_days is " + std::to_string(half_life_days) +
                                ", must be 0 where count is \"rate\": give impressions of the time that is to count");
}

PopularityModel::PopularityModel(PopularityOptions options) : options_(options) { options_.validate(); }

FitReport PopularityModel::fit(const Interactions& data) {
  require_no_half_life(options_, "a matrix");
  fit_rows(data.user_items(), data.user_ids(), data.item_ids());
  newest_ms_ = data.newest_ms();
  return report_;
}

FitReport PopularityModel::fit(const Interactions& data, const ItemRates& rates) {
  if (options_.count != PopularityOptions::Count::kRate)
    throw std::invalid_argument("count is not \"rate\", must be where rates are given");
  detail::require(rates.rates.size() == static_cast<std::size_t>(data.user_items().cols), "length of rates", rates.rates.size(),
                  "the number of items");
  fit_rows(data.user_items(), data.user_ids(), data.item_ids(), &rates);
  newest_ms_ = data.newest_ms();
  return report_;
}

FitReport PopularityModel::fit(const CsrMatrix& user_items) {
  require_no_half_life(options_, "a matrix");
  fit_rows(canonical(user_items), nullptr, nullptr);
  return report_;
}

FitReport PopularityModel::fit(const Sequences& sequences) {
  CsrMatrix rows = rows_of(sequences, options_);
  if (options_.count == PopularityOptions::Count::kUsers && options_.half_life_days > 0) {
    // The newest event of each pair: sort by column, keep the largest weight.
    std::vector<std::pair<std::int32_t, float>> row;
    std::int64_t* offsets = rows.offsets.mutable_data();
    std::int32_t* columns = rows.columns.mutable_data();
    float* values = rows.values.mutable_data();
    std::int64_t kept = 0;
    for (std::int64_t u = 0, begin = 0; u < rows.rows; ++u) {
      row.clear();
      for (std::int64_t j = begin; j < offsets[u + 1]; ++j) row.emplace_back(columns[j], values[j]);
      begin = offsets[u + 1];
      std::sort(row.begin(), row.end(), [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first < b.first : a.second > b.second;
      });
      for (std::size_t j = 0; j < row.size(); ++j) {
        if (j != 0 && row[j].first == row[j - 1].first) continue;
        columns[kept] = row[j].first;
        values[kept++] = row[j].second;
      }
      offsets[u + 1] = kept;
    }
    rows.columns = Array<std::int32_t>(rows.columns.view().first(static_cast<std::size_t>(kept)));
    rows.values = Array<float>(rows.values.view().first(static_cast<std::size_t>(kept)));
  }
  const SharedIdMap& ids = sequences.user_ids();
  fit_rows(canonical(rows, "sequences"), ids, sequences.item_ids());
  if (sequences.has_times()) newest_ms_ = *std::max_element(sequences.times().begin(), sequences.times().end());
  return report_;
}

void PopularityModel::count(const CsrView& rows, double sign, double* totals) const noexcept {
  // With decay a user counts by the weight of their newest event, which is then their row's value.
  const bool binary = options_.count == PopularityOptions::Count::kUsers && options_.half_life_days == 0;
  for (std::size_t j = 0; j < rows.columns.size(); ++j) {
    const double w = binary ? (rows.values[j] > 0 ? 1.0 : 0.0) : static_cast<double>(rows.values[j]);
    totals[rows.columns[j]] += sign * w;
  }
}

void PopularityModel::sort_items(std::span<const float> s, std::int32_t* order, std::int32_t* places) {
  const auto n = static_cast<std::int32_t>(s.size());
  std::iota(order, order + n, 0);
  std::stable_sort(order, order + n,
                   [s](std::int32_t a, std::int32_t b) { return s[static_cast<std::size_t>(a)] > s[static_cast<std::size_t>(b)]; });
  for (std::int32_t i = 0; i < n; ++i) places[order[i]] = i;
}

void PopularityModel::set_segments(std::span<const std::int32_t> user_segments, double prior) {
  require_fitted();
  require_events("segments");
  detail::require_finite(prior >= 0, "prior", prior, "finite and >= 0");
  constexpr std::int32_t kMost = 65535;
  std::int32_t highest = -1;
  if (!user_segments.empty()) {
    detail::require(user_segments.size() == static_cast<std::size_t>(num_users_), "length of user_segments", user_segments.size(),
                    "empty or the number of users");
    if (!has_history()) throw std::invalid_argument("the model has no rows (keep_history is false), must have them to count segments");
    for (const std::int32_t g : user_segments) {
      detail::require(g >= -1 && g <= kMost, "user_segments", g, "in [-1, 65535]");
      highest = std::max(highest, g);
    }
  }
  num_segments_ = highest + 1;
  segments_ = Array<std::int32_t>(user_segments);
  prior_ = prior;
  rank_segments();
}

void PopularityModel::rank_segments() {
  const auto n = static_cast<std::size_t>(num_items());
  const auto groups = static_cast<std::size_t>(num_segments_);
  if (groups == 0 || !has_history()) {
    num_segments_ = 0;
    segments_ = {};
    segment_scores_ = {};
    segment_order_ = segment_places_ = {};
    return;
  }
  std::vector<std::int32_t> users(segments_.size());
  std::iota(users.begin(), users.end(), 0);
  std::stable_sort(users.begin(), users.end(), [&](std::int32_t a, std::int32_t b) {
    return segments_[static_cast<std::size_t>(a)] < segments_[static_cast<std::size_t>(b)];
  });
  const double all = std::accumulate(totals_.begin(), totals_.end(), 0.0);
  Array<float> scores(groups * n, uninitialized);
  Array<std::int32_t> order(groups * n, uninitialized);
  Array<std::int32_t> places(groups * n, uninitialized);
  std::vector<double> totals(n);
  auto next = users.begin();
  for (std::size_t g = 0; g < groups; ++g) {
    for (std::size_t i = 0; i < n; ++i) totals[i] = all > 0 ? prior_ * totals_[i] / all : 0.0;
    for (; next != users.end() && segments_[static_cast<std::size_t>(*next)] <= static_cast<std::int32_t>(g); ++next) {
      if (segments_[static_cast<std::size_t>(*next)] < 0) continue;
      CsrView row = history_.view();
      row.columns = history_.view().row_columns(*next);
      row.values = history_.view().row_values(*next);
      count(row, 1.0, totals.data());
    }
    float* s = scores.mutable_data() + g * n;
    for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<float>(totals[i]);
    sort_items({s, n}, order.mutable_data() + g * n, places.mutable_data() + g * n);
  }
  segment_scores_ = std::move(scores);
  segment_order_ = std::move(order);
  segment_places_ = std::move(places);
}

PopularityModel::Ranking PopularityModel::ranking_of(const Query& query) const noexcept {
  const std::int32_t g = query.user && !segments_.empty() ? segments_[static_cast<std::size_t>(*query.user)] : -1;
  if (g < 0) return {scores_.view(), order_.view(), places_.view()};
  const auto n = static_cast<std::size_t>(num_items());
  const std::size_t at = static_cast<std::size_t>(g) * n;
  return {segment_scores_.view().subspan(at, n), segment_order_.view().subspan(at, n), segment_places_.view().subspan(at, n)};
}

void PopularityModel::rank(std::span<const double> totals) {
  const std::size_t n = totals.size();
  Array<float> scores(n, uninitialized);
  Array<std::int32_t> order(n, uninitialized);
  Array<std::int32_t> places(n, uninitialized);
  float* s = scores.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    s[i] = static_cast<float>(totals[i]);
    if (!std::isfinite(s[i]))
      throw NumericalError("the weights of item " + std::to_string(i) + " sum to " + std::to_string(totals[i]) +
                           ", beyond float32; scale the weights down");
  }
  sort_items({s, n}, order.mutable_data(), places.mutable_data());
  totals_ = Array<double>(totals);
  scores_ = std::move(scores);
  order_ = std::move(order);
  places_ = std::move(places);
}

void PopularityModel::require_events(const char* what) const {
  if (options_.count == PopularityOptions::Count::kRate)
    throw std::invalid_argument(std::string("count is \"rate\", which counts impressions; ") + what + " need one that counts events");
}

void PopularityModel::fit_rows(const CsrMatrix& rows, const SharedIdMap& user_ids, const SharedIdMap& item_ids, const ItemRates* rates) {
  if (rates == nullptr && options_.count == PopularityOptions::Count::kRate)
    throw std::invalid_argument("count is \"rate\", which is counted from impressions: fit with rates (impressions)");
  const auto start = std::chrono::steady_clock::now();
  detail::check_training_shape(rows.rows, rows.cols);
  std::vector<double> totals(static_cast<std::size_t>(rows.cols), 0.0);
  if (rates != nullptr) std::copy(rates->rates.begin(), rates->rates.end(), totals.begin());
  else count(rows.view(), 1.0, totals.data());
  rank(totals);
  num_users_ = static_cast<std::int32_t>(rows.rows);
  fitted_ = true;
  set_ids(user_ids, item_ids);
  set_history(options_.keep_history ? rows : CsrMatrix{});
  fitted_on_ = pair_hash(rows.view());
  newest_ms_.reset();
  num_segments_ = 0;
  rank_segments();
  report_ = {};
  report_.stop_reason = FitReport::StopReason::kClosedForm;
  report_.iterations = 1;
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report_.phase_seconds = {{"count", report_.seconds}};
}

void PopularityModel::require_fitted() const {
  if (!fitted_) throw NotFittedError("Popularity is not fitted; call fit() or load a model first");
}

namespace {

void require_rows(const CsrView& rows, std::size_t wanted, std::int64_t cols, const char* name) {
  if (rows.rows != static_cast<std::int64_t>(wanted) || rows.cols != cols)
    throw std::invalid_argument(std::string(name) + " has shape (" + std::to_string(rows.rows) + ", " + std::to_string(rows.cols) +
                                "), must be (" + std::to_string(wanted) + ", " + std::to_string(cols) + ")");
  validate(rows, name);
}

CsrMatrix copy_of(const CsrView& v) {
  return {v.rows, v.cols, Array<std::int64_t>(v.offsets), Array<std::int32_t>(v.columns), Array<float>(v.values)};
}

// `rows` with the listed ones replaced by `with` [listed x cols].
CsrMatrix replaced(const CsrView& rows, std::span<const std::int32_t> listed, const CsrView& with) {
  std::vector<std::int64_t> from(static_cast<std::size_t>(rows.rows), -1);
  for (std::size_t j = 0; j < listed.size(); ++j) from[static_cast<std::size_t>(listed[j])] = static_cast<std::int64_t>(j);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  offsets.reserve(from.size() + 1);
  for (std::size_t r = 0; r < from.size(); ++r) {
    const CsrView& source = from[r] < 0 ? rows : with;
    const std::int64_t row = from[r] < 0 ? static_cast<std::int64_t>(r) : from[r];
    const auto c = source.row_columns(row);
    const auto v = source.row_values(row);
    columns.insert(columns.end(), c.begin(), c.end());
    values.insert(values.end(), v.begin(), v.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {rows.rows, rows.cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)};
}

void require_distinct(std::span<const std::int32_t> list, const char* name) {
  std::vector<std::int32_t> sorted(list.begin(), list.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    throw std::invalid_argument(std::string(name) + " holds " + std::to_string(*twice) + " twice, must be distinct");
}

}  // namespace

void PopularityModel::partial_fit_users(std::span<const std::int32_t> users, const CsrView& user_items) {
  require_fitted();
  require_events("partial fits");
  for (const std::int32_t u : users) check_user(u, "user_index");
  require_distinct(users, "user_index");
  require_rows(user_items, users.size(), num_items(), "user_items");
  if (!has_history())
    throw std::invalid_argument("the model has no rows (keep_history is false), must have them to replace some of them");
  const CsrMatrix fresh = canonical(copy_of(user_items));
  const CsrMatrix rows = replaced(history_.view(), users, fresh.view());
  // Counted afresh: adding and subtracting would leave rounding residue behind.
  std::vector<double> totals(static_cast<std::size_t>(num_items()), 0.0);
  count(rows.view(), 1.0, totals.data());
  rank(totals);
  set_history(rows);
  fitted_on_ = pair_hash(rows.view());
  rank_segments();
}

void PopularityModel::partial_fit_items(std::span<const std::int32_t> items, const CsrView& item_users) {
  require_fitted();
  require_events("partial fits");
  for (const std::int32_t i : items) check_item(i, "item_index");
  require_distinct(items, "item_index");
  require_rows(item_users, items.size(), num_users_, "item_users");
  const CsrMatrix fresh = canonical(copy_of(item_users), "item_users");
  std::vector<double> totals(totals_.begin(), totals_.end());
  for (std::size_t j = 0; j < items.size(); ++j) {
    CsrView one = fresh.view();
    const auto values = one.row_values(static_cast<std::int64_t>(j));
    const std::vector<std::int32_t> column(values.size(), items[j]);
    one.columns = column;
    one.values = values;
    totals[static_cast<std::size_t>(items[j])] = 0;
    count(one, 1.0, totals.data());
  }
  rank(totals);
  fitted_on_.reset();
  if (has_history()) {
    set_history(transpose(replaced(transpose(history_.view()).view(), items, fresh.view()).view()));
    fitted_on_ = pair_hash(history_.view());
  }
  rank_segments();
}

std::size_t PopularityModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  const Ranking ranking = ranking_of(query);
  const std::span<const std::int32_t> seen = excluded_of(query, scratch);
  const auto is_seen = [&](std::int32_t i) { return std::binary_search(seen.begin(), seen.end(), i); };
  const ItemFilter* filter = query.filter != nullptr && !query.filter->allows_everything() ? query.filter : nullptr;
  std::size_t count = 0;
  if (filter != nullptr && filter->is_walked(static_cast<std::size_t>(num_items()))) {
    // By place rather than by walking the order: a short list would be a long walk.
    std::vector<std::int32_t>& places = scratch.impl().ints;
    places.clear();
    filter->for_each_allowed_id([&](std::int64_t id) {
      if (id >= num_items()) return false;
      const auto item = static_cast<std::int32_t>(id);
      if (filter->allows(id) && !is_seen(item)) places.push_back(ranking.places[static_cast<std::size_t>(item)]);
      return true;
    });
    count = std::min(out.size(), places.size());
    std::partial_sort(places.begin(), places.begin() + static_cast<std::ptrdiff_t>(count), places.end());
    for (std::size_t j = 0; j < count; ++j) {
      const std::int32_t item = ranking.order[static_cast<std::size_t>(places[j])];
      out[j] = {item, ranking.scores[static_cast<std::size_t>(item)]};
    }
    return count;
  }
  for (const std::int32_t item : ranking.order) {
    if (count == out.size()) break;
    if (is_seen(item) || (filter != nullptr && !filter->allows(item))) continue;
    out[count++] = {item, ranking.scores[static_cast<std::size_t>(item)]};
  }
  return count;
}

void PopularityModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out, Scratch&) const {
  require_fitted();
  check(query);
  if (items.size() != out.size())
    throw std::invalid_argument("out has " + std::to_string(out.size()) + " entries, must have one for each of the " +
                                std::to_string(items.size()) + " items");
  for (std::size_t j = 0; j < items.size(); ++j) {
    check_item(items[j], "item");
    out[j] = ranking_of(query).scores[static_cast<std::size_t>(items[j])];
  }
}

Explanation PopularityModel::explain(const Query& query, std::int32_t item, std::size_t) const {
  require_fitted();
  check(query);
  check_item(item, "item_index");
  return {ranking_of(query).scores[static_cast<std::size_t>(item)], {}};
}

void PopularityModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  writer.put_int("count", static_cast<std::int64_t>(options_.count));
  writer.put_double("half_life_days", options_.half_life_days);
  writer.put_bool("has_now", options_.now_ms.has_value());
  if (options_.now_ms) writer.put_int("now_ms", *options_.now_ms);
  writer.put_bool("keep_history", options_.keep_history);
  writer.put_double("seconds", report_.seconds);
  writer.put_int("num_users", num_users_);
  writer.put_int("num_items", num_items());
  writer.put_array("totals", totals_);
  writer.put_array("scores", scores_);
  writer.put_array("order", order_);
  writer.put_array("places", places_);
  if (num_segments_ == 0) return;
  writer.put_int("segments/count", num_segments_);
  writer.put_double("segments/prior", prior_);
  writer.put_array("segments/users", segments_);
  writer.put_array("segments/scores", segment_scores_);
  writer.put_array("segments/order", segment_order_);
  writer.put_array("segments/places", segment_places_);
}

std::shared_ptr<PopularityModel> PopularityModel::from_state(const StateReader& reader) {
  PopularityOptions options;
  options.count = static_cast<PopularityOptions::Count>(reader.get_int("count", 0, 2));
  options.half_life_days = reader.get_double("half_life_days");
  if (reader.get_bool("has_now")) options.now_ms = reader.get_int("now_ms");
  options.keep_history = reader.get_bool("keep_history");
  if (!std::isfinite(options.half_life_days) || options.half_life_days < 0)
    reader.fail("half_life_days", "found " + std::to_string(options.half_life_days) + ", expected >= 0");
  if (options.count == PopularityOptions::Count::kRate && options.half_life_days > 0)
    reader.fail("half_life_days", "found " + std::to_string(options.half_life_days) + ", expected 0 beside rates");
  auto model = std::make_shared<PopularityModel>(options);
  constexpr std::int64_t kMax = 2'147'483'647;
  model->num_users_ = static_cast<std::int32_t>(reader.get_int("num_users", 0, kMax));
  const auto n = static_cast<std::size_t>(reader.get_int("num_items", 0, kMax));
  model->totals_ = reader.get_array<double>("totals", n);
  model->scores_ = reader.get_array<float>("scores", n);
  model->order_ = reader.get_array<std::int32_t>("order", n);
  model->places_ = reader.get_array<std::int32_t>("places", n);
  if (reader.verify()) {
    for (std::size_t i = 0; i < n; ++i) {
      const std::int32_t item = model->order_[i];
      if (item < 0 || static_cast<std::size_t>(item) >= n ||
          model->places_[static_cast<std::size_t>(item)] != static_cast<std::int32_t>(i))
        reader.fail("order", "found " + std::to_string(item) + " at " + std::to_string(i) + ", expected the inverse of places");
    }
  }
  if (reader.has("segments/count")) {
    model->num_segments_ = static_cast<std::int32_t>(reader.get_int("segments/count", 1, 65536));
    model->prior_ = reader.get_double("segments/prior");
    const std::size_t all = static_cast<std::size_t>(model->num_segments_) * n;
    model->segments_ = reader.get_array<std::int32_t>("segments/users", static_cast<std::size_t>(model->num_users_));
    model->segment_scores_ = reader.get_array<float>("segments/scores", all);
    model->segment_order_ = reader.get_array<std::int32_t>("segments/order", all);
    model->segment_places_ = reader.get_array<std::int32_t>("segments/places", all);
    if (reader.verify()) {
      for (const std::int32_t g : model->segments_)
        if (g < -1 || g >= model->num_segments_) reader.fail("segments/users", "found " + std::to_string(g) + ", expected a segment or -1");
      for (std::size_t i = 0; i < all; ++i) {
        const std::int32_t item = model->segment_order_[i];
        if (item < 0 || static_cast<std::size_t>(item) >= n ||
            model->segment_places_[i / n * n + static_cast<std::size_t>(item)] != static_cast<std::int32_t>(i % n))
          reader.fail("segments/order", "found " + std::to_string(item) + ", expected the inverse of places");
      }
    }
  }
  model->report_.stop_reason = FitReport::StopReason::kClosedForm;
  model->report_.iterations = 1;
  model->report_.seconds = reader.get_double("seconds");
  model->fitted_ = true;
  model->load_base(reader);
  return model;
}

}  // namespace etalage
