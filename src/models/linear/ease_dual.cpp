// SPDX-License-Identifier: Apache-2.0
#include "models/linear/ease_dual.hpp"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"
#include "etalage/error.hpp"
#include "kernels/dense_kernels.hpp"
#include "models/linear/spd_inverse.hpp"

namespace etalage {

namespace {

/// Row `item` of X^T X from the diagonal on, added up user by user.
void add_gram_row(const CsrView& users, std::span<const std::int32_t> of_item, std::span<const float> values, std::size_t item, float* row) {
  for (std::size_t p = 0; p < of_item.size(); ++p) {
    const auto others = users.row_columns(of_item[p]);
    const auto entries = users.row_values(of_item[p]);
    auto q = static_cast<std::size_t>(std::lower_bound(others.begin(), others.end(), static_cast<std::int32_t>(item)) - others.begin());
    for (; q < others.size(); ++q) row[others[q]] += values[p] * entries[q];
  }
}

}  // namespace

void fill_gram(const CsrMatrix& rows, const CsrMatrix& columns, float l2, int num_threads, float* a) {
  const CsrView users = rows.view();
  const CsrView items = columns.view();
  const auto n = static_cast<std::size_t>(items.rows);
  detail::parallel_for(n, 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i) {
      float* row = a + i * n;
      std::fill_n(row, n, 0.0f);
      add_gram_row(users, items.row_columns(static_cast<std::int64_t>(i)), items.row_values(static_cast<std::int64_t>(i)), i, row);
      row[i] += l2;
    }
  });
}

CsrMatrix gram_rows(const CsrView& rows, const CsrView& columns, std::size_t first, int num_threads) {
  struct Entry {
    std::int32_t column;
    float value;
  };
  const auto n = static_cast<std::size_t>(rows.cols);
  std::vector<std::vector<Entry>> made(static_cast<std::size_t>(columns.rows));
  std::vector<std::vector<float>> of_thread(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  detail::parallel_for(made.size(), 16, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    auto& row = of_thread[static_cast<std::size_t>(thread)];
    row.resize(n);
    for (std::size_t r = begin; r < end; ++r) {
      const auto of_item = columns.row_columns(static_cast<std::int64_t>(r));
      std::fill(row.begin(), row.end(), 0.0f);
      add_gram_row(rows, of_item, columns.row_values(static_cast<std::int64_t>(r)), first + r, row.data());
      const auto zeros = static_cast<std::size_t>(std::count(row.begin(), row.end(), 0.0f));
      made[r].reserve(n - zeros);
      for (std::size_t j = first + r; j < n; ++j)
        if (row[j] != 0.0f) made[r].push_back({static_cast<std::int32_t>(j), row[j]});
    }
  });
  CsrMatrix out{columns.rows, rows.cols, Array<std::int64_t>(made.size() + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  for (std::size_t r = 0; r < made.size(); ++r) offsets[r + 1] = offsets[r] + static_cast<std::int64_t>(made[r].size());
  out.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[made.size()]), uninitialized);
  out.values = Array<float>(static_cast<std::size_t>(offsets[made.size()]), uninitialized);
  std::int32_t* to = out.columns.mutable_data();
  float* values = out.values.mutable_data();
  for (const auto& row : made)
    for (const Entry& e : row) {
      *to++ = e.column;
      *values++ = e.value;
    }
  return out;
}

