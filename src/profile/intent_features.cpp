// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/intent_features.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "detail/check.hpp"
#include "profile/decay.hpp"

namespace etalage {
namespace {

using profile::days_between;

/// What several features need, taken from the profile once.
struct ProfileAt {
  const UserProfile& profile;
  const UserProfile::Counts& c;
  const UserProfile::Sums& s;
  std::int64_t now;
  double since_event;     // days, >= 0
  double since_purchase;  // days; without a purchase, since the first event
  double tenure;          // days since the first event
  bool bought;
  bool in_session;
  std::array<double, 3> fade;
  double due = 0;         // products whose own gap is about over
  double repeated = 0;    // products bought more than once
  std::size_t hour = 0;
  std::size_t weekday = 0;

  ProfileAt(const UserProfile& p, std::int64_t now_ms, const ProfileOptions& o) : profile(p), c(p.counts()), s(p.sums()), now(now_ms) {
    const bool seen = c.last_ms != UserProfile::kNever;
    since_event = seen ? std::max(0.0, days_between(c.last_ms, now)) : 0;
    tenure = seen ? std::max(0.0, days_between(c.first_ms, now)) : 0;
    bought = c.last_purchase_ms != UserProfile::kNever;
    since_purchase = bought ? std::max(0.0, days_between(c.last_purchase_ms, now)) : tenure;
    in_session = seen && since_event * 1440.0 <= o.idle_minutes;
    for (std::size_t h = 0; h < fade.size(); ++h) fade[h] = profile::halved(since_event, UserProfile::kRateHalfLives[h]);
    for (const ItemMemory& m : p.bought_unsorted()) {
      if (m.count < 2) continue;
      repeated += 1;
      const double gap = std::exp(m.sum_log_gap / static_cast<double>(m.count - 1));
      const double gone = days_between(m.last_ms, now) / gap;
      due += gone > 0.7 && gone < 2.0 ? 1 : 0;
    }
    // Whole minutes of the shop's clock; times of any calendar stay inside the tables.
    const double minutes = std::floor(static_cast<double>(now) / 60000.0) + o.utc_offset_minutes;
    const double day = std::floor(minutes / 1440.0);
    hour = std::min<std::size_t>(23, static_cast<std::size_t>((minutes - day * 1440.0) / 60.0));
    const double week = day + 3 - std::floor((day + 3) / 7.0) * 7.0;
    weekday = std::min<std::size_t>(6, static_cast<std::size_t>(week));
  }

