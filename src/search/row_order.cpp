// SPDX-License-Identifier: Apache-2.0
#include "search/row_order.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "detail/parallel_for.hpp"
#include "search/kernel_names.hpp"

namespace etalage::search {
namespace {

constexpr std::size_t kKinds = 1024;     // lengths that are told apart
constexpr double kMostAlike = 0.8;       // of the longest: where the median row is above, little can be left out
constexpr float kRounding = 1.0001f;     // float32 sums of up to some thousand squares

}  // namespace

RowOrder RowOrder::of(const float* data, std::size_t rows, std::size_t stride, std::size_t dim, int num_threads) {
  std::vector<float> norms(rows);
  detail::parallel_for(rows, 4096, num_threads, [&](std::size_t begin, std::size_t end, int) {
    constexpr std::size_t kRun = 64;
    float dots[kRun];
    const std::vector<float> zero(dim);
    for (std::size_t r = begin; r < end; r += kRun) {
      const std::size_t n = std::min(kRun, end - r);
      row_scores().dot_and_square(zero.data(), data + r * stride, stride, dim, n, dots, &norms[r]);
      for (std::size_t i = r; i < r + n; ++i) norms[i] = std::sqrt(norms[i]) * kRounding;
    }
  });
  RowOrder out;
  // Factors of a file whose checksums were not read may be anything.
  if (!std::all_of(norms.begin(), norms.end(), [](float x) { return std::isfinite(x); })) return out;
  const float longest = rows == 0 ? 0 : *std::max_element(norms.begin(), norms.end());
  if (!(longest > 0)) return out;

  // Rows of one kind stay in their order, in which they lie in memory.
  const auto kind_of = [&](float norm) { return static_cast<std::size_t>((1 - norm / longest) * static_cast<float>(kKinds - 1)); };
  std::vector<std::size_t> ends(kKinds, 0);
  for (const float x : norms) ++ends[kind_of(x)];
  std::size_t alike = 0;
  for (std::size_t kind = 0; kind <= static_cast<std::size_t>((1 - kMostAlike) * kKinds); ++kind) alike += ends[kind];
  out.rows.resize(rows);
  out.reach.resize((rows + kStep - 1) / kStep);
  if (alike > rows / 2) {
    out.ascending = true;
    std::iota(out.rows.begin(), out.rows.end(), std::uint32_t{0});
    std::fill(out.reach.begin(), out.reach.end(), longest);
    return out;
  }
  for (std::size_t kind = 0, at = 0; kind < kKinds; ++kind) {
    const std::size_t many = ends[kind];
    ends[kind] = at;
    at += many;
  }
  for (std::size_t r = 0; r < rows; ++r) out.rows[ends[kind_of(norms[r])]++] = static_cast<std::uint32_t>(r);
  float reach = 0;
  for (std::size_t i = rows; i-- > 0;) {
    reach = std::max(reach, norms[out.rows[i]]);
    if (i % kStep == 0) out.reach[i / kStep] = reach;
  }
  return out;
}

}  // namespace etalage::search
