// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_knn.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "models/sparse_product.hpp"

namespace etalage {
namespace {

bool counts_users(Similarity s) {
  return s == Similarity::kJaccard || s == Similarity::kTversky || s == Similarity::kConditional || s == Similarity::kLift;
}

/// The matrix whose rows' dot products the similarity is made of.
CsrMatrix weighted(const CsrMatrix& user_items, const CsrMatrix& item_users, const ItemKnnOptions& o) {
  CsrMatrix m = user_items;
  if (o.similarity == Similarity::kCosine) return m;
  float* values = m.values.mutable_data();
  if (counts_users(o.similarity)) {
    std::fill_n(values, m.values.size(), 1.0f);
    return m;
  }
  const CsrView items = item_users.view();
  const auto num_users = static_cast<double>(m.rows);
  double average = 0;
  std::vector<double> length(static_cast<std::size_t>(m.rows), 0.0);
  if (o.similarity == Similarity::kBm25) {
    for (std::int64_t u = 0; u < m.rows; ++u)
      for (const float v : user_items.view().row_values(u)) length[static_cast<std::size_t>(u)] += static_cast<double>(v);
    for (const double l : length) average += l / num_users;
  }
  for (std::int64_t u = 0; u < m.rows; ++u)
    for (auto p = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u)]);
         p < static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u) + 1]); ++p) {
      const double idf = std::log(num_users / (1.0 + static_cast<double>(items.row_size(m.columns[p])))) ;
      const auto r = static_cast<double>(values[p]);
      if (o.similarity == Similarity::kTfIdf) {
        values[p] = static_cast<float>(std::sqrt(std::fabs(r)) * (1.0 + idf));
      } else {
        const auto k1 = static_cast<double>(o.bm25_k1);
        const auto b = static_cast<double>(o.bm25_b);
        const double norm = 1.0 - b + b * (average > 0 ? length[static_cast<std::size_t>(u)] / average : 1.0);
        values[p] = static_cast<float>(r * (k1 + 1.0) / (k1 * norm + r) * std::max(idf, 0.0));
      }
    }
  return m;
}

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
  // |i|^2 in the weighted matrix; the number of users where that is all 1.
  std::vector<double> square(static_cast<std::size_t>(items.rows), 0.0);
  for (std::int64_t i = 0; i < items.rows; ++i)
    for (const float v : items.view().row_values(i)) square[static_cast<std::size_t>(i)] += static_cast<double>(v) * static_cast<double>(v);
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
  CsrMatrix w = top_product(items.view(), users.view(), static_cast<std::size_t>(o.num_neighbors), o.num_threads, value);
  if (o.normalize) normalize_rows(w);
  report.phase_seconds.emplace_back("similarities", since() - report.phase_seconds[0].second);
  set_weights(std::move(w), data.num_users());
  report.iterations = 1;
  report.seconds = since();
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "similarities"});
  return report;
}

void ItemKnnModel::save_state(StateWriter& writer) const {
  ItemSimilarityModel::save_state(writer);
  writer.put_int("options/similarity", static_cast<int>(options_.similarity));
  writer.put_int("options/num_neighbors", options_.num_neighbors);
  writer.put_double("options/shrinkage", static_cast<double>(options_.shrinkage));
  writer.put_double("options/asymmetry", static_cast<double>(options_.asymmetry));
  writer.put_double("options/tversky_alpha", static_cast<double>(options_.tversky_alpha));
  writer.put_double("options/tversky_beta", static_cast<double>(options_.tversky_beta));
  writer.put_double("options/popularity_penalty", static_cast<double>(options_.popularity_penalty));
  writer.put_double("options/bm25_k1", static_cast<double>(options_.bm25_k1));
  writer.put_double("options/bm25_b", static_cast<double>(options_.bm25_b));
  writer.put_bool("options/normalize", options_.normalize);
}

std::shared_ptr<ItemKnnModel> ItemKnnModel::from_state(const StateReader& reader) {
  ItemKnnOptions o;
  const auto number = [&](const char* name) { return static_cast<float>(reader.get_double(std::string("options/") + name)); };
  o.similarity = static_cast<Similarity>(reader.get_int("options/similarity", 0, static_cast<int>(Similarity::kLift)));
  o.num_neighbors = static_cast<std::int32_t>(reader.get_int("options/num_neighbors", 1, std::numeric_limits<std::int32_t>::max()));
  o.shrinkage = number("shrinkage");
  o.asymmetry = number("asymmetry");
  o.tversky_alpha = number("tversky_alpha");
  o.tversky_beta = number("tversky_beta");
  o.popularity_penalty = number("popularity_penalty");
  o.bm25_k1 = number("bm25_k1");
  o.bm25_b = number("bm25_b");
  o.normalize = reader.get_bool("options/normalize");
  try {
    o.validate();
  } catch (const std::invalid_argument& e) {
    reader.fail("options", std::string("found ") + e.what());
  }
  auto model = std::make_shared<ItemKnnModel>(o);
  model->load_weights(reader);
  model->load_base(reader);
  return model;
}

}  // namespace etalage
