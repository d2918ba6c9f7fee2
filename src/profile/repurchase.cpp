// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <stdexcept>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "etalage/profile/profiles.hpp"
#include "profile/decay.hpp"

namespace etalage {
namespace {

constexpr double kUnit = 1048576;  // 2^20 steps
constexpr double kDefaultGapDays = 30;
constexpr double kLeastVariance = 0.04;

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

}  // namespace

void RepurchaseStatistics::add(std::int32_t item, const Observed& observed) {
  if (!observed.item_occasion) return;
  if (static_cast<std::size_t>(item) >= items_.size()) items_.resize(static_cast<std::size_t>(item) + 1);
  for (Sum* s : {&all_, &items_[static_cast<std::size_t>(item)]}) {
    ++s->occasions;
    if (observed.repurchase_gap_days <= 0) continue;
    const double log_gap = std::log(observed.repurchase_gap_days);
    ++s->gaps;
    s->log_gap += std::llround(log_gap * kUnit);
    s->log_gap2 += std::llround(log_gap * log_gap * kUnit);
  }
}

void RepurchaseStatistics::add(const RepurchaseStatistics& others) {
  std::vector<Sum> items(items_);
  items.resize(std::max(items_.size(), others.items_.size()));
  Sum all = all_;
  constexpr std::int64_t most = std::int64_t{1} << 56;  // of a file: two of them cannot overflow
  const auto take = [](Sum& to, const Sum& from) {
    to.occasions += from.occasions;
    to.gaps += from.gaps;
    to.log_gap += from.log_gap;
    to.log_gap2 += from.log_gap2;
    if (to.occasions > most || to.log_gap > most || to.log_gap < -most || to.log_gap2 > most)
      throw std::invalid_argument("others has counts that no purchases make together with these");
  };
  take(all, others.all_);
  for (std::size_t i = 0; i < others.items_.size(); ++i) take(items[i], others.items_[i]);
  all_ = all;
  items_ = std::move(items);
}

RepurchaseStatistics::Law RepurchaseStatistics::shop() const noexcept {
  if (all_.gaps == 0) return {std::log(kDefaultGapDays), 1.0, 0.0};
  const auto n = static_cast<double>(all_.gaps);
  const double mean = static_cast<double>(all_.log_gap) / kUnit / n;
  const double variance = static_cast<double>(all_.log_gap2) / kUnit / n - mean * mean;
  return {mean, std::max(kLeastVariance, variance), n / static_cast<double>(all_.occasions)};
}

RepurchaseStatistics::Law RepurchaseStatistics::of(std::int32_t item) const noexcept {
  const Law whole = shop();
  if (item < 0 || static_cast<std::size_t>(item) >= items_.size()) return whole;
  const Sum& s = items_[static_cast<std::size_t>(item)];
  const auto n = static_cast<double>(s.gaps);
  const double sum = static_cast<double>(s.log_gap) / kUnit;
  const double mean = (sum + kItemPrior * whole.mean) / (n + kItemPrior);
  // Second moments about the new mean, the prior's included.
  const double spread = static_cast<double>(s.log_gap2) / kUnit - 2 * mean * sum + n * mean * mean;
  const double variance = (spread + kItemPrior * whole.variance) / (n + kItemPrior);
  const double share = (n + kItemPrior * whole.share) / (static_cast<double>(s.occasions) + kItemPrior);
  return {mean, std::max(kLeastVariance, variance), share};
}

std::vector<BuyAgain> RepurchaseStatistics::likeliest(const UserProfile& user, std::int64_t now_ms, std::size_t k, double horizon_days) const {
  std::vector<BuyAgain> out;
  for (const ItemMemory& m : user.bought_unsorted()) out.push_back(expect(m, now_ms, horizon_days));
  std::sort(out.begin(), out.end(), [](const BuyAgain& a, const BuyAgain& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.item < b.item;
  });
  if (out.size() > k) out.resize(k);
  return out;
}

double RepurchaseStatistics::gap_days(std::int32_t item) const noexcept { return std::exp(of(item).mean); }
double RepurchaseStatistics::repeat_share(std::int32_t item) const noexcept { return of(item).share; }

BuyAgain RepurchaseStatistics::expect(const ItemMemory& memory, std::int64_t now_ms, double horizon_days) const {
  detail::require_finite(horizon_days > 0, "horizon_days", horizon_days, "a finite number > 0");
  const Law law = of(memory.item);
  const auto gaps = static_cast<double>(memory.count - 1);
  const double mean = (memory.sum_log_gap + law.mean) / (gaps + 1);
  const double share = (gaps + 2 * law.share) / (gaps + 1 + 2);
  const double sigma = std::sqrt(law.variance);
  const double elapsed = std::max(0.0, profile::days_between(memory.last_ms, now_ms));
  const auto within = [&](double days) { return days <= 0 ? 0.0 : normal_cdf((std::log(days) - mean) / sigma); };
  BuyAgain out;
  out.item = memory.item;
  out.count = memory.count;
  out.last_ms = memory.last_ms;
  out.gap_days = std::exp(mean);
  out.due_ms = memory.last_ms + std::llround(std::min(out.gap_days, 36500.0) * 86400000.0);
  out.probability = share * (within(elapsed + horizon_days) - within(elapsed)) / (1 - share * within(elapsed));
  return out;
}

void RepurchaseStatistics::save_state(StateWriter& writer) const {
  static_assert(sizeof(Sum) == 4 * sizeof(std::int64_t));
  Array<std::int64_t> flat(4 * (items_.size() + 1), uninitialized);
  std::int64_t* to = flat.mutable_data();
  std::memcpy(to, &all_, sizeof all_);
  if (!items_.empty()) std::memcpy(to + 4, items_.data(), items_.size() * sizeof(Sum));
  writer.put_array("sums", flat);
}

RepurchaseStatistics RepurchaseStatistics::from_state(const StateReader& reader) {
  RepurchaseStatistics out;
  const Array<std::int64_t> flat = reader.get_array<std::int64_t>("sums");
  if (flat.size() < 4 || flat.size() % 4 != 0) reader.fail("sums", "found " + std::to_string(flat.size()) + " numbers, expected 4 for the shop and 4 an item");
  std::memcpy(static_cast<void*>(&out.all_), flat.data(), sizeof out.all_);
  out.items_.resize(flat.size() / 4 - 1);
  if (!out.items_.empty()) std::memcpy(static_cast<void*>(out.items_.data()), flat.data() + 4, out.items_.size() * sizeof(Sum));
  constexpr std::int64_t most = std::int64_t{1} << 56;
  for (std::size_t i = 0; i < flat.size(); i += 4)
    if (flat[i] < 0 || flat[i + 1] < 0 || flat[i + 1] > flat[i] || flat[i] > most || flat[i + 2] > most || flat[i + 2] < -most || flat[i + 3] < 0 || flat[i + 3] > most)
      reader.fail("sums", "found counts that no purchases make");
  return out;
}

}  // namespace etalage
