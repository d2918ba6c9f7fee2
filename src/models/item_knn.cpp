// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_knn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "models/option_state.hpp"
#include "models/sparse_product.hpp"

namespace etalage {
namespace {

bool counts_users(Similarity s) {
  return s == Similarity::kJaccard || s == Similarity::kTversky || s == Similarity::kConditional || s == Similarity::kLift;
}

/// The matrix of the x_ui.
CsrMatrix weighted(const CsrMatrix& user_items, const CsrMatrix& item_users, const ItemKnnOptions& o) {
  CsrMatrix m = user_items;
  if (o.similarity == Similarity::kCosine) return m;
  float* values = m.values.mutable_data();
  if (counts_users(o.similarity)) {
    for (std::size_t p = 0; p < m.values.size(); ++p) values[p] = values[p] != 0.0f ? 1.0f : 0.0f;
    return m;
  }
  std::vector<double> length(static_cast<std::size_t>(m.cols), 0.0);
  double average = 0;
  for (std::int64_t i = 0; i < m.cols; ++i) {
    for (const float v : item_users.view().row_values(i)) length[static_cast<std::size_t>(i)] += static_cast<double>(v);
    average += length[static_cast<std::size_t>(i)] / static_cast<double>(m.cols);
  }
  const auto k1 = static_cast<double>(o.bm25_k1);
  const auto b = static_cast<double>(o.bm25_b);
  for (std::int64_t u = 0; u < m.rows; ++u) {
    const auto begin = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u)]);
    const auto end = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u) + 1]);
    const double idf = std::max(0.0, std::log(static_cast<double>(m.cols) / (1.0 + static_cast<double>(end - begin))));
    for (std::size_t p = begin; p < end; ++p) {
      const auto r = static_cast<double>(values[p]);
      if (o.similarity == Similarity::kTfIdf) {
        values[p] = static_cast<float>(std::sqrt(std::fabs(r)) * idf);
      } else {
        const double norm = 1.0 - b + b * (average > 0 ? length[static_cast<std::size_t>(m.columns[p])] / average : 1.0);
        values[p] = static_cast<float>(r * (k1 + 1.0) / (k1 * norm + r) * idf);
      }
    }
  }
  return m;
}

/// Each user's row times (its entries)^-damping.
CsrMatrix damped_rows(const CsrMatrix& rows, float damping) {
  CsrMatrix m = rows;
  if (damping == 0.0f) return m;
  float* values = m.values.mutable_data();
  for (std::size_t u = 0; u < static_cast<std::size_t>(m.rows); ++u) {
    const auto count = static_cast<double>(m.offsets[u + 1] - m.offsets[u]);
    const auto factor = static_cast<float>(std::pow(count, -static_cast<double>(damping)));
    for (auto p = static_cast<std::size_t>(m.offsets[u]); p < static_cast<std::size_t>(m.offsets[u + 1]); ++p) values[p] *= factor;
  }
  return m;
}

/// visit("name", field) for every option.
constexpr auto each_option = [](auto& o, const auto& visit) {
  visit("similarity", o.similarity);
  visit("num_neighbors", o.num_neighbors);
  visit("shrinkage", o.shrinkage);
  visit("asymmetry", o.asymmetry);
  visit("tversky_alpha", o.tversky_alpha);
  visit("tversky_beta", o.tversky_beta);
  visit("popularity_penalty", o.popularity_penalty);
  visit("bm25_k1", o.bm25_k1);
  visit("bm25_b", o.bm25_b);
  visit("user_damping", o.user_damping);
  visit("normalize", o.normalize);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

}  // namespace

