// SPDX-License-Identifier: Apache-2.0
#include "kernels/scan_kernels.hpp"

#include "kernels/rank_key.hpp"
#include "kernels/scan_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

// Accumulators of the register tile: 24 of 32 registers, or 12 of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr std::size_t kVectors = 3;
constexpr std::size_t kGroup = 8;
#else
constexpr std::size_t kVectors = 2;
constexpr std::size_t kGroup = 6;
#endif
constexpr std::size_t kPanel = kVectors * kLanes;
static_assert(kPanel <= 64);

// The last step of a score, the same in the single and in the blocked scan.
HWY_INLINE V finish(V dots, const float* scale, const float* offset, std::size_t i) {
  if (scale != nullptr && offset != nullptr) return mul_add(dots, load(scale + i), load(offset + i));
  if (scale != nullptr) return mul_add(dots, load(scale + i), zero());
  if (offset != nullptr) return add(dots, load(offset + i));
  return dots;
}

// Scores of kV vectors of rows; several chains at once hide the latency of one.
template <std::size_t kV>
HWY_INLINE void score_vectors(const float* const* rows, const float* query, std::size_t dim, const float* scale,
                              const float* offset, std::size_t i, float* out) {
  V sums[kV];
  for (std::size_t v = 0; v < kV; ++v) sums[v] = zero();
  std::size_t f = 0;
  for (; f + 4 <= dim; f += 4) {
    const V q[4] = {set(query[f]), set(query[f + 1]), set(query[f + 2]), set(query[f + 3])};
    for (std::size_t v = 0; v < kV; ++v) {
      V columns[4];
      load_columns(rows + i + v * kLanes, f, columns);
      for (std::size_t j = 0; j < 4; ++j) sums[v] = mul_add(q[j], columns[j], sums[v]);
    }
  }
  for (; f < dim; ++f)
    for (std::size_t v = 0; v < kV; ++v) sums[v] = mul_add(set(query[f]), load_column(rows + i + v * kLanes, f), sums[v]);
  // Adding +0 turns a -0 that underflow may leave into +0.
  for (std::size_t v = 0; v < kV; ++v)
    store(add(finish(sums[v], scale, offset, i + v * kLanes), zero()), out + i + v * kLanes);
}

void score_rows(const float* const* rows, std::size_t n, const float* query, std::size_t dim, const float* scale,
                const float* offset, float* out) {
  for (std::size_t i = 0; i < n; i += kPanel) score_vectors<kVectors>(rows, query, dim, scale, offset, i, out);
}

void pack_rows(const float* const* rows, std::size_t dim, float* out) {
  std::size_t f = 0;
  for (; f + 4 <= dim; f += 4)
    for (std::size_t v = 0; v < kVectors; ++v) {
      V columns[4];
      load_columns(rows + v * kLanes, f, columns);
      for (std::size_t j = 0; j < 4; ++j) store(columns[j], out + (f + j) * kPanel + v * kLanes);
    }
  for (; f < dim; ++f)
    for (std::size_t v = 0; v < kVectors; ++v) store(load_column(rows + v * kLanes, f), out + f * kPanel + v * kLanes);
}

void pack_queries(const float* const* queries, std::size_t dim, float* out) {
  for (std::size_t f = 0; f < dim; ++f)
    for (std::size_t r = 0; r < kGroup; ++r) out[f * kGroup + r] = queries[r][f];
}

// All scores of one group of queries and one panel, held in registers; few leave them.
HWY_INLINE void scan_tile(const ScanPanel& panel, const float* queries, const float* thresholds, std::uint64_t** keys,
                          std::size_t* counts) {
  V sums[kGroup][kVectors];
  for (std::size_t r = 0; r < kGroup; ++r)
    for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = zero();
  const float* rows = panel.data;
  for (std::size_t f = 0; f < panel.dim; ++f, rows += kPanel, queries += kGroup) {
    V b[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) b[v] = load(rows + v * kLanes);
    for (std::size_t r = 0; r < kGroup; ++r) {
      const V a = set(queries[r]);
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = mul_add(a, b[v], sums[r][v]);
    }
  }
  if (panel.scale != nullptr || panel.offset != nullptr)
    for (std::size_t r = 0; r < kGroup; ++r)
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] = finish(sums[r][v], panel.scale, panel.offset, v * kLanes);
  const std::uint64_t valid = panel.valid >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << panel.valid) - 1;
  for (std::size_t r = 0; r < kGroup; ++r) {
    const V threshold = set(thresholds[r]);
    M above[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) above[v] = greater(sums[r][v], threshold);
    M some = above[0];
    for (std::size_t v = 1; v < kVectors; ++v) some = either(some, above[v]);
    if (HWY_LIKELY(!any(some))) continue;
    float scores[kPanel];
    std::uint64_t left = 0;
    for (std::size_t v = 0; v < kVectors; ++v) {
      store(sums[r][v], scores + v * kLanes);
      left |= bits(above[v]) << (v * kLanes);
    }
    std::uint64_t* to = keys[r] + counts[r];
    for (left &= valid; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(__builtin_ctzll(left));
      *to++ = rank_key(scores[lane], panel.indices[lane]);
    }
    counts[r] = static_cast<std::size_t>(to - keys[r]);
  }
}

void scan_panel(const ScanPanel& panel, const ScanBlock& block) {
  for (std::size_t q = 0; q < block.num_queries; q += kGroup)
    scan_tile(panel, block.packed + q * panel.dim, block.thresholds + q, block.keys + q, block.counts + q);
}

std::size_t collect(const float* scores, std::size_t n, std::uint32_t base, float threshold, std::uint64_t* keys) {
  std::uint64_t* to = keys;
  const V limit = set(threshold);
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    M above[4];
    for (std::size_t v = 0; v < 4; ++v) above[v] = greater(load(scores + i + v * kLanes), limit);
    if (HWY_LIKELY(!any(either(either(above[0], above[1]), either(above[2], above[3]))))) continue;
    std::uint64_t left = 0;
    for (std::size_t v = 0; v < 4; ++v) left |= bits(above[v]) << (v * kLanes);
    for (; left != 0; left &= left - 1) {
      const std::size_t at = i + static_cast<std::size_t>(__builtin_ctzll(left));
      *to++ = rank_key(scores[at], base + static_cast<std::uint32_t>(at));
    }
  }
  for (; i < n; ++i)
    if (scores[i] > threshold) *to++ = rank_key(scores[i], base + static_cast<std::uint32_t>(i));
  return static_cast<std::size_t>(to - keys);
}

}  // namespace

extern const ScanTable scan_table;
const ScanTable scan_table = {kPanel, kGroup, score_rows, pack_rows, pack_queries, scan_panel, collect};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
