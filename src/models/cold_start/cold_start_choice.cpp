// SPDX-License-Identifier: Apache-2.0
// Which settings of the cold start predict best, on known rows that are left out for it.
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/models/cold_start.hpp"

namespace etalage {
namespace {

constexpr std::size_t kTop = 20;
constexpr std::int32_t kMostRows = 1500;
constexpr std::size_t kParts = 2;

/// Known rows that are left out, and who is asked about them.
struct Part {
  std::vector<float> rest;           // support of the others, 0 where left out [n]
  std::vector<std::int32_t> place;   // [n] among those left out, -1 elsewhere
  std::vector<std::int64_t> users;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  [[nodiscard]] std::size_t size() const noexcept { return offsets.size() - 1; }
};

Part part_of(std::size_t number, const CsrView& attributes, std::span<const float> support, const CsrView& user_items) {
  const auto n = static_cast<std::size_t>(attributes.rows);
  // A fifth of the known rows, or 2000 of very many, by a hash of their number.
  const std::size_t all = support.empty() ? n : static_cast<std::size_t>(std::ranges::count_if(support, [](float v) { return v > 0; }));
  const std::size_t every = std::max<std::size_t>(5, all / 2000);
  Part part;
  part.rest.assign(n, 0.0f);
  part.place.assign(n, -1);
  for (std::size_t i = 0; i < n; ++i) {
    if (!support.empty() && support[i] <= 0) continue;
    if (((i + 1) * 0x9E3779B97F4A7C15ull >> 32) % every != number) {
      part.rest[i] = support.empty() ? 1.0f : support[i];
      continue;
    }
    part.place[i] = static_cast<std::int32_t>(part.size());
    const auto row = static_cast<std::int64_t>(i);
    part.columns.insert(part.columns.end(), attributes.row_columns(row).begin(), attributes.row_columns(row).end());
    part.values.insert(part.values.end(), attributes.row_values(row).begin(), attributes.row_values(row).end());
    part.offsets.push_back(static_cast<std::int64_t>(part.columns.size()));
  }
  const std::int64_t stride = std::max<std::int64_t>(1, user_items.rows / 2000);
  for (std::int64_t u = 0; u < user_items.rows; u += stride)
    if (std::ranges::any_of(user_items.row_columns(u), [&](std::int32_t i) { return part.place[static_cast<std::size_t>(i)] >= 0; })) part.users.push_back(u);
  return part;
}

/// Mean recall of those left out in the users' lists of them.
double recall_of(const Part& part, std::span<const float> predicted, MatrixView<const float> user_factors, const CsrView& user_items, int num_threads) {
  const std::size_t f = user_factors.cols();
  std::vector<double> recalls(part.users.size());
  detail::parallel_for(part.users.size(), 32, num_threads, [&](std::size_t b, std::size_t e, int) {
    std::vector<double> scores(part.size());
    for (std::size_t j = b; j < e; ++j) {
      const std::span<const float> x = user_factors.row(static_cast<std::size_t>(part.users[j]));
      for (std::size_t i = 0; i < scores.size(); ++i) {
        double s = 0;
        for (std::size_t k = 0; k < f; ++k) s += static_cast<double>(x[k]) * static_cast<double>(predicted[i * f + k]);
        scores[i] = s;
      }
      double hits = 0;
      double wanted = 0;
      for (const std::int32_t item : user_items.row_columns(part.users[j])) {
        if (part.place[static_cast<std::size_t>(item)] < 0) continue;
        const auto at = static_cast<std::size_t>(part.place[static_cast<std::size_t>(item)]);
        wanted += 1;
        std::size_t above = 0;
        for (std::size_t i = 0; i < scores.size(); ++i) above += scores[i] > scores[at] || (scores[i] == scores[at] && i < at);
        hits += above < kTop ? 1 : 0;
      }
      recalls[j] = hits / wanted;
    }
  });
  return std::accumulate(recalls.begin(), recalls.end(), 0.0) / static_cast<double>(recalls.size());
}

}  // namespace

ColdStartOptions ColdStart::chosen(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support,
                                   MatrixView<const float> user_factors, const CsrView& user_items, ColdStartOptions options) {
  options.validate();
  validate(attributes, "attributes");
  validate(user_items, "user_items");
  const auto n = static_cast<std::size_t>(attributes.rows);
  detail::require(factors.rows() == n, "factors.rows()", factors.rows(), "attributes.rows");
  detail::require(support.empty() || support.size() == n, "support.size()", support.size(), "attributes.rows, or 0");
  detail::require(user_items.cols == attributes.rows, "user_items.cols", user_items.cols, "attributes.rows");
  detail::require(user_factors.rows() == static_cast<std::size_t>(user_items.rows), "user_factors.rows()", user_factors.rows(), "user_items.rows");
  detail::require(user_factors.cols() == factors.cols(), "user_factors.cols()", user_factors.cols(), "factors.cols()");

  std::vector<Part> parts;
  for (std::size_t number = 0; number < kParts; ++number) {
    Part part = part_of(number, attributes, support, user_items);
    const auto left = std::ranges::count_if(part.rest, [](float s) { return s > 0; });
    if (part.users.size() >= 20 && part.size() > kTop && left >= 10) parts.push_back(std::move(part));
  }
  if (parts.empty()) return options;

  const std::size_t f = factors.cols();
  ColdStartOptions best = options;
  best.support_power = best.target_power = best.evenness = 0;
  double best_recall = -1;
  const auto attempt = [&](const ColdStartOptions& setting) {
    ColdStartOptions o = setting;
    o.max_rows = std::min(o.max_rows, kMostRows);
    double recall = 0;
    for (const Part& part : parts) {
      ColdStart model(o);
      model.fit(attributes, factors, part.rest);
      std::vector<float> predicted(part.size() * f);
      model.predict({static_cast<std::int64_t>(part.size()), attributes.cols, part.offsets, part.columns, part.values}, {predicted.data(), part.size(), f});
      recall += recall_of(part, predicted, user_factors, user_items, options.num_threads);
    }
    if (recall <= best_recall) return;
    best_recall = recall;
    best = setting;
  };
  // Each value of one setting, the others as they are.
  const auto along = [&]<class T>(T ColdStartOptions::*setting, std::initializer_list<T> values) {
    const ColdStartOptions from = best;
    for (const T value : values) {
      ColdStartOptions o = from;
      if (o.*setting == value) continue;
      o.*setting = value;
      attempt(o);
    }
  };
  for (const std::int32_t power : {1, 2, 3, 5})
    for (const double regularization : {0.3, 1.0, 3.0, 10.0}) {
      ColdStartOptions o = options;
      o.support_power = o.target_power = o.evenness = 0;
      o.power = power;
      o.regularization = regularization;
      attempt(o);
    }
  if (!support.empty()) along(&ColdStartOptions::support_power, {0.5});
  along(&ColdStartOptions::evenness, {1.0});
  along(&ColdStartOptions::target_power, {0.5, 1.0});
  along(&ColdStartOptions::power, {1, 2, 3, 5});
  along(&ColdStartOptions::regularization, {0.3, 1.0, 3.0, 10.0});
  return best;
}

}  // namespace etalage