  [[nodiscard]] double session(double x) const { return in_session ? x : 0; }
  [[nodiscard]] double rate(std::size_t half_life, std::size_t what) const { return std::log1p(std::max(0.0, s.rates[half_life][what]) * fade[half_life]); }
  [[nodiscard]] bool last_was(EventRole role) const { return in_session && c.last_role == static_cast<std::int64_t>(role); }
};

double log1(double x) { return std::log1p(std::max(0.0, x)); }
double log1(std::int64_t x) { return log1(static_cast<double>(x)); }

/// Share of a histogram's weight in one place, pulled towards an even spread.
template <std::size_t N>
double share(const std::array<double, N>& histogram, std::size_t at) {
  const double all = std::accumulate(histogram.begin(), histogram.end(), 0.0);
  return (histogram[at] * static_cast<double>(N) + 5) / (all + 5);
}

/// The expected gap between orders, pulled towards the time since the first event as if one gap lasted that long.
double usual_gap(const ProfileAt& m) {
  const auto n = static_cast<double>(m.c.order_gaps);
  return (n * m.s.gap_mean_days + std::max(1.0, m.tenure)) / (n + 1);
}

struct Feature {
  std::string_view name;
  double (*value)(const ProfileAt&);
};

constexpr std::array kFeatures{
    // Recency, frequency, money.
    Feature{"days_since_purchase", [](const ProfileAt& m) { return log1(m.since_purchase); }},
    Feature{"orders", [](const ProfileAt& m) { return log1(m.c.orders); }},
    Feature{"money", [](const ProfileAt& m) { return log1(m.s.money); }},
    Feature{"has_bought", [](const ProfileAt& m) { return m.bought ? 1.0 : 0.0; }},
    Feature{"days_since_event", [](const ProfileAt& m) { return log1(m.since_event); }},
    Feature{"days_since_first_event", [](const ProfileAt& m) { return log1(m.tenure); }},
    Feature{"purchases_per_order", [](const ProfileAt& m) { return log1(static_cast<double>(m.c.purchases) / static_cast<double>(std::max<std::int64_t>(1, m.c.orders))); }},
    Feature{"money_per_order", [](const ProfileAt& m) { return log1(m.s.money / static_cast<double>(std::max<std::int64_t>(1, m.c.orders))); }},
    Feature{"order_rate", [](const ProfileAt& m) { return std::log((static_cast<double>(m.c.orders) + 0.5) / (m.tenure + 30)); }},
    Feature{"bought_visits", [](const ProfileAt& m) { return (static_cast<double>(m.c.buying_sessions) + 1) / (static_cast<double>(m.c.sessions) + 4); }},
    Feature{"returns", [](const ProfileAt& m) { return static_cast<double>(m.c.returns) / static_cast<double>(m.c.purchases + 1); }},
    // Rates, fading by half in 7, 30 and 120 days.
    Feature{"views_7", [](const ProfileAt& m) { return m.rate(0, 0); }},
    Feature{"carts_7", [](const ProfileAt& m) { return m.rate(0, 1); }},
    Feature{"orders_7", [](const ProfileAt& m) { return m.rate(0, 2); }},
    Feature{"sessions_7", [](const ProfileAt& m) { return m.rate(0, 3); }},
    Feature{"money_7", [](const ProfileAt& m) { return m.rate(0, 4); }},
    Feature{"views_30", [](const ProfileAt& m) { return m.rate(1, 0); }},
    Feature{"carts_30", [](const ProfileAt& m) { return m.rate(1, 1); }},
    Feature{"orders_30", [](const ProfileAt& m) { return m.rate(1, 2); }},
    Feature{"sessions_30", [](const ProfileAt& m) { return m.rate(1, 3); }},
    Feature{"money_30", [](const ProfileAt& m) { return m.rate(1, 4); }},
    Feature{"views_120", [](const ProfileAt& m) { return m.rate(2, 0); }},
    Feature{"carts_120", [](const ProfileAt& m) { return m.rate(2, 1); }},
    Feature{"orders_120", [](const ProfileAt& m) { return m.rate(2, 2); }},
    Feature{"sessions_120", [](const ProfileAt& m) { return m.rate(2, 3); }},
    Feature{"money_120", [](const ProfileAt& m) { return m.rate(2, 4); }},
    // Gaps between orders.
    Feature{"gaps", [](const ProfileAt& m) { return log1(m.c.order_gaps); }},
    Feature{"gap_mean", [](const ProfileAt& m) { return log1(usual_gap(m)); }},
    Feature{"gap_spread", [](const ProfileAt& m) {
      const auto n = static_cast<double>(m.c.order_gaps);
      return n < 2 ? 1.0 : std::min(3.0, std::sqrt(m.s.gap_m2 / (n - 1)) / std::max(0.1, m.s.gap_mean_days));
    }},
    Feature{"last_gap", [](const ProfileAt& m) { return log1(m.s.last_gap_days); }},
    Feature{"gap_gone_by", [](const ProfileAt& m) { return std::log((m.since_purchase + 0.5) / (usual_gap(m) + 0.5)); }},
    Feature{"products_repeated", [](const ProfileAt& m) { return log1(m.repeated); }},
    Feature{"products_due", [](const ProfileAt& m) { return log1(m.due); }},
    Feature{"products_bought", [](const ProfileAt& m) { return log1(static_cast<double>(m.profile.bought_unsorted().size())); }},
    // Habits.
    Feature{"this_hour", [](const ProfileAt& m) { return std::log(share(m.s.hours, m.hour)); }},
    Feature{"this_weekday", [](const ProfileAt& m) { return std::log(share(m.s.weekdays, m.weekday)); }},
    Feature{"hour_sin", [](const ProfileAt& m) { return std::sin(2 * std::numbers::pi * static_cast<double>(m.hour) / 24); }},
    Feature{"hour_cos", [](const ProfileAt& m) { return std::cos(2 * std::numbers::pi * static_cast<double>(m.hour) / 24); }},
    Feature{"weekday_sin", [](const ProfileAt& m) { return std::sin(2 * std::numbers::pi * static_cast<double>(m.weekday) / 7); }},
    Feature{"weekday_cos", [](const ProfileAt& m) { return std::cos(2 * std::numbers::pi * static_cast<double>(m.weekday) / 7); }},
    Feature{"price_level", [](const ProfileAt& m) { return m.s.price_weight > 0 ? m.s.price_level / m.s.price_weight : 0.5; }},
    Feature{"top_band_share", [](const ProfileAt& m) {
      const double all = std::accumulate(m.s.bands.begin(), m.s.bands.end(), 0.0);
      return all > 0 ? *std::max_element(m.s.bands.begin(), m.s.bands.end()) / all : 0.0;
    }},
    // The session.
    Feature{"in_session", [](const ProfileAt& m) { return m.session(1); }},
    Feature{"session_events", [](const ProfileAt& m) { return m.session(log1(m.c.session_events)); }},
    Feature{"session_views", [](const ProfileAt& m) { return m.session(log1(m.c.session_views)); }},
    Feature{"session_carts", [](const ProfileAt& m) { return m.session(log1(m.c.session_carts)); }},
    Feature{"session_purchases", [](const ProfileAt& m) { return m.session(log1(m.c.session_purchases)); }},
    Feature{"session_open_carts", [](const ProfileAt& m) { return m.session(log1(m.c.session_carts - m.c.session_purchases)); }},
    Feature{"session_seconds", [](const ProfileAt& m) { return m.session(log1(86400 * days_between(m.c.session_start_ms, m.c.last_ms))); }},
    Feature{"session_pause", [](const ProfileAt& m) { return m.session(log1(86400 * m.since_event)); }},
    Feature{"session_seconds_an_event", [](const ProfileAt& m) {
      return m.session(log1(86400 * days_between(m.c.session_start_ms, m.c.last_ms) / static_cast<double>(std::max<std::int64_t>(1, m.c.session_events))));
    }},
    Feature{"session_products", [](const ProfileAt& m) { return m.session(log1(static_cast<double>(m.profile.session_items().size()))); }},
    Feature{"session_categories", [](const ProfileAt& m) { return m.session(log1(static_cast<double>(m.profile.session_categories().size()))); }},
    Feature{"session_returns_to_products", [](const ProfileAt& m) {
      return m.session(log1(static_cast<double>(m.c.session_events) - static_cast<double>(m.profile.session_items().size())));
    }},
    Feature{"session_price_level", [](const ProfileAt& m) {
      return m.in_session && m.c.session_priced > 0 ? m.s.session_price_level / static_cast<double>(m.c.session_priced) : 0.0;
    }},
    Feature{"session_price_max", [](const ProfileAt& m) { return m.session(m.s.session_price_max); }},
    Feature{"days_between_sessions", [](const ProfileAt& m) {
      return m.c.previous_end_ms == UserProfile::kNever ? 0.0 : log1(days_between(m.c.previous_end_ms, m.c.session_start_ms));
    }},
    Feature{"last_was_view", [](const ProfileAt& m) { return m.last_was(EventRole::kView) ? 1.0 : 0.0; }},
    Feature{"last_was_cart", [](const ProfileAt& m) { return m.last_was(EventRole::kCart) ? 1.0 : 0.0; }},
    Feature{"last_was_purchase", [](const ProfileAt& m) { return m.last_was(EventRole::kPurchase) ? 1.0 : 0.0; }},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kFeatures.size()> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = kFeatures[i].name;
  return out;
}();
constexpr std::array<std::int32_t, 3> kRfm{0, 1, 2};

}  // namespace

std::span<const std::string_view> IntentFeatures::names() noexcept { return kNames; }
std::span<const std::int32_t> IntentFeatures::rfm() noexcept { return kRfm; }

void IntentFeatures::compute(const UserProfile& profile, std::int64_t now_ms, const ProfileOptions& options, std::span<float> out) {
  detail::require(out.size() == kFeatures.size(), "out.size()", out.size(), "IntentFeatures::count()");
  const ProfileAt moment(profile, now_ms, options);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(kFeatures[i].value(moment));
}

}  // namespace etalage
