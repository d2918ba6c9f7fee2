// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

inline constexpr std::size_t kMostPanel = 64;  ///< rows of a panel of any level, in bytes or in float32

/// What follows the codes of a row. x = scale * (code - 128) + r in each dimension.
struct CodeTail {
  float scale;
  float error;  ///< at least |r|
  float norm;   ///< at least |x|
  float norm2;  ///< |x|^2, rounded
};
static_assert(sizeof(CodeTail) == 16);

/// Rows with a larger value, or one that is not finite, have error = norm = +infinity: no bound excludes them.
inline constexpr float kMostCoded = 1e8f;

/// A row in eight bits a dimension: `width` codes around 128, padded with 128, then a CodeTail.
struct CodeShape {
  std::size_t dim = 0;
  std::size_t width = 0;   ///< a multiple of 16
  std::size_t stride = 0;  ///< bytes from one record to the next, a multiple of 16
  CodeShape() = default;
  explicit constexpr CodeShape(std::size_t dimensions)
      : dim(dimensions), width((dimensions + 15) / 16 * 16), stride(width + sizeof(CodeTail)) {
    // Records that begin on a cache line touch fewer of them.
    if (const std::size_t lines = (stride + 63) / 64 * 64; lines - stride <= 16) stride = lines;
  }
  /// Records that are read one after the other lie without gaps.
  [[nodiscard]] static constexpr CodeShape dense(std::size_t dimensions) {
    CodeShape shape(dimensions);
    shape.stride = shape.width + sizeof(CodeTail);
    return shape;
  }
};

/// A query in whole steps, and how its score with a row is put together from the record:
/// (codes . (row - 128)) * scale + per_error * error + per_norm * norm + per_norm2 * norm2.
struct CodeTerms {
  const std::int8_t* codes = nullptr;  ///< [width], padded with 0
  std::int32_t correction = 0;         ///< -128 * sum of codes
  float per_error = 0;
  float per_norm = 0;
  float per_norm2 = 0;
};

/// A candidate of a bounded scan: its score lies in [lower, upper].
struct Bounded {
  float upper;
  float lower;
  float exact;  ///< NaN while unknown
  std::uint32_t index;
};

/// Rows of one panel in lanes, four dimensions at a time.
struct CodePanel {
  const std::uint8_t* codes = nullptr;     ///< [width / 4][panel][4], 64-byte aligned
  std::size_t valid = 0;                   ///< rows that are meant
  std::size_t width = 0;                   ///< dimensions, rounded up to a multiple of four
  const std::uint32_t* indices = nullptr;  ///< [panel]
  const float* scale = nullptr;            ///< [panel], as all that follow
  const float* error = nullptr;
  const float* norm = nullptr;
  const float* norm2 = nullptr;            ///< null: no term of it
};

/// Queries of a block in groups; entries beyond num_queries up to the next multiple of the group exist and have the
/// threshold +infinity.
struct CodeBlock {
  std::size_t num_queries = 0;
  const CodeTerms* terms = nullptr;
  const float* thresholds = nullptr;
  Bounded** found = nullptr;            ///< buffers with room for a panel
  std::size_t* counts = nullptr;
};

/// Products of rows in eight bits, unsigned, with queries in eight bits, signed; sums are exact in 32 bits.
struct CodeTable {
  int query_max;      ///< codes of queries lie in [-query_max, query_max]; 63 where pairs of products meet in 16 bits
  std::size_t panel;  ///< rows of a panel; 0 where panels are no quicker than float32
  std::size_t group;  ///< queries of a group
  /// Writes the record of a row.
  void (*encode)(const float* row, const CodeShape& shape, std::uint8_t* record);
  /// out[i] = score of the i-th row by `terms`: row rows[i], or first + i when `rows` is null.
  void (*scores)(const CodeTerms& terms, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* rows,
                 std::size_t first, std::size_t n, float* out);
  /// Appends what has a score above its query's threshold. The bounds of a group's queries are the widest of them:
  /// upper = dot * scale + w (+ per_norm2 * norm2) and lower = upper - 2 w with w = per_error * error + per_norm * norm.
  void (*scan_panel)(const CodePanel& panel, const CodeBlock& block);
  /// Upper bounds of all: out[q * stride + i] for lane i < panel of query q.
  void (*score_panel)(const CodePanel& panel, const CodeBlock& block, float* out, std::size_t stride) = nullptr;
  /// Records of n <= panel rows, n >= 1, into a panel's codes and tails: scale, error, norm, norm2 of lane i at
  /// tails[i], and 1, 2, 3 times 64 behind. Lanes from n on hold anything. Null: one by one will do.
  void (*pack)(const std::uint8_t* const* records, std::size_t n, std::size_t width, std::uint8_t* codes, float* tails) = nullptr;
};

#if defined(__x86_64__)
namespace avx512vnni { extern const CodeTable code_table; }
#endif
ETALAGE_DECLARE_KERNELS(CodeTable, plain_code)

/// The table of a level; AVX-512 CPUs with VNNI have one of their own.
const CodeTable& code_at(SimdLevel l) noexcept;
const CodeTable& code();

}  // namespace etalage::kernels
