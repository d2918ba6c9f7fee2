// SPDX-License-Identifier: Apache-2.0
#include "models/neighbour/similarity.hpp"

#include <algorithm>
#include <cmath>

namespace etalage {

bool SimilarityForm::counts() const noexcept {
  return similarity == Similarity::kJaccard || similarity == Similarity::kTversky || similarity == Similarity::kConditional ||
         similarity == Similarity::kLift;
}

double SimilarityForm::idf(double having, double objects) const noexcept {
  return similarity == Similarity::kTfIdf || similarity == Similarity::kBm25 ? std::max(0.0, std::log(objects / (1.0 + having))) : 1.0;
}

double SimilarityForm::damped(double having) const noexcept { return damping == 0 ? 1.0 : std::pow(having, -damping); }

double SimilarityForm::weight(double value, double idf, double length) const noexcept {
  switch (similarity) {
    case Similarity::kCosine: return value;
    case Similarity::kTfIdf: return std::sqrt(std::fabs(value)) * idf;
    case Similarity::kBm25: return value * (bm25_k1 + 1.0) / (bm25_k1 * (1.0 - bm25_b + bm25_b * length) + value) * idf;
    default: return value != 0 ? 1.0 : 0.0;
  }
}

namespace {
float power(double square, double exponent) { return square > 0 ? static_cast<float>(std::pow(square, exponent)) : 0.0f; }
}  // namespace

SimilarityForm::Side SimilarityForm::row(double square) const noexcept {
  const auto s = static_cast<float>(shrinkage);
  switch (similarity) {
    case Similarity::kJaccard: return {0.0f, static_cast<float>(square + shrinkage)};
    case Similarity::kTversky: return {0.0f, static_cast<float>(tversky_alpha * square + shrinkage)};
    case Similarity::kConditional:
    case Similarity::kLift: return {static_cast<float>(square), s};
    default: return {power(square, asymmetry), s};
  }
}

SimilarityForm::Side SimilarityForm::column(double square) const noexcept {
  switch (similarity) {
    case Similarity::kJaccard: return {0.0f, static_cast<float>(square)};
    case Similarity::kTversky: return {0.0f, static_cast<float>(tversky_beta * square)};
    case Similarity::kConditional: return {power(square, popularity_penalty), 0.0f};
    case Similarity::kLift: return {static_cast<float>(square), 0.0f};
    default: return {power(square, 1 - asymmetry), 0.0f};
  }
}

float SimilarityForm::t() const noexcept {
  if (similarity == Similarity::kJaccard) return -1.0f;
  return similarity == Similarity::kTversky ? static_cast<float>(1.0 - tversky_alpha - tversky_beta) : 0.0f;
}

float SimilarityForm::scale(double features) const noexcept {
  return similarity == Similarity::kLift ? static_cast<float>(features) : 1.0f;
}

Ratio ratio_of(const WeightedFeatures& data, const SimilarityForm& form) {
  Ratio r;
  for (const double square : data.square) {
    const SimilarityForm::Side row = form.row(square);
    const SimilarityForm::Side column = form.column(square);
    r.a.push_back(row.times);
    r.p.push_back(row.plus);
    r.b.push_back(column.times);
    r.q.push_back(column.plus);
  }
  r.t = form.t();
  r.scale = form.scale(static_cast<double>(data.weights.rows));
  return r;
}

WeightedFeatures weigh(const CsrMatrix& features, const CsrMatrix& objects, const SimilarityForm& form) {
  std::vector<double> lengths(static_cast<std::size_t>(features.cols), 0.0);
  double mean = 0;
  for (std::int64_t i = 0; i < objects.rows; ++i) {
    for (const float v : objects.view().row_values(i)) lengths[static_cast<std::size_t>(i)] += static_cast<double>(v);
    mean += lengths[static_cast<std::size_t>(i)] / static_cast<double>(objects.rows);
  }
  return weigh(features, lengths, mean, form);
}

WeightedFeatures weigh(const CsrMatrix& features, std::span<const double> lengths, double mean_length, const SimilarityForm& form) {
  WeightedFeatures out{features, {}, std::vector<double>(static_cast<std::size_t>(features.cols), 0.0),
                       std::vector<double>(static_cast<std::size_t>(features.rows), 1.0), mean_length};
  float* x = form.similarity == Similarity::kCosine ? nullptr : out.weights.values.mutable_data();
  out.damped = out.weights;
  float* damped = form.damping == 0 ? nullptr : out.damped.values.mutable_data();
  for (std::size_t f = 0; f < out.idf.size(); ++f) {
    const auto begin = static_cast<std::size_t>(features.offsets[f]);
    const auto end = static_cast<std::size_t>(features.offsets[f + 1]);
    const auto having = static_cast<double>(end - begin);
    out.idf[f] = form.idf(having, static_cast<double>(features.cols));
    const double factor = form.damped(having);
    for (std::size_t p = begin; p < end; ++p) {
      const auto object = static_cast<std::size_t>(features.columns[p]);
      double value = static_cast<double>(features.values[p]);
      if (x != nullptr) {
        value = form.weight(value, out.idf[f], mean_length > 0 && !lengths.empty() ? lengths[object] / mean_length : 1.0);
        x[p] = static_cast<float>(value);
      }
      if (damped != nullptr) damped[p] = static_cast<float>(value * factor);
      out.square[object] += value * value * factor;
    }
  }
  if (damped == nullptr) out.damped = out.weights;
  return out;
}

}  // namespace etalage
