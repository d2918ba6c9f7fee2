// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/profile/profiles.hpp"

namespace etalage::testing {

inline constexpr std::int64_t kDay = 86'400'000;
inline constexpr std::int64_t kStart = 1'704'067'200'000;  // 2024-01-01, a Monday

/// 40 products: Home > Kitchen > {Mugs, Pans}, Home > Garden, Toys; 5 brands; prices 1 to 40.
inline std::shared_ptr<const Catalog> small_catalog(int n = 40) {
  Catalog::Columns c;
  std::vector<std::int64_t> keys;
  std::vector<float> prices;
  for (int i = 0; i < n; ++i) {
    keys.push_back(100 + i);
    prices.push_back(static_cast<float>(i + 1));
    const std::vector<std::string> path = i % 4 == 0   ? std::vector<std::string>{"Home", "Kitchen", "Mugs"}
                                          : i % 4 == 1 ? std::vector<std::string>{"Home", "Kitchen", "Pans"}
                                          : i % 4 == 2 ? std::vector<std::string>{"Home", "Garden"}
                                                       : std::vector<std::string>{"Toys"};
    c.categories.push_back(path);
    c.brands.push_back("brand" + std::to_string(i % 5));
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  c.prices = Array<float>(prices);
  return std::make_shared<const Catalog>(std::move(c));
}

/// A shop's year: `users` shoppers with visits of a few events each, ordered by time.
inline EventLog random_log(int users, int visits, unsigned seed, int items = 40) {
  std::mt19937 rng(seed);
  struct Row {
    std::int64_t time;
    std::int32_t user;
    std::int32_t item;
    std::uint16_t type;
    float value;
  };
  std::vector<Row> rows;
  for (int u = 0; u < users; ++u) {
    const int taste = static_cast<int>(rng() % 4);
    for (int v = 0; v < visits; ++v) {
      std::int64_t t = kStart + static_cast<std::int64_t>(rng() % 360) * kDay + static_cast<std::int64_t>(rng() % 86'400'000);
      const int length = 1 + static_cast<int>(rng() % 8);
      for (int e = 0; e < length; ++e) {
        const int item = (4 * static_cast<int>(rng() % 10) + (rng() % 3 == 0 ? static_cast<int>(rng() % 4) : taste)) % items;
        const auto dice = rng() % 10;
        const std::uint16_t type = dice < 6 ? 0 : dice < 8 ? 1 : dice < 9 || u % 3 == 0 ? 2 : 3;
        rows.push_back({t, u, item, type, static_cast<float>(1 + rng() % 3)});
        t += static_cast<std::int64_t>(rng() % 240'000);
      }
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.time < b.time; });
  EventLog::Columns c;
  const auto column = [&]<class T>(T Row::* member) {
    std::vector<T> out;
    for (const Row& r : rows) out.push_back(r.*member);
    return Array<T>(out);
  };
  c.users = column(&Row::user);
  c.items = column(&Row::item);
  c.events = column(&Row::type);
  c.times_ms = column(&Row::time);
  c.values = column(&Row::value);
  c.event_names = {"view", "cart", "purchase", "return"};
  return EventLog(std::move(c));
}

inline ProfileEvent event_of(const EventLog& log, std::int64_t row, const std::vector<EventRole>& roles) {
  const auto i = static_cast<std::size_t>(row);
  const auto& c = log.columns();
  return {c.items[i], roles[c.events[i]], c.times_ms[i], c.values[i]};
}

/// What golden files hold.
inline std::shared_ptr<Profiles> sample_profiles() {
  auto p = std::make_shared<Profiles>(std::make_shared<const ItemFacts>(*small_catalog()));
  p->add(random_log(8, 5, 4));
  return p;
}

/// What profiles say of their shoppers, one number after the other.
inline std::vector<double> profile_answers(const Profiles& p) {
  std::vector<double> out;
  const std::int64_t now = kStart + 380 * kDay;
  for (std::int32_t u = 0; u < p.size(); ++u) {
    const UserProfile& one = p.at(u);
    out.insert(out.end(), {static_cast<double>(one.counts().events), static_cast<double>(one.counts().orders), one.sums().money,
                           static_cast<double>(one.lifecycle(now, p.options())), one.price_level(), one.band_share(2)});
    for (const Affinity& a : one.categories()) out.insert(out.end(), {static_cast<double>(a.id), a.weight});
    for (const Affinity& a : one.brands()) out.insert(out.end(), {static_cast<double>(a.id), a.weight});
    for (const BuyAgain& b : p.buy_again(u, now, 5)) out.insert(out.end(), {static_cast<double>(b.item), b.gap_days, b.probability});
  }
  return out;
}

}  // namespace etalage::testing
