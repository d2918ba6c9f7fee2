// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/repeat_purchase.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/days.hpp"
#include "models/sequence/sequence_scratch.hpp"

namespace etalage {
namespace {

constexpr std::size_t kCounts = 8;
constexpr double kShareShrinkage = 20;

/// The purchases of one item by one user.
struct Purchases {
  std::size_t count = 0;
  std::size_t last_place = 0;
  std::int64_t last_ms = 0;
  double sum_log_gaps = 0;
  double sum_squares = 0;
  std::size_t gaps = 0;
};

/// Visits each item of a list with its purchases, items ascending. keys is working memory.
template <class Visit>
void group_purchases(std::span<const std::int32_t> items, std::span<const std::int64_t> times, double min_gap_ms,
                     std::vector<std::uint64_t>& keys, const Visit& visit) {
  keys.clear();
  for (std::size_t p = 0; p < items.size(); ++p) keys.push_back((static_cast<std::uint64_t>(items[p]) << 32) | p);
  std::sort(keys.begin(), keys.end());
  for (std::size_t b = 0; b < keys.size();) {
    const auto item = static_cast<std::int32_t>(keys[b] >> 32);
    Purchases one;
    for (; b < keys.size() && static_cast<std::int32_t>(keys[b] >> 32) == item; ++b) {
      const auto place = static_cast<std::size_t>(keys[b] & 0xFFFFFFFFu);
      if (times.empty()) {
        ++one.count;
      } else {
        // Subtracted as doubles: the times of a file may be any.
        const double gap = static_cast<double>(times[place]) - static_cast<double>(one.last_ms);
        if (one.count == 0) ++one.count;
        else if (gap >= min_gap_ms && gap > 0) {
          const double log_gap = std::log(gap / detail::kMsPerDay);
          ++one.count;
          ++one.gaps;
          one.sum_log_gaps += log_gap;
          one.sum_squares += log_gap * log_gap;
        }
        one.last_ms = times[place];
      }
      one.last_place = place;
    }
    visit(item, one);
  }
}

}  // namespace

void RepeatPurchaseOptions::validate() const {
  require_options(*this);
}

RepeatPurchaseModel::RepeatPurchaseModel(RepeatPurchaseOptions options) : options_(options) { options_.validate(); }

FitReport RepeatPurchaseModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto n = static_cast<std::size_t>(sequences.num_items());
  const double min_gap_ms = static_cast<double>(options_.min_gap_days) * detail::kMsPerDay;
  Array<std::int64_t> times;
  const CsrMatrix rows = ordered_rows(sequences, &times);
  std::vector<double> bought(kCounts, 0.0);
  std::vector<double> again_counts(kCounts, 0.0);
  Array<float> purchases(n);
  Array<float> followed(n);
  std::vector<double> log_sum(n, 0.0);
  std::vector<double> gaps(n, 0.0);
  double sum = 0;
  double squares = 0;
  double count = 0;
  float* bought_of = purchases.mutable_data();
  float* followed_of = followed.mutable_data();
  std::vector<std::uint64_t> keys;
  for (std::int64_t u = 0; u < rows.rows; ++u) {
    const auto begin = static_cast<std::size_t>(rows.offsets[static_cast<std::size_t>(u)]);
    const auto items = rows.view().row_columns(u);
    const auto at = times.empty() ? std::span<const std::int64_t>{} : times.view().subspan(begin, items.size());
    group_purchases(items, at, min_gap_ms, keys, [&](std::int32_t item, const Purchases& p) {
      const auto i = static_cast<std::size_t>(item);
      bought_of[i] += static_cast<float>(p.count);
      followed_of[i] += static_cast<float>(p.count - 1);
      for (std::size_t m = 0; m < p.count; ++m) {
        bought[std::min(m, kCounts - 1)] += 1;
        if (m + 1 < p.count) again_counts[std::min(m, kCounts - 1)] += 1;
      }
      log_sum[i] += p.sum_log_gaps;
      gaps[i] += static_cast<double>(p.gaps);
      sum += p.sum_log_gaps;
      squares += p.sum_squares;
      count += static_cast<double>(p.gaps);
    });
  }
  take_sequences(sequences, options_.keep_history);
  timed_ = count > 0;
  mu_ = timed_ ? sum / count : 0.0;
  sigma_ = timed_ ? std::max(0.25, std::sqrt(std::max(0.0, squares / count - mu_ * mu_))) : 1.0;
  double all = 0;
  double all_again = 0;
  for (std::size_t m = 0; m < kCounts; ++m) {
    all += bought[m];
    all_again += again_counts[m];
  }
  const double overall = all > 0 ? all_again / all : 0.0;
  shares_ = Array<double>(kCounts);
  for (std::size_t m = 0; m < kCounts; ++m)
    shares_.mutable_data()[m] = (again_counts[m] + kShareShrinkage * overall) / (bought[m] + kShareShrinkage);
  mean_log_gaps_ = Array<float>(n);
  const auto s = static_cast<double>(options_.item_shrinkage);
  for (std::size_t i = 0; i < n; ++i) mean_log_gaps_.mutable_data()[i] = static_cast<float>((log_sum[i] + s * mu_) / (gaps[i] + s));
  Array<float> popularity(n);
  for (std::size_t i = 0; i < n; ++i) popularity.mutable_data()[i] = followed[i] + counts()[i] / 1000;
  set_counts(std::move(popularity));
  purchases_ = std::move(purchases);
  followed_ = std::move(followed);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("gaps", seconds, callback);
}