bool dual_weights(const CsrMatrix& user_items, const CsrMatrix& item_users, float l2, int num_threads,
                  const std::function<bool(std::size_t)>& after, const std::function<float*(std::size_t)>& place,
                  const std::function<void(std::size_t, std::size_t, const float*)>& take) {
  const auto users = static_cast<std::size_t>(user_items.rows);
  const auto items = static_cast<std::size_t>(user_items.cols);
  const kernels::DenseTable& kernel = kernels::dense();
  Array<float> inverse(users * users, uninitialized);
  float* m = inverse.mutable_data();
  fill_gram(item_users, user_items, l2, num_threads, m);
  std::size_t done = 0;
  const bool finished = negated_inverse(m, users, users, num_threads, [&](std::size_t rows) {
    done = rows;
    return after(rows);
  });
  // Both triangles; the sign goes with the weights.
  constexpr std::size_t kTile = 64;
  detail::parallel_for((done + kTile - 1) / kTile, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i0 = begin * kTile; i0 < std::min(done, end * kTile); i0 += kTile)
      for (std::size_t j0 = i0; j0 < done; j0 += kTile)
        for (std::size_t i = i0; i < std::min(done, i0 + kTile); ++i)
          for (std::size_t j = std::max(j0, i + 1); j < std::min(done, j0 + kTile); ++j) m[j * users + i] = m[i * users + j];
  });

  // The users of each item among those done, as row numbers, with -x and, for the second product, x / (1 - x_j^T M x_j).
  std::vector<std::size_t> begins(items + 1, 0);
  std::vector<std::size_t> index;
  std::vector<float> minus;
  for (std::size_t j = 0; j < items; ++j) {
    const auto of_item = item_users.view().row_columns(static_cast<std::int64_t>(j));
    const auto values = item_users.view().row_values(static_cast<std::int64_t>(j));
    for (std::size_t p = 0; p < of_item.size() && static_cast<std::size_t>(of_item[p]) < done; ++p) {
      index.push_back(static_cast<std::size_t>(of_item[p]));
      minus.push_back(-values[p]);
    }
    begins[j + 1] = index.size();
  }
  std::vector<float> scaled(minus.size());
  detail::parallel_for(items, 64, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t j = begin; j < end; ++j) {
      double norm = 0;
      for (std::size_t p = begins[j]; p < begins[j + 1]; ++p)
        for (std::size_t q = begins[j]; q < begins[j + 1]; ++q)
          norm -= static_cast<double>(minus[p]) * static_cast<double>(minus[q]) * static_cast<double>(m[index[p] * users + index[q]]);
      const double left = 1.0 - norm;
      if (!(left > 0))
        throw NumericalError("item " + std::to_string(j) + " leaves the residual " + std::to_string(left) +
                             kMustBePositive);
      for (std::size_t p = begins[j]; p < begins[j + 1]; ++p) scaled[p] = static_cast<float>(-static_cast<double>(minus[p]) / left);
    }
  });

  struct Thread {
    std::vector<float> products;  // [done x kDualBlock], M x_i for the items of a block
    std::vector<float> tile;      // [kDualBlock x kSpan]
    std::vector<float> rows;      // [kDualBlock x items]
  };
  constexpr std::size_t kSpan = 1024;
  std::vector<Thread> threads(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  detail::parallel_for(items, kDualBlock, num_threads, [&](std::size_t first, std::size_t end, int thread) {
    Thread& t = threads[static_cast<std::size_t>(thread)];
    const std::size_t count = end - first;
    t.products.resize(std::max<std::size_t>(done, 1) * kDualBlock);
    t.tile.resize(kDualBlock * kSpan);
    for (std::size_t u0 = 0; u0 < done; u0 += kSpan) {
      const std::size_t width = std::min(kSpan, done - u0);
      std::fill(t.tile.begin(), t.tile.end(), 0.0f);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t b = begins[first + i];
        kernel.add_rows(m + u0, users, index.data() + b, minus.data() + b, begins[first + i + 1] - b, width, t.tile.data() + i * kSpan);
      }
      for (std::size_t u = 0; u < width; ++u)
        for (std::size_t i = 0; i < kDualBlock; ++i) t.products[(u0 + u) * kDualBlock + i] = t.tile[i * kSpan + u];
    }
    float* rows = place(first);
    if (rows == nullptr) {
      t.rows.resize(kDualBlock * items);
      rows = t.rows.data();
    }
    for (std::size_t j = 0; j < items; ++j) {
      alignas(64) float sums[kDualBlock] = {};
      const std::size_t b = begins[j];
      kernel.add_rows(t.products.data(), kDualBlock, index.data() + b, scaled.data() + b, begins[j + 1] - b, kDualBlock, sums);
      for (std::size_t i = 0; i < count; ++i) rows[i * items + j] = sums[i];
    }
    for (std::size_t i = 0; i < count; ++i) rows[i * items + first + i] = 0.0f;
    take(first, count, rows);
  });
  return finished;
}

}  // namespace etalage
