// SPDX-License-Identifier: Apache-2.0
// The objective of ALS in plain double loops over every cell, and dense reference solutions.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"

namespace etalage::testing {

using Dense = std::vector<std::vector<double>>;

/// Values in {-2, -1, 0.5, ..., 3} where `share` of the cells are observed; some rows and columns empty.
inline Dense random_values(std::size_t users, std::size_t items, double share, std::uint32_t seed, bool negatives) {
  std::mt19937 rng(seed);
  Dense r(users, std::vector<double>(items, 0));
  for (std::size_t u = 0; u < users; ++u)
    for (std::size_t i = 0; i < items; ++i) {
      if (u == 3 || i == 2) continue;
      if (static_cast<double>(rng() % 10000) >= share * 10000) continue;
      r[u][i] = 0.5 * static_cast<double>(1 + rng() % 6);
      if (negatives && rng() % 4 == 0) r[u][i] = -r[u][i];
    }
  return r;
}

inline CsrMatrix csr_of(const Dense& r, std::size_t cols) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (const auto& row : r) {
    for (std::size_t i = 0; i < row.size(); ++i)
      if (row[i] != 0) {
        columns.push_back(static_cast<std::int32_t>(i));
        values.push_back(static_cast<float>(row[i]));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {static_cast<std::int64_t>(r.size()), static_cast<std::int64_t>(cols), Array<std::int64_t>(offsets),
          Array<std::int32_t>(columns), Array<float>(values)};
}

inline Interactions interactions_of(const Dense& r) { return Interactions(csr_of(r, r.at(0).size())); }

inline Dense rows_of(const Array<float>& factors, std::size_t f) {
  Dense rows(factors.size() / f, std::vector<double>(f));
  for (std::size_t i = 0; i < factors.size(); ++i) rows[i / f][i % f] = static_cast<double>(factors[i]);
  return rows;
}

inline Dense transposed(const Dense& r) {
  Dense t(r.at(0).size(), std::vector<double>(r.size()));
  for (std::size_t u = 0; u < r.size(); ++u)
    for (std::size_t i = 0; i < r[u].size(); ++i) t[i][u] = r[u][i];
  return t;
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double s = 0;
  for (std::size_t k = 0; k < a.size(); ++k) s += a[k] * b[k];
  return s;
}

struct Cell {
  double c;  // weight
  double p;  // preference
};
inline Cell cell(double r, const AlsOptions& o) {
  if (r == 0) return {static_cast<double>(o.unobserved_weight), 0};
  return {1 + static_cast<double>(o.alpha) * std::abs(r), r > 0 ? 1.0 : 0.0};
}

inline double ridge(const std::vector<double>& values, const AlsOptions& o) {
  double observed = 0;
  for (const double r : values) observed += r != 0;
  return static_cast<double>(o.regularization) *
         std::pow(observed + static_cast<double>(o.unobserved_weight) * static_cast<double>(values.size()),
                  static_cast<double>(o.nu));
}

inline double objective_by_definition(const Dense& r, const Dense& x, const Dense& y, const AlsOptions& o) {
  double loss = 0;
  for (std::size_t u = 0; u < x.size(); ++u)
    for (std::size_t i = 0; i < y.size(); ++i) {
      const Cell w = cell(r[u][i], o);
      const double e = w.p - dot(x[u], y[i]);
      loss += w.c * e * e;
    }
  const Dense t = transposed(r);
  for (std::size_t u = 0; u < x.size(); ++u) loss += ridge(r[u], o) * dot(x[u], x[u]);
  for (std::size_t i = 0; i < y.size(); ++i) loss += ridge(t[i], o) * dot(y[i], y[i]);
  return loss;
}

/// Half the gradient of the objective in one row's factors.
inline std::vector<double> row_gradient(const std::vector<double>& values, const std::vector<double>& x, const Dense& y,
                                        const AlsOptions& o) {
  std::vector<double> g(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) g[k] = ridge(values, o) * x[k];
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Cell w = cell(values[i], o);
    const double e = w.c * (dot(x, y[i]) - w.p);
    for (std::size_t k = 0; k < x.size(); ++k) g[k] += e * y[i][k];
  }
  return g;
}

/// Solves A x = b by elimination with pivots.
inline std::vector<double> solve_dense(Dense a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t p = k;
    for (std::size_t i = k + 1; i < n; ++i)
      if (std::abs(a[i][k]) > std::abs(a[p][k])) p = i;
    std::swap(a[k], a[p]);
    std::swap(b[k], b[p]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double m = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= m * a[k][j];
      b[i] -= m * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

inline Dense normal_matrix(const std::vector<double>& values, const Dense& y, const AlsOptions& o) {
  const std::size_t f = y.at(0).size();
  Dense a(f, std::vector<double>(f));
  for (std::size_t k = 0; k < f; ++k) a[k][k] = ridge(values, o);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Cell w = cell(values[i], o);
    for (std::size_t k = 0; k < f; ++k)
      for (std::size_t l = 0; l < f; ++l) a[k][l] += w.c * y[i][k] * y[i][l];
  }
  return a;
}

/// The row's minimum over all cells, by definition.
inline std::vector<double> best_row(const std::vector<double>& values, const Dense& y, const AlsOptions& o) {
  std::vector<double> b(y.at(0).size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Cell w = cell(values[i], o);
    for (std::size_t k = 0; k < b.size(); ++k) b[k] += w.c * w.p * y[i][k];
  }
  return solve_dense(normal_matrix(values, y, o), b);
}

inline double norm(const std::vector<double>& a) { return std::sqrt(dot(a, a)); }

}  // namespace etalage::testing