void ItemKnnOptions::validate() const {
  using detail::require;
  using detail::require_finite;
  require(static_cast<int>(similarity) <= static_cast<int>(Similarity::kLift), "similarity", static_cast<int>(similarity), "a Similarity");
  require(num_neighbors >= 1, "num_neighbors", num_neighbors, ">= 1");
  require_finite(shrinkage >= 0, "shrinkage", shrinkage, "finite and >= 0");
  require_finite(asymmetry >= 0 && asymmetry <= 1, "asymmetry", asymmetry, "in [0, 1]");
  require_finite(tversky_alpha >= 0, "tversky_alpha", tversky_alpha, "finite and >= 0");
  require_finite(tversky_beta >= 0, "tversky_beta", tversky_beta, "finite and >= 0");
  require_finite(popularity_penalty >= 0 && popularity_penalty <= 1, "popularity_penalty", popularity_penalty, "in [0, 1]");
  require_finite(bm25_k1 > 0, "bm25_k1", bm25_k1, "finite and > 0");
  require_finite(bm25_b >= 0 && bm25_b <= 1, "bm25_b", bm25_b, "in [0, 1]");
  require_finite(user_damping >= 0, "user_damping", user_damping, "finite and >= 0");
  require(num_threads >= 0, "num_threads", num_threads, ">= 0 (0 means all CPUs)");
}

ItemKnnModel::ItemKnnModel(ItemKnnOptions options) : options_(options) { options_.validate(); }

FitReport ItemKnnModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  const ItemKnnOptions& o = options_;
  const CsrMatrix plain = transpose(data.user_items().view(), o.num_threads);
  const CsrMatrix users = weighted(data.user_items(), plain, o);
  const CsrMatrix items = transpose(users.view(), o.num_threads);
  const CsrMatrix damped_users = damped_rows(users, o.user_damping);
  // |i|^2 in the weighted matrix, damped like c_ij; the number of users where that is all 1.
  std::vector<double> square(static_cast<std::size_t>(items.rows), 0.0);
  for (std::size_t p = 0; p < users.columns.size(); ++p)
    square[static_cast<std::size_t>(users.columns[p])] += static_cast<double>(users.values[p]) * static_cast<double>(damped_users.values[p]);
  const auto power = [&](double exponent) {
    std::vector<double> out(square.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = square[i] > 0 ? std::pow(square[i], exponent) : 0.0;
    return out;
  };
  const auto a = static_cast<double>(o.asymmetry);
  const auto s = static_cast<double>(o.shrinkage);
  const double num_users = static_cast<double>(users.rows);
  const std::vector<double> left = power(a);
  const std::vector<double> right = power(1 - a);
  const std::vector<double> damped = power(static_cast<double>(o.popularity_penalty));
  report.phase_seconds.emplace_back("weights", since());
  const auto value = [&](std::int32_t row, std::int32_t column, float sum) -> float {
    const auto i = static_cast<std::size_t>(row);
    const auto j = static_cast<std::size_t>(column);
    const auto c = static_cast<double>(sum);
    double v = 0;
    switch (o.similarity) {
      case Similarity::kCosine:
      case Similarity::kTfIdf:
      case Similarity::kBm25: v = c / (left[i] * right[j] + s); break;
      case Similarity::kJaccard: v = c / (square[i] + square[j] - c + s); break;
      case Similarity::kTversky:
        v = c / (c + static_cast<double>(o.tversky_alpha) * (square[i] - c) + static_cast<double>(o.tversky_beta) * (square[j] - c) + s);
        break;
      case Similarity::kConditional: v = c / (square[i] * damped[j] + s); break;
      case Similarity::kLift: v = num_users * c / (square[i] * square[j] + s); break;
    }
    return static_cast<float>(v);
  };
  CsrMatrix w = top_product(items.view(), damped_users.view(), static_cast<std::size_t>(o.num_neighbors), o.num_threads, value);
  if (o.normalize) normalize_rows(w);
  report.phase_seconds.emplace_back("similarities", since() - report.phase_seconds[0].second);
  report.iterations = 1;
  report.seconds = since();
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "similarities"});
  finish_fit(data, std::move(w), o.keep_history, report);
  return report;
}

void ItemKnnModel::save_state(StateWriter& writer) const {
  ItemSimilarityModel::save_state(writer);
  put_options(writer, options_, each_option);
}

std::shared_ptr<ItemKnnModel> ItemKnnModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<ItemKnnModel>(get_options<ItemKnnOptions>(reader, each_option));
  model->load_weights(reader);
  model->load_base(reader);
  return model;
}

}  // namespace etalage