double RepeatPurchaseModel::again(std::int32_t item, std::size_t purchases) const noexcept {
  const auto i = static_cast<std::size_t>(item);
  const auto s = static_cast<double>(options_.item_shrinkage);
  const double share = shares_[std::min(std::max<std::size_t>(purchases, 1), kCounts) - 1];
  return (static_cast<double>(followed_[i]) + s * share) / (static_cast<double>(purchases_[i]) + s);
}

double RepeatPurchaseModel::median_gap_days(std::int32_t item) const noexcept {
  return timed_ ? std::exp(static_cast<double>(mean_log_gaps_[static_cast<std::size_t>(item)])) : 0.0;
}

template <class Visit>
void RepeatPurchaseModel::each_item(const OrderedItems& history, detail::SequenceScratch& scratch, const Visit& visit) const {
  const bool timed = timed_ && history.times.size() == history.items.size() && history.now_ms.has_value();
  const double now = static_cast<double>(history.now_ms.value_or(0));
  const auto t = static_cast<double>(options_.user_shrinkage);
  group_purchases(history.items, timed ? history.times : std::span<const std::int64_t>{},
                  static_cast<double>(options_.min_gap_days) * detail::kMsPerDay, scratch.keys, [&](std::int32_t item, const Purchases& p) {
                    const double a = again(item, p.count);
                    if (!timed) {
                      visit(item, p.last_place, static_cast<float>(a));
                      return;
                    }
                    const double days = (now - static_cast<double>(p.last_ms)) / detail::kMsPerDay;
                    if (!(days > 0)) return;
                    const double mean = (p.sum_log_gaps + t * static_cast<double>(mean_log_gaps_[static_cast<std::size_t>(item)])) /
                                        (static_cast<double>(p.gaps) + t);
                    const double z = (std::log(days) - mean) / sigma_;
                    const double density = std::exp(-0.5 * z * z) / (days * sigma_ * std::sqrt(2 * 3.14159265358979323846));
                    const double reached = 0.5 * std::erfc(-z / std::sqrt(2.0));
                    visit(item, p.last_place, static_cast<float>(a * density / std::max(1e-12, 1 - a * reached)));
                  });
}

void RepeatPurchaseModel::add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const {
  each_item(history, scratch, [&](std::int32_t item, std::size_t, float score) { scores.add(item, score); });
}

void RepeatPurchaseModel::add_similar(std::int32_t, detail::SparseScores&, detail::SequenceScratch&) const {}

void RepeatPurchaseModel::add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                                    detail::SequenceScratch& scratch) const {
  each_item(history, scratch, [&](std::int32_t i, std::size_t place, float score) {
    if (i == item) parts[place] = score;
  });
}

std::size_t RepeatPurchaseModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                               const ItemFilter* filter) const {
  return Recommender::similar_items(item, out, scratch, filter);
}

void RepeatPurchaseModel::save_state(StateWriter& writer) const {
  SequenceModel::save_state(writer);
  put_options(writer, options_);
  writer.put_bool("timed", timed_);
  writer.put_double("mu", mu_);
  writer.put_double("sigma", sigma_);
  writer.put_array("shares", shares_);
  writer.put_array("purchases", purchases_);
  writer.put_array("followed", followed_);
  writer.put_array("mean_log_gaps", mean_log_gaps_);
}

std::shared_ptr<RepeatPurchaseModel> RepeatPurchaseModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<RepeatPurchaseModel>(get_options<RepeatPurchaseOptions>(reader));
  model->load_sequences(reader);
  const auto n = static_cast<std::size_t>(model->num_items());
  model->timed_ = reader.get_bool("timed");
  model->mu_ = reader.get_double("mu");
  model->sigma_ = reader.get_double("sigma");
  if (!std::isfinite(model->mu_) || !std::isfinite(model->sigma_) || !(model->sigma_ > 0))
    reader.fail("sigma", "found mean " + std::to_string(model->mu_) + " and deviation " + std::to_string(model->sigma_) +
                             ", expected finite numbers and a deviation > 0");
  model->shares_ = reader.get_array<double>("shares", kCounts);
  model->purchases_ = reader.get_array<float>("purchases", n);
  model->followed_ = reader.get_array<float>("followed", n);
  model->mean_log_gaps_ = reader.get_array<float>("mean_log_gaps", n);
  return model;
}

}  // namespace etalage
